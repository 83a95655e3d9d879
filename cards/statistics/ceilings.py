"""Count the accuracy ceilings of Symile-M3 for stats.json from the complete rows of validation and test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets.m3.ceilings import ONE_LEFT_OUT, RANDOM, named_ceilings, random_candidate, subset_ceilings
from symile_data.datasets.m3.word_rows import WordRowsReader

_DIGITS = 6


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
        lacking = np.zeros(len(batch), dtype=bool)
        for name in self.masks:
            lacking |= pc.fill_null(batch[name], True).to_numpy(zero_copy_only=False)
        self._reader.add(batch, lacking)

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


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in values.items()}
