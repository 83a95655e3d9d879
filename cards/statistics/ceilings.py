"""Count accuracy ceilings for stats.json from the complete rows of validation and test: of Symile-M3 by the words of
its rows, of PID and XOR data by their symbols.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets.m3.ceilings import ONE_LEFT_OUT, RANDOM, named_ceilings, random_candidate, subset_ceilings
from symile_data.datasets.m3.word_rows import WordRowsReader
from symile_data.datasets.pid.ceilings import subset_ceilings as symbol_ceilings
from symile_data.datasets.symbol_rows import SymbolReader
from symile_data.format.manifest import Manifest

_DIGITS = 6
_MOST_CELLS = 1 << 25  # rows times values that can occur: a few seconds


class CeilingCounter(Protocol):
    """Collects the rows of one split batch by batch and counts its ceilings."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Collect one batch of rows."""
        ...

    def summary(self) -> dict[str, Any]:
        """Return the ceilings; {} where there are none."""
        ...


def ceiling_counter(manifest: Manifest, masks: tuple[str, ...], words: bool) -> CeilingCounter | None:
    """Return the counter for one split of a dataset; None where no ceilings are known.

    Args:
        manifest: The manifest of the dataset.
        masks: Bool columns that mark the rows to leave out.
        words: Whether the rows have the words of Symile-M3.
    """
    if words:
        return CeilingCounts(masks)
    reader = symbol_reader(manifest)
    return None if reader is None else SymbolCeilings(reader, masks)


def symbol_reader(manifest: Manifest) -> SymbolReader | None:
    """Return what reads the symbols of PID and XOR data; None for other datasets."""
    return SymbolReader.of(manifest.identity.spec, manifest.modalities)


@dataclass
class SymbolCeilings:
    """The symbols of one split's complete rows, collected batch by batch.

    Args:
        reader: Reads symbols from the rows.
        masks: Bool columns that mark the rows to leave out.
    """

    reader: SymbolReader
    masks: tuple[str, ...]
    _parts: list[pa.RecordBatch] = field(default_factory=list)
    _count: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Collect one batch of rows, which has the masks and the columns of the reader."""
        complete = ~_lacking(batch, self.masks)
        self._count += int(complete.sum())
        if self._is_too_much():
            self._parts.clear()
        else:
            self._parts.append(batch.select(self.reader.columns).filter(pa.array(complete)))

    def summary(self) -> dict[str, Any]:
        """Return the ceilings of finding a modality by its value among all rows: "rows", and "subsets", the best
        accuracy by target and by the modalities that are read. The result is empty where there are no complete rows,
        or too many to compare each with every value.
        """
        if not self._count or self._is_too_much():
            return {}
        table, design = pa.Table.from_batches(self._parts), self.reader.design
        found = symbol_ceilings(design, self.reader.rows(table).symbols)
        return {"rows": self._count, "subsets": {target: _rounded(ceilings) for target, ceilings in found.items()}}

    def _is_too_much(self) -> bool:
        """Whether the rows so far are too many to compare each with every value."""
        values = max(self.reader.design.values_of(name) for name in self.reader.design.names)
        return self._count * min(self._count, values) > _MOST_CELLS


@dataclass
class CeilingCounts:
    """The words of one split's complete rows, collected batch by batch.

    Args:
        masks: Columns that mark missing modalities.
    """

    masks: tuple[str, ...]
    _reader: WordRowsReader = field(default_factory=WordRowsReader)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count one batch of rows, which has the masks and the columns of `WordRowsReader`."""
        if not self._reader.fits(batch.schema):
            return
        self._reader.add(batch, _lacking(batch, self.masks))

    def summary(self) -> dict[str, Any]:
        """Return the ceilings of finding the image by its class among all rows: "rows", "random_candidate",
        "text_alone", "all_words_alike", "counting" and, with keys, "one_left_out"; and "subsets", the best accuracy by
        target and by the modalities that are read, and with keys "without_one", the best one by target where one
        modality is not read. The result is empty where there are no complete rows.
        """
        rows = self._reader.rows()
        if rows is None:
            return {}
        named = {RANDOM: random_candidate(np.bincount(rows.classes)), **named_ceilings(rows, "image")}
        subsets = {target: _rounded(found) for target, found in subset_ceilings(rows).items()}
        found = {"rows": len(rows), **_rounded(named), "subsets": subsets}
        if not rows.keys:
            return found
        return found | {
            "without_one": _rounded({target: named_ceilings(rows, target)[ONE_LEFT_OUT] for target in subsets})
        }


def _lacking(batch: pa.RecordBatch, masks: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """(N,) bool: the rows that some mask marks."""
    lacking = np.zeros(len(batch), dtype=bool)
    for name in masks:
        lacking |= pc.fill_null(batch[name], True).to_numpy(zero_copy_only=False)
    return lacking


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in values.items()}
