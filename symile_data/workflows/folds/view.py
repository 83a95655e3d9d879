"""A dataset whose splits are those of one fold, in place of its own.

Sets of candidates are frozen for the dataset's own splits, and rows of one set come into different folds. So they are
drawn anew among the rows of the validation and test splits of the fold, by the rule of the build: the row itself, then
rows of other patients that have the modality to retrieve. A set of a fold lies wholly in its split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from symile_data.datasets import MIMIC
from symile_data.errors import UsageError
from symile_data.files import digest
from symile_data.format.manifest import Manifest
from symile_data.progress.amounts import counted

from .fold_file import LEAST_FOLDS, check_dataset, fold_rows, read_folds

if TYPE_CHECKING:
    from symile_data.loaders import Split
    from symile_data.training.run_record import FoldChoice

CANDIDATES = "candidates"


class FoldView:
    """One fold of a dataset.

    Args:
        directory: The dataset's directory.
        manifest: Its manifest.
        choice: The file, the fold and the repetition.
        features: Names of sets of features beside the dataset, whose columns the splits have too.

    Raises:
        DamageError: the file of folds cannot be read or was changed.
        UsageError: it is of another dataset, or has no such fold or repetition.
    """

    def __init__(self, directory: Path, manifest: Manifest, choice: FoldChoice, features: Sequence[str] = ()) -> None:
        path = Path(choice.file)
        self._directory, self._whole, self._choice, self._features = directory, manifest, choice, features
        self._file = read_folds(path)
        check_dataset(self._file, manifest, directory, path)
        self._rows = fold_rows(self._file, choice.fold, choice.repeat)
        self._key = digest([self._file.digest, choice.fold, choice.repeat])

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest with the sizes of the fold's splits, and with a fingerprint of its own."""
        identity = self._whole.identity
        folds = {"digest": self._file.digest, "fold": self._choice.fold, "repeat": self._choice.repeat}
        return replace(
            self._whole,
            identity=replace(identity, sources={**identity.sources, "folds": folds}),
            splits={split: len(rows) for split, rows in self._rows.items()},
        )

    def split(self, name: str) -> Split:
        """Open a split of the fold.

        Raises:
            UsageError: there is no such split, or a split of the fold has too few rows for sets of candidates.
            DamageError: a shard is missing, truncated or differs from the manifest.
        """
        from symile_data.loaders.selection import select_rows

        if name not in self._rows:
            raise UsageError("a fold has no such split", got=name, do=f"choose among {', '.join(self._rows)}")
        selected = select_rows(self._splits, name, self._rows[name], key=self._key)
        if CANDIDATES not in selected.columns:
            return selected
        if self._whole.identity.dataset != MIMIC:  # whose rows other sets name is not known: evaluation draws them
            return replace(selected, schema=selected.schema.remove(selected.columns.index(CANDIDATES)))
        drawn = self._candidates(selected)
        return select_rows(self._splits, name, self._rows[name], key=self._key, columns={CANDIDATES: drawn})

    @cached_property
    def _splits(self) -> list[Split]:
        from symile_data.loaders import open_split

        there = self._whole
        return [
            open_split(self._directory, split, manifest=there, features=self._features)
            for split, rows in there.splits.items()
            if rows
        ]

    def _candidates(self, split: Split) -> pa.Array:
        """Draw the sets of the rows of a split; null in the training split and for rows without an X-ray."""
        from symile_data.builders.mimic.cohort.candidates import draw_candidates

        kind = split.schema.field(CANDIDATES).type
        if split.name == "train":
            return pa.nulls(split.rows, kind)
        table = split.read_all(["hadm_id", "subject_id", "cxr_missing"])
        ids, subjects = (np.asarray(table[name].to_numpy()) for name in ("hadm_id", "subject_id"))
        eligible = ~np.asarray(table["cxr_missing"].to_numpy())
        spec: Mapping[str, int] = self._whole.identity.spec
        stream = f"{split.name}/folds/{self._choice.repeat}/{self._choice.fold}"
        try:
            rows = draw_candidates(stream, subjects, eligible, spec[CANDIDATES], self._file.seed, same_patient=False)
        except UsageError:
            raise UsageError(
                "a fold has too few patients for the dataset's sets of candidates",
                where=self._choice.file,
                got=f"{counted(len(set(subjects.tolist())), 'patient')}, {spec[CANDIDATES]} candidates",
                do="make fewer `folds`, or build the dataset with more patients or fewer `candidates`"
                if self._file.folds > LEAST_FOLDS
                else "build the dataset with more patients or fewer `candidates`",
            ) from None
        return pa.array([None if row[0] < 0 else ids[row].tolist() for row in rows], kind)
