"""The symbols of the rows of PID data and XOR data that are evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.datasets.symbol_rows import SymbolReader, SymbolRows

if TYPE_CHECKING:
    from symile_data.loaders import Split


def pid_rows(split: Split, incomplete: npt.NDArray[np.bool_]) -> SymbolRows | None:
    """Read the symbols of the rows of a split that lack nothing. None where there are none, or where the split holds
    neither PID data nor XOR data of at most 12 bits.

    Args:
        split: The split.
        incomplete: (N,) bool, True for rows to leave out.
    """
    reader = None if incomplete.all() else SymbolReader.of(split.spec, split.modalities)
    if reader is None:
        return None
    return reader.rows(split.read_all(reader.columns).filter(pa.array(~incomplete)))
