"""The symbols of the rows of PID data and XOR data that are evaluated, for the ceilings of
`symile_data.datasets.pid.ceilings`. XOR data are PID data of one block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.datasets.pid import Block, Design, design_of
from symile_data.datasets.pid.blocks import Symbols
from symile_data.datasets.pid.design import symbol_column

if TYPE_CHECKING:
    from symile_data.loaders import Split

_XOR = ("variables", "dims", "p_hat")  # what the spec of XOR data says
_EXACT = ("vector", "text")  # kinds that show symbols exactly
_MOST_DIMS = 12  # bits: with more, hardly a value occurs twice among some thousand rows
_HALF = 0.5


@dataclass(frozen=True)
class PidRows:
    """Complete rows of a split.

    Args:
        design: The design of the dataset.
        symbols: Modality -> block -> (N,) symbols.
    """

    design: Design
    symbols: dict[str, dict[str, Symbols]]

    def block_of(self, target: str, label: str) -> tuple[bool, str | None]:
        """Whether a label column tells the target's value or its symbol in a block, and the name of that block.

        A vector or text is such a label of itself, since it shows its symbols exactly.
        """
        exact = self.design.modalities.get(target) in _EXACT
        if label == f"{target}_value" or (exact and label == target):
            return True, None
        blocks = self.design.scoped(target) if target in self.design.modalities else ()
        found = [block.name for block in blocks if label == symbol_column(target, block)]
        return bool(found), found[0] if found else None


def pid_rows(split: Split, incomplete: npt.NDArray[np.bool_]) -> PidRows | None:
    """Read the symbols of the rows of a split that lack nothing. None where there are none, or where the split holds
    neither PID data nor XOR data of at most 12 bits.

    Args:
        split: The split.
        incomplete: (N,) bool, True for rows to leave out.
    """
    if incomplete.all():
        return None
    if set(_XOR) <= set(split.spec):
        return _xor_rows(split, incomplete)
    if not isinstance(split.spec.get("design"), dict):
        return None
    design = design_of(split.spec["design"])
    columns = {(name, block.name): symbol_column(name, block) for name in design.names for block in design.scoped(name)}
    table = split.read_all(list(columns.values()))
    symbols: dict[str, dict[str, Symbols]] = {name: {} for name in design.names}
    for (name, block), column in columns.items():
        symbols[name][block] = table[column].to_numpy()[~incomplete].astype(np.int64)
    return PidRows(design, symbols)


def _xor_rows(split: Split, incomplete: npt.NDArray[np.bool_]) -> PidRows | None:
    names = tuple(modality.name for modality in split.modalities)
    dims, kinds = split.spec["dims"], {modality.kind for modality in split.modalities}
    if kinds != {"vector"} or dims not in range(1, _MOST_DIMS + 1):
        return None
    block = Block(name="bits", relation="xor", scope=names, values=2**dims, strength=split.spec["p_hat"], group="xor")
    design = Design(modalities=dict.fromkeys(names, "vector"), blocks=(block,))
    table, powers = split.read_all(list(names)), 1 << np.arange(dims)
    symbols: dict[str, dict[str, Symbols]] = {}
    for name in names:
        column = table[name].combine_chunks().filter(pa.array(~incomplete))
        bits = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dims) > _HALF
        symbols[name] = {block.name: (bits * powers).sum(axis=1).astype(np.int64)}
    return PidRows(design, symbols)
