"""Misaligned and noisy values of a custom dataset: other rows lend their values, and stored values get noise.

A donor is another row of the split that has the modality and, where a column is named, differs in it. All columns that
go with the modality follow its value. A noisy image or recording is a file of its own and gets an id of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from symile_data.errors import SourceError, UsageError
from symile_data.format.media import IMAGE_ERRORS
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.misalignment import Lenders
from symile_data.noise import noise_generator
from symile_data.reliability import AffectedRows, Reliability, SplitRows

from ..engine.noise import noisy_audio, noisy_id, noisy_numbers, noisy_png, noisy_record
from .arguments import check_row

Row = Mapping[str, Any]

_BLOCK = 1_000  # rows whose draws are made together
_FILES = {"image": (noisy_png, ".png"), "audio": (noisy_audio, ".flac")}
_NUMBERS = ("vector", "features")
_KINDS = (*_FILES, *_NUMBERS, "ecg")  # kinds whose values can be noisy


@dataclass(frozen=True, kw_only=True)
class UnreliableValues:
    """What makes the values of a custom dataset unreliable.

    Args:
        schema: Columns and modalities of the dataset, without the columns that this adds.
        reliability: Rates and levels.
        seed: Seed of all draws.

    Raises:
        UsageError: the settings do not fit the modalities or columns.
    """

    schema: DatasetSchema
    reliability: Reliability
    seed: int

    def __post_init__(self) -> None:
        kinds = {modality.name: modality.kind for modality in self.schema.modalities}
        numbers = {name: "numbers" for name, kind in kinds.items() if kind in _NUMBERS}
        settings = replace(self.reliability, noise_kinds=numbers, donors_have_value=True)
        object.__setattr__(self, "reliability", settings)
        settings.check(kinds)
        if settings.donors_differ_in and settings.donors_differ_in not in self.schema.features:
            raise UsageError("donors_differ_in names no column", got=repr(settings.donors_differ_in))
        for modality in self.schema.modalities:
            if modality.name in settings.noisy:
                _check_noise(modality, self.schema)
            for column in settings.columns_of(modality.name):
                if column in self.schema.features:
                    raise UsageError("a column has the name of a flag of unreliable rows", got=column, do="rename it")

    @property
    def whole_schema(self) -> DatasetSchema:
        """The schema with the columns of misaligned and noisy rows."""
        from datasets import Features, Value

        features = dict(self.schema.features)
        for modality in self.schema.modalities:
            columns = self.reliability.columns_of(modality.name)
            features |= {column: Value(dtype) for column, dtype in columns.items()}
        return replace(self.schema, features=Features(features))

    def rows(self, split: str, first_id: int, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows of a split with the values of their donors and the columns that say so, still without noise.

        Args:
            split: Name of the split.
            first_id: The sample_id of its first row.
            rows: Its rows; a sequence where modalities are misaligned.

        Raises:
            UsageError: the rows are no sequence and must be.
            SourceError: a row is no dictionary, or brings a sample_id that is not its number.
        """
        listed = _listed(rows) if self.reliability.misaligned else None
        within = SplitRows(split, first_id, len(listed or ()))
        lenders = {} if listed is None else self._lenders(split, listed)
        numbered = enumerate(rows)
        while part := list(itertools.islice(numbered, _BLOCK)):
            for number, row in part:
                _check_row(row, first_id + number, f"{split}, row {number}")
            yield from self._shown(within, part[0][0], [row for _, row in part], lenders, listed)

    def add_noise(self, row: dict[str, Any], where: str) -> None:
        """Make the noisy values of a row noisy, by the columns that say which are.

        Args:
            row: Its values as they are stored; changed in place.
            where: Split and row, for messages.

        Raises:
            SourceError: an image or recording cannot be read.
        """
        for modality in self.schema.modalities:
            if not row.get(f"{modality.name}_noisy"):
                continue
            rng = noise_generator(self.seed, int(row["sample_id"]), modality.name)
            level = self.reliability.noise_level(modality.name, modality.kind)
            value = row[modality.column]
            if modality.kind not in _FILES:
                row[modality.column] = _noisy_list(modality, value, level, rng)
                continue
            make, suffix = _FILES[modality.kind]
            try:
                data = make(value["bytes"], level, rng)
            except (
                *IMAGE_ERRORS,
                Image.DecompressionBombError,
                RuntimeError,
            ) as error:  # soundfile raises RuntimeErrors
                raise SourceError(
                    f"a value of {modality.name} cannot be read, so it cannot be made noisy", where=where, got=error
                ) from None
            path = None if value["path"] is None else f"{noisy_id(value['path'], row['sample_id'])}{suffix}"
            row[modality.column] = {"bytes": data, "path": path}
            if modality.id_column is not None:
                row[modality.id_column] = noisy_id(row[modality.id_column], row["sample_id"])

    def _lenders(self, split: str, rows: Sequence[Row]) -> dict[str, Lenders]:
        """Read every row once, to know which can lend its values to which."""
        swapped = [modality for modality in self.schema.modalities if modality.name in self.reliability.misaligned]
        able = {modality.name: np.zeros(len(rows), dtype=bool) for modality in swapped}
        numbers: dict[Any, int] = {}
        groups = np.zeros(len(rows), dtype=np.int64)
        for place in range(len(rows)):
            row = rows[place]
            _check_row(row, None, f"{split}, row {place}")
            for modality in swapped:
                able[modality.name][place] = row.get(modality.column) is not None
            if self.reliability.donors_differ_in:
                groups[place] = numbers.setdefault(row.get(self.reliability.donors_differ_in), len(numbers))
        apart = groups if self.reliability.donors_differ_in else None
        return {name: Lenders(can, apart) for name, can in able.items()}

    def _shown(
        self,
        split: SplitRows,
        first: int,
        block: Sequence[Row],
        lenders: Mapping[str, Lenders],
        rows: Sequence[Row] | None,
    ) -> Iterator[Row]:
        places = np.arange(first, first + len(block))
        affected: dict[str, AffectedRows] = {}
        for modality in self.schema.modalities:
            if self.reliability.columns_of(modality.name):
                absent = np.array([row.get(modality.column) is None for row in block], dtype=bool)
                affected[modality.name] = self.reliability.draw(
                    self.seed, split, places, modality.name, absent, lenders.get(modality.name)
                )
        for number, row in enumerate(block):
            shown = dict(row)
            for modality in self.schema.modalities:
                if modality.name not in affected:
                    continue
                drawn, columns = affected[modality.name], self.reliability.columns_of(modality.name)
                if rows is not None and drawn.shown.misaligned[number]:
                    lent = rows[int(drawn.shown.places[number])]
                    shown |= {column: lent[column] for column in modality.null_columns if column in lent}
                told = drawn.columns(modality.name)
                shown |= {column: told[column][number].item() for column in columns}
            yield shown


def spec_with(spec: Mapping[str, Any], unreliable: UnreliableValues | None, seed: int) -> dict[str, Any]:
    """Return the spec of a dataset with the settings of its unreliable values.

    Raises:
        UsageError: the spec has one of these settings of its own.
    """
    taken = [name for name in Reliability.__dataclass_fields__ if name in spec]
    if unreliable is not None and spec.get("seed", seed) != seed:
        taken.append("seed")
    if taken:
        raise UsageError(
            "the spec has a key that stands for the settings of misaligned and noisy values",
            got=taken[0],
            do="call it otherwise, and give reliability and seed",
        )
    return dict(spec) if unreliable is None else {**spec, "seed": seed, **unreliable.reliability.to_json()}


def _check_noise(modality: Modality, schema: DatasetSchema) -> None:
    """Refuse noise on values for which this module has none."""
    from datasets import Value

    if modality.kind not in _KINDS:
        raise UsageError(
            f"{modality.name} is of a kind that cannot be made noisy in a dataset of your own",
            got=modality.kind,
            do=f"choose a modality of one of the kinds {', '.join(_KINDS)}",
        )
    feature = schema.features[modality.column]
    if modality.kind in _NUMBERS and not str(feature.feature.dtype).startswith("float"):
        raise UsageError(
            f"noise makes numbers that are not whole, and {modality.name} holds {feature.feature.dtype}",
            do="declare it as List(Value('float32'), length=...)",
        )
    if modality.id_column is not None and schema.features[modality.id_column] != Value("string"):
        raise UsageError(
            f"a noisy {modality.kind} gets an id of its own, so the id_column of {modality.name} holds text",
            got=modality.id_column,
            do="declare it as Value('string')",
        )


def _listed(rows: Iterable[Row]) -> Sequence[Row]:
    if not (hasattr(rows, "__len__") and hasattr(rows, "__getitem__")) or isinstance(rows, Mapping):
        raise UsageError(
            "`misaligned` rows show values of rows before and after them",
            got=f"rows of type {type(rows).__name__}",
            do="give the rows of a split as a list, or as an object with len() and rows[number]",
        )
    return rows  # type: ignore[return-value]  # it has what a sequence needs here


def _check_row(row: Row, sample_id: int | None, where: str) -> None:
    check_row(row, where)
    if sample_id is not None and row.get("sample_id", sample_id) != sample_id:
        raise SourceError(
            "with misaligned or noisy values rows are numbered in order, and this one brings another sample_id",
            where=where,
            got=row["sample_id"],
            do=f"leave sample_id out, or give {sample_id}",
        )


def _noisy_list(modality: Modality, value: Any, level: float, rng: np.random.Generator) -> list[Any]:
    """Return a list of numbers with noise; None stays None."""
    if modality.kind == "ecg":
        record: npt.NDArray[np.int16] = np.asarray(value, dtype=np.int16)
        leads = len(modality.details.get("leads", ())) or 1
        return noisy_record(record.reshape(leads, -1), level, rng).ravel().tolist()
    numbers = np.array([np.nan if one is None else one for one in value], dtype=np.float64)
    noisy = noisy_numbers(numbers, level, rng).tolist()
    return [None if one is None else number for one, number in zip(value, noisy, strict=True)]
