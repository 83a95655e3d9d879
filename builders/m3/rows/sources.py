"""Which rows the splits of a running build have: those of its plan, or those of a published table."""

from __future__ import annotations

from pathlib import Path

from ..build_state import read_build_state
from ..release.plan import PlannedRows
from .columns import DrawnRows, RowSource


def row_source(internal: Path, split: str) -> RowSource:
    """The rows of a split of the build whose `.build/` folder this is."""
    state = read_build_state(internal)
    return PlannedRows(internal, split) if state.planned else DrawnRows(state, split)
