"""Choose the rows of a running build: those that its plan draws, or those of a published table."""

from __future__ import annotations

from pathlib import Path

from ..build_state import read_build_state
from ..release.plan import PlannedRows
from .columns import DrawnRows, RowSource


def row_source(internal: Path, split: str) -> RowSource:
    """Return the rows of a split of the build whose `.build/` folder is `internal`."""
    state = read_build_state(internal)
    return PlannedRows(internal, split) if state.planned else DrawnRows(state, split)
