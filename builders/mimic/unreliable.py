"""Misaligned and noisy X-rays, electrocardiograms and blood tests: what the rows of a shard show.

A donor is a row of the same split that has the modality and is another patient's. The columns that describe a value
follow it: the id and the hours of an X-ray or electrocardiogram, the hours, percentiles and masks of the tests. Labels
(CheXpert's findings, age and sex) and the retrieval sets stay those of the row. A noisy X-ray or electrocardiogram has
an id of its own, and noisy tests get the percentiles of their new values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets.mimic.lab_items import LABS
from symile_data.datasets.mimic.schema import LEADS, MODALITIES, PATIENT, SAMPLES
from symile_data.format.schema import Modality
from symile_data.misalignment import Lenders
from symile_data.noise import noise_generator
from symile_data.reliability import AffectedRows, Reliability, SplitRows

from ..engine.noise import noisy_ids, noisy_labs, noisy_png, noisy_record
from .build_state import PLACES, SPLIT, UNKNOWN_PERCENTILES, read_build_state
from .percentiles import percentiles

_TESTS = ("labs", "labs_percentile")
_MASK_OF_TESTS = "labs_missing"

Columns = dict[str, pa.Array]


@dataclass(frozen=True)
class UnreliableSettings:
    """What decides the rows that are affected, and their noise.

    Args:
        reliability: Rates and levels.
        seed: Seed of the build.
        reference: Whether the percentiles are those of the public pipeline.
    """

    reliability: Reliability = field(default_factory=Reliability)
    seed: int = 0
    reference: bool = False


@dataclass(frozen=True)
class Shown:
    """The rows of a shard as they are shown.

    Args:
        rows: Their columns, without X-rays and electrocardiograms.
        affected: Modality -> what its rows show; only for modalities that can be affected.
    """

    rows: pa.Table
    affected: dict[str, AffectedRows]


def shown_in(state: pa.Table, split: str, start: int, stop: int, settings: UnreliableSettings) -> Shown:
    """Return the rows `start` to `stop - 1` of a split as they are shown, apart from noise.

    Args:
        state: All rows of the build.
        split: The split.
        start: First row.
        stop: Row after the last.
        settings: Rates and seed.
    """
    of_split = state.filter(pc.equal(state[SPLIT], split))
    rows = of_split.slice(start, stop - start)
    reliability, affected = settings.reliability, {}
    for modality in MODALITIES:
        if not reliability.columns_of(modality.name):
            continue
        absent = np.asarray(of_split[modality.mask].to_numpy()).astype(bool)
        lenders = Lenders(~absent, np.asarray(of_split[PATIENT].to_numpy()))
        within = SplitRows(split, int(of_split["sample_id"][0].as_py()), len(of_split))
        places = np.arange(start, start + len(rows))
        drawn = reliability.draw(settings.seed, within, places, modality.name, absent[places], lenders)
        affected[modality.name] = drawn
        for column in _following(modality):
            values = of_split[column].combine_chunks().take(pa.array(drawn.shown.places))
            rows = rows.set_column(rows.column_names.index(column), rows.schema.field(column), values)
    for name, drawn in affected.items():
        for column in reliability.columns_of(name):
            rows = rows.append_column(column, pa.array(drawn.columns(name)[column]))
    return Shown(rows, affected)


def add_noise(
    internal: Path,
    columns: Columns,
    media: dict[str, list[bytes | None]],
    drawn: Shown,
    first: int,
    settings: UnreliableSettings,
) -> None:
    """Make the values of noisy rows noisy, in the columns and media of consecutive rows.

    Args:
        internal: The build's `.build/` folder.
        columns: The columns of these rows; changed in place.
        media: Modality -> PNGs or signals of these rows; changed in place.
        drawn: The rows of the shard.
        first: Place of these rows among those of the shard.
        settings: The settings of the build.
    """
    for modality in MODALITIES:
        if modality.name not in settings.reliability.noisy:
            continue
        affected = drawn.affected[modality.name]
        part = slice(first, first + len(columns["sample_id"]))
        noisy, ids = affected.noisy[part], affected.ids[part]
        level = settings.reliability.noise_level(modality.name, modality.kind)
        if modality.id_column is not None:
            columns[modality.id_column] = noisy_ids(columns[modality.id_column], noisy, ids)
        if modality.name in media:
            for row in np.flatnonzero(noisy).tolist():
                if (clean := media[modality.name][row]) is not None:
                    rng = noise_generator(settings.seed, int(ids[row]), modality.name)
                    media[modality.name][row] = _noisy_medium(modality, clean, level, rng)
        elif noisy.any():
            columns |= _noisy_tests(internal, columns, noisy, ids, level, settings)


def _following(modality: Modality) -> list[str]:
    """List the columns of the build state that follow a modality's value to another row."""
    place = PLACES.get(modality.name)
    columns = [column for column in modality.null_columns if place is None or column != modality.column]
    return [*columns, *([_MASK_OF_TESTS] if place is None else [place])]


def _noisy_medium(modality: Modality, data: bytes, level: float, rng: np.random.Generator) -> bytes:
    if modality.kind == "image":
        return noisy_png(data, level, rng)
    record = np.frombuffer(data, dtype="<i2").astype(np.int16).reshape(len(LEADS), SAMPLES)
    return noisy_record(record, level, rng).astype("<i2").tobytes()


def _noisy_tests(
    internal: Path,
    columns: Columns,
    noisy: npt.NDArray[np.bool_],
    ids: npt.NDArray[np.int64],
    level: float,
    settings: UnreliableSettings,
) -> Columns:
    """Return the values and percentiles of tests, with noise in the rows that are marked."""
    values, placed = (_numbers(columns[name]) for name in _TESTS)
    for row in np.flatnonzero(noisy).tolist():
        values[row] = noisy_labs(values[row], level, noise_generator(settings.seed, int(ids[row]), "labs"))
    unknown = UNKNOWN_PERCENTILES[settings.reference]
    placed[noisy] = percentiles(_training_values(internal), values[noisy], unknown)
    return {name: _lists(found, columns[name]) for name, found in zip(_TESTS, (values, placed), strict=True)}


@lru_cache(maxsize=1)
def _training_values(internal: Path) -> npt.NDArray[np.float64]:
    """(N, 50) float64: the tests of the training split, NaN where not measured."""
    state = read_build_state(internal)
    return _numbers(state.filter(pc.equal(state[SPLIT], "train"))["labs"].combine_chunks())


def _numbers(column: pa.FixedSizeListArray) -> npt.NDArray[np.float64]:
    """(N, 50) float64, NaN where null. A row without any test may hold numbers behind its null."""
    flat = pc.fill_null(column.fill_null([None] * LABS).flatten(), float("nan"))
    return np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.float64).reshape(len(column), LABS).copy()


def _lists(values: npt.NDArray[np.float64], like: pa.FixedSizeListArray) -> pa.Array:
    """Turn (N, 50) numbers into lists like those of a column: null where NaN, and as a whole where it is null."""
    flat = pa.array(values.astype(np.float32).ravel(), mask=np.isnan(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, LABS, mask=like.is_null())
