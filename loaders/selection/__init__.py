"""Splits of some rows: those with given ids, or those that a filter lets through."""

from .filter import filter_rows
from .ids import select_rows

__all__ = ["filter_rows", "select_rows"]
