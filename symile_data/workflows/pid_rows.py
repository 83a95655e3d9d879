"""The symbols of the rows of PID data that are evaluated, for the ceilings of `symile_data.datasets.pid.ceilings`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from symile_data.datasets.pid import Design, design_of
from symile_data.datasets.pid.blocks import Symbols
from symile_data.datasets.pid.design import symbol_column

if TYPE_CHECKING:
    from symile_data.loaders import Split


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
        """Whether a label column tells the target's value or its symbol in a block, and the name of that block."""
        if label == f"{target}_value":
            return True, None
        blocks = self.design.scoped(target) if target in self.design.modalities else ()
        found = [block.name for block in blocks if label == symbol_column(target, block)]
        return bool(found), found[0] if found else None


def pid_rows(split: Split, incomplete: npt.NDArray[np.bool_]) -> PidRows | None:
    """Read the symbols of the rows of a split that lack nothing; None where there are none, or it holds no PID data.

    Args:
        split: The split.
        incomplete: (N,) bool, True for rows to leave out.
    """
    if not isinstance(split.spec.get("design"), dict) or incomplete.all():
        return None
    design = design_of(split.spec["design"])
    columns = {(name, block.name): symbol_column(name, block) for name in design.names for block in design.scoped(name)}
    table = split.read_all(list(columns.values()))
    symbols: dict[str, dict[str, Symbols]] = {name: {} for name in design.names}
    for (name, block), column in columns.items():
        symbols[name][block] = table[column].to_numpy()[~incomplete].astype(np.int64)
    return PidRows(design, symbols)
