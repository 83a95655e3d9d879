"""x"""
from __future__ import annotations
class PlannedRows: pass
