"""Custom datasets: any modalities, rows from anywhere, in the same format and with the same tools."""

from .dataset import own_schema, write_dataset

__all__ = ["own_schema", "write_dataset"]
