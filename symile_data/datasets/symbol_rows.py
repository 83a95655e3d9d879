"""The symbols of the rows of PID data and of XOR data, for the ceilings of `symile_data.datasets.pid.ceilings`.

XOR data are PID data of one block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from symile_data.format.schema import Modality

from .pid import Block, Design, design_of
from .pid.blocks import Symbols
from .pid.design import symbol_column

_XOR = ("variables", "dims", "p_hat")  # what the spec of XOR data says
_EXACT = ("vector", "text")  # kinds that show symbols exactly
_MOST_DIMS = 12  # bits: with more, hardly a value occurs twice among some thousand rows
_HALF = 0.5


@dataclass(frozen=True)
class SymbolRows:
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


@dataclass(frozen=True)
class SymbolReader:
    """Reads symbols from tables of one dataset.

    Args:
        design: The design of the dataset.
        bits: Number of bits of each vector of XOR data; 0 for PID data, which have columns of symbols.
    """

    design: Design
    bits: int = 0

    @classmethod
    def of(cls, spec: Mapping[str, Any], modalities: Sequence[Modality]) -> SymbolReader | None:
        """Return the reader of a dataset with this spec; None if it is neither PID data nor XOR data of at most 12
        bits.
        """
        if not set(_XOR) <= set(spec):
            return cls(design_of(spec["design"])) if isinstance(spec.get("design"), dict) else None
        names, dims = tuple(modality.name for modality in modalities), spec["dims"]
        if {modality.kind for modality in modalities} != {"vector"} or dims not in range(1, _MOST_DIMS + 1):
            return None
        block = Block(name="bits", relation="xor", scope=names, values=2**dims, strength=spec["p_hat"], group="xor")
        return cls(Design(modalities=dict.fromkeys(names, "vector"), blocks=(block,)), bits=dims)

    @property
    def columns(self) -> list[str]:
        """Names of the columns that are read."""
        return list(self.design.names) if self.bits else list(self._symbol_columns.values())

    def rows(self, table: pa.Table) -> SymbolRows:
        """Read the rows of a table, which lack nothing."""
        symbols: dict[str, dict[str, Symbols]] = {name: {} for name in self.design.names}
        if not self.bits:
            for (name, block), column in self._symbol_columns.items():
                symbols[name][block] = table[column].to_numpy().astype(np.int64)
            return SymbolRows(self.design, symbols)
        powers = 1 << np.arange(self.bits)
        for name in self.design.names:
            flat = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            bits = flat.reshape(-1, self.bits) > _HALF
            symbols[name] = {self.design.blocks[0].name: (bits * powers).sum(axis=1).astype(np.int64)}
        return SymbolRows(self.design, symbols)

    @property
    def _symbol_columns(self) -> dict[tuple[str, str], str]:
        """Modality and name of a block -> column."""
        design = self.design
        return {
            (name, block.name): symbol_column(name, block) for name in design.names for block in design.scoped(name)
        }
