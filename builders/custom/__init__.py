"""Custom datasets: any modalities, rows from anywhere, in the same format and with the same tools."""

from .dataset import write_dataset
from .schema import own_schema

__all__ = ["own_schema", "write_dataset"]
