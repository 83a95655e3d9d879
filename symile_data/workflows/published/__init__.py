"""The published checkpoint of Symile-MIMIC as a run of ours."""

from .checkpoint import import_checkpoint

__all__ = ["import_checkpoint"]
