"""The columns of a range of rows that hold no media, as Arrow arrays: labels, words, ids, masks. Vectorised, since a
deduplicated dataset of eleven million rows consists mostly of them.

`RowSource` says which rows there are: drawn by the plan (`DrawnRows`) or read from a published table
(`release.plan.PlannedRows`).
Legend: N rows, W words, C classes, L languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets.m3.keys import KEYS, TARGET_LANGUAGE
from symile_data.datasets.m3.names import SEPARATOR, imagenet_classes
from symile_data.datasets.m3.schema import IMAGE_CLASS, MODALITIES, m3_modalities
from symile_data.format.schema import Modality
from symile_data.misalignment import ShownRows
from symile_data.missingness import missing
from symile_data.noise import noise_generator
from symile_data.reliability import Reliability, SplitRows

from ...engine.noise import noisy_ids, noisy_numbers
from ..build_state import BuildState
from ..keys.columns import key_columns, key_places
from ..keys.media import stored_keys
from ..media_store import MediaStore

WORD = pa.struct([("text", pa.string()), ("lang", pa.string()), ("cls_id", pa.int32())])

LABELS = pa.schema(
    [
        ("lang", pa.string()),
        ("text", pa.string()),
        ("cls", pa.string()),
        ("cls_id", pa.int64()),
        ("target_text", pa.string()),
        ("wnid", pa.string()),
        ("words", pa.list_(WORD)),
    ]
)


def label_schema(keys: Sequence[str]) -> pa.Schema:
    """Return `LABELS`, and with keys the target language and the label of each key."""
    names = [(TARGET_LANGUAGE, pa.string()), *((KEYS[name].label, pa.int8()) for name in keys)]
    return pa.schema([*LABELS, *(pa.field(*name) for name in names)]) if keys else LABELS


@dataclass(frozen=True)
class LabelledRows:
    """Rows of one split, without media and masks.

    Args:
        labels: N rows of `label_schema`.
        slots: (N,) int64, number of the image among the split's images.
        recordings: (N,) int64, number of the recording among the split's audio.
        keys: By name of a key, (N,) int64 number of its image, tone or code in its media store.
    """

    labels: pa.RecordBatch
    slots: npt.NDArray[np.int64]
    recordings: npt.NDArray[np.int64]
    keys: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)


class RowSource(Protocol):
    """The rows of one split. Any range of them can be read alone."""

    def rows(self, start: int, stop: int) -> LabelledRows:
        """The rows `start` to `stop - 1`."""
        ...

    def used(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the distinct image slots and recording numbers that the split's rows use, each (U,) int64, sorted."""
        ...


@dataclass(frozen=True)
class DrawnRows:
    """Rows drawn by the plan.

    Args:
        state: State of the build.
        split: Name of the split.
    """

    state: BuildState
    split: str

    def rows(self, start: int, stop: int) -> LabelledRows:
        """The rows `start` to `stop - 1`."""
        plan, tables = self.state.plan(self.split), self._tables
        drawn = plan.draw(start, stop)
        languages = len(self.state.languages)
        cls, language, target = drawn.cls.astype(np.int64), drawn.language.astype(np.int64), drawn.target_language
        spoken = drawn.word_languages.astype(np.int64).ravel()
        names = tables.names.take(pa.array(drawn.word_classes.astype(np.int64).ravel() * languages + spoken))
        offsets = np.arange(0, len(names) + 1, self.state.words, dtype=np.int32)
        words = pa.StructArray.from_arrays(
            [
                names,
                tables.languages.take(pa.array(spoken)),
                tables.class_ids.take(pa.array(drawn.word_classes.ravel())),
            ],
            fields=list(WORD),
        )
        columns = {
            "lang": tables.languages.take(pa.array(language)),
            "text": pc.binary_join(pa.ListArray.from_arrays(offsets, names), SEPARATOR),
            "cls": tables.english.take(pa.array(cls)),
            "cls_id": tables.class_ids.take(pa.array(cls)).cast(pa.int64()),
            "target_text": tables.names.take(pa.array(cls * languages + target)),
            "wnid": tables.wnids.take(pa.array(cls)),
            "words": pa.ListArray.from_arrays(offsets, words),
            TARGET_LANGUAGE: tables.languages.take(pa.array(target)),
            **{KEYS[name].label: pa.array(key.values, pa.int8()) for name, key in drawn.keys.items()},
        }
        schema = label_schema(self.state.keys)
        labels = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
        recordings = plan.recording_offsets[language] + drawn.recording
        return LabelledRows(labels, drawn.slot, recordings, {name: key.numbers for name, key in drawn.keys.items()})

    def used(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the distinct image slots and recording numbers that the split's rows use, each (U,) int64, sorted."""
        return self.state.plan(self.split).used(self.state.rows[self.split])

    @cached_property
    def _tables(self) -> _Tables:
        state, (_, english) = self.state, imagenet_classes()
        return _Tables(
            names=pa.array([name for row in state.names for name in row], pa.string()),
            languages=pa.array(state.languages, pa.string()),
            wnids=pa.array(state.wnids, pa.string()),
            class_ids=pa.array(state.class_ids, pa.int32()),
            english=pa.array([english[cls] for cls in state.class_ids], pa.string()),
        )


@dataclass(frozen=True)
class _Tables:
    """The values that the indices of drawn rows stand for.

    Args:
        names: (C * L,) class by class.
        languages: (L,) codes.
        wnids: (C,).
        class_ids: (C,) int32.
        english: (C,) names of the classes.
    """

    names: pa.Array
    languages: pa.Array
    wnids: pa.Array
    class_ids: pa.Array
    english: pa.Array


@dataclass(frozen=True)
class MaskedRows:
    """Rows of one split as they are written, without their media.

    Args:
        columns: Every column without media, masks applied.
        images: (N,) int64 rows of the store of images; -1 where the image is missing.
        audio: (N,) int64 rows of the store of audio; -1 where the audio is missing.
        keys: By name of a key that is stored as files, (N,) int64 rows of its store; -1 where it is missing.
        noisy: By name of a modality that can be noisy, (N,) bool, True where it is.
    """

    columns: dict[str, pa.Array]
    images: npt.NDArray[np.int64]
    audio: npt.NDArray[np.int64]
    keys: Mapping[str, npt.NDArray[np.int64]]
    noisy: Mapping[str, npt.NDArray[np.bool_]]


def masked_rows(state: BuildState, internal: Path, source: RowSource, split: str, start: int, stop: int) -> MaskedRows:
    """Return the rows `start` to `stop - 1` of a split. A modality that is simulated to be missing, or has no usable
    file, is null and marked in its mask.
    """
    labelled = source.rows(start, stop)
    within = SplitRows.of(state.rows, split)
    sample_ids = within.sample_ids(np.arange(start, stop))
    stores = {
        "image": MediaStore(internal, "images", state.image_stores[split]),
        "audio": MediaStore(internal, "clips", state.audio_stores[split]),
    }
    places = {
        "image": stores["image"].rows_of(labelled.slots),
        "audio": stores["audio"].rows_of(labelled.recordings),
        "text": np.zeros(stop - start, dtype=np.int64),
        **key_places(state, internal, split, labelled.keys),
    }
    columns = dict(zip(labelled.labels.schema.names, labelled.labels.columns, strict=True))
    columns["sample_id"] = pa.array(sample_ids)
    own_absent = {
        name: missing(state.seed, sample_ids, name, state.rate(split, name)) | (place < 0)
        for name, place in places.items()
    }
    settings = Reliability.of(state.reliability)
    shown = {
        name: settings.draw(state.seed, within, np.arange(start, stop), name, own_absent[name]).shown
        for name in settings.misaligned
    }
    lenders = {name: _lent(source, rows) for name, rows in shown.items() if rows.misaligned.any()}
    for name, lent in lenders.items():
        swapped = shown[name].misaligned
        if name in stores:
            numbers = lent.slots if name == "image" else lent.recordings
            places[name][swapped] = stores[name].rows_of(numbers)
        elif name in state.keys:
            places[name][swapped] = key_places(state, internal, split, {name: lent.keys[name]})[name]
    noisy: dict[str, npt.NDArray[np.bool_]] = {}
    for name in {**settings.misaligned, **settings.noisy}:
        absent = own_absent[name] | (places[name] < 0)
        affected = settings.draw(state.seed, within, np.arange(start, stop), name, absent)
        columns |= {column: pa.array(values) for column, values in affected.columns(name).items()}
        noisy |= {name: affected.noisy} if name in settings.noisy else {}
    if "text" in lenders:
        for column in ("text", "words", "target_text"):
            columns[column] = _replaced(columns[column], shown["text"].misaligned, lenders["text"].labels[column])
    if "image" in settings.misaligned:
        classes = columns["cls_id"]
        if "image" in lenders:
            classes = _replaced(classes, shown["image"].misaligned, lenders["image"].labels["cls_id"])
        columns[IMAGE_CLASS] = classes
    for modality in m3_modalities(state.keys):
        absent = own_absent[modality.name] | (places[modality.name] < 0)
        places[modality.name][absent] = -1
        columns[modality.mask] = pa.array(absent)
    for name, column in (("image", "image_id"), ("audio", "clip_id")):
        columns[column] = stores[name].ids.take(_or_null(places[name]))
    _blank(columns, next(modality for modality in MODALITIES if modality.name == "text"), places["text"])
    columns |= key_columns(state, internal, split, places)
    for modality in m3_modalities(state.keys):
        if modality.name in noisy and modality.id_column is not None:
            columns[modality.id_column] = noisy_ids(columns[modality.id_column], noisy[modality.name], sample_ids)
        elif modality.name in noisy:
            level = settings.noise_level(modality.name, modality.kind)
            columns[modality.column] = _noisy_codes(
                columns[modality.column], noisy[modality.name], state.seed, sample_ids, modality.name, level
            )
    stored = {key.name: places[key.name] for key in stored_keys(state)}
    return MaskedRows(columns, places["image"], places["audio"], stored, noisy)


def _noisy_codes(
    column: pa.FixedSizeListArray,
    noisy: npt.NDArray[np.bool_],
    seed: int,
    sample_ids: npt.NDArray[np.int64],
    name: str,
    level: float,
) -> pa.Array:
    """Return the column of a key that is a list of numbers, with noise in the rows that are marked."""
    values = np.asarray(column.values.to_numpy(), dtype=np.float32).reshape(len(column), -1).copy()
    for row in np.flatnonzero(noisy).tolist():
        values[row] = noisy_numbers(values[row], level, noise_generator(seed, int(sample_ids[row]), name))
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1], mask=column.is_null())


def _lent(source: RowSource, shown: ShownRows) -> LabelledRows:
    """Return the donors of the misaligned rows, in the order of these rows."""
    rows = [source.rows(place, place + 1) for place in shown.places[shown.misaligned].tolist()]
    return LabelledRows(
        pa.Table.from_batches([row.labels for row in rows]).combine_chunks().to_batches()[0],
        np.concatenate([row.slots for row in rows]),
        np.concatenate([row.recordings for row in rows]),
        {name: np.concatenate([row.keys[name] for row in rows]) for name in rows[0].keys},
    )


def _replaced(column: pa.Array, swapped: npt.NDArray[np.bool_], values: pa.Array) -> pa.Array:
    """Return a column with other values in the rows that are marked, in order."""
    at = np.arange(len(column))
    at[swapped] = len(column) + np.arange(len(values))
    return pa.concat_arrays([column, values]).take(pa.array(at))


def _blank(columns: dict[str, pa.Array], modality: Modality, places: npt.NDArray[np.int64]) -> None:
    """Make a modality's columns null where the place is -1. `take` also drops the bytes behind the nulls."""
    if (places < 0).any():
        kept = _or_null(np.where(places < 0, -1, np.arange(len(places))))
        for column in modality.null_columns:
            columns[column] = columns[column].take(kept)


def _or_null(places: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(places, mask=places < 0)
