"""Rows of one split as they are written, apart from their media: masked, misaligned and noisy.

`masked_rows` takes the rows of a `RowSource`, puts the values of donors where rows are misaligned, and blanks what is
missing. A place is the row of an image, a recording or a key in its media store; -1 where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
from .columns import LabelledRows, RowSource

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


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
    images: IntArray
    audio: IntArray
    keys: Mapping[str, IntArray]
    noisy: Mapping[str, BoolArray]


def masked_rows(state: BuildState, internal: Path, source: RowSource, split: str, start: int, stop: int) -> MaskedRows:
    """Return the rows `start` to `stop - 1` of a split. A modality that is simulated to be missing, or has no usable
    file, is null and marked in its mask.
    """
    rows = _Rows(state, internal, source, split, start, stop)
    rows.show_donors()
    rows.draw_noise()
    rows.mask()
    rows.add_noise()
    stored = {key.name: rows.places[key.name] for key in stored_keys(state)}
    return MaskedRows(rows.columns, rows.places["image"], rows.places["audio"], stored, rows.noisy)


class _Rows:
    """Rows in the making.

    Attributes:
        columns: Their columns so far.
        places: Modality -> (N,) places of the values that they show.
        absent: Modality -> (N,) bool, rows that lack it themselves.
        noisy: Modality that can be noisy -> (N,) bool, rows in which it is.
    """

    def __init__(self, state: BuildState, internal: Path, source: RowSource, split: str, start: int, stop: int) -> None:
        labelled = source.rows(start, stop)
        self.state, self.internal, self.source, self.split = state, internal, source, split
        self.settings = Reliability.of(state.reliability)
        self.modalities = m3_modalities(state.keys)
        self.within, self.numbers = SplitRows.of(state.rows, split), np.arange(start, stop)
        self.sample_ids = self.within.sample_ids(self.numbers)
        self.stores = {
            "image": MediaStore(internal, "images", state.image_stores[split]),
            "audio": MediaStore(internal, "clips", state.audio_stores[split]),
        }
        self.places = {
            "image": self.stores["image"].rows_of(labelled.slots),
            "audio": self.stores["audio"].rows_of(labelled.recordings),
            "text": np.zeros(stop - start, dtype=np.int64),
            **key_places(state, internal, split, labelled.keys),
        }
        self.absent = {
            name: missing(state.seed, self.sample_ids, name, state.rate(split, name)) | (places < 0)
            for name, places in self.places.items()
        }
        self.columns: dict[str, pa.Array] = dict(
            zip(labelled.labels.schema.names, labelled.labels.columns, strict=True)
        )
        self.columns["sample_id"] = pa.array(self.sample_ids)
        self.noisy: dict[str, BoolArray] = {}

    def show_donors(self) -> None:
        """Put the values of donors into misaligned rows, and the class of each image that is shown into a column."""
        if "image" in self.settings.misaligned:
            self.columns[IMAGE_CLASS] = self.columns["cls_id"]
        for name in self.settings.misaligned:
            drawn = self.settings.draw(self.state.seed, self.within, self.numbers, name, self.absent[name])
            swapped = drawn.shown.misaligned
            if not swapped.any():
                continue
            lent = _lent(self.source, drawn.shown)
            if name == "text":
                for column in ("text", "words", "target_text"):
                    self.columns[column] = _replaced(self.columns[column], swapped, lent.labels[column])
            else:
                self.places[name][swapped] = self._places_of(name, lent)
            if name == "image":
                self.columns[IMAGE_CLASS] = _replaced(self.columns[IMAGE_CLASS], swapped, lent.labels["cls_id"])

    def _places_of(self, name: str, lent: LabelledRows) -> IntArray:
        """Look up the places of the images, recordings or values of a key that donors lend."""
        if name in self.stores:
            return self.stores[name].rows_of(lent.slots if name == "image" else lent.recordings)
        return key_places(self.state, self.internal, self.split, {name: lent.keys[name]})[name]

    def draw_noise(self) -> None:
        """Draw which values are noisy, and add the columns that say which rows are misaligned or noisy."""
        for name in {**self.settings.misaligned, **self.settings.noisy}:
            absent = self.absent[name] | (self.places[name] < 0)
            affected = self.settings.draw(self.state.seed, self.within, self.numbers, name, absent)
            self.columns |= {column: pa.array(values) for column, values in affected.columns(name).items()}
            if name in self.settings.noisy:
                self.noisy[name] = affected.noisy

    def mask(self) -> None:
        """Blank what is missing, mark it, and add the ids of what is shown."""
        for modality in self.modalities:
            places = self.places[modality.name]
            absent = self.absent[modality.name] | (places < 0)
            places[absent] = -1
            self.columns[modality.mask] = pa.array(absent)
        for name, column in (("image", "image_id"), ("audio", "clip_id")):
            self.columns[column] = self.stores[name].ids.take(_or_null(self.places[name]))
        text = next(modality for modality in MODALITIES if modality.name == "text")
        _blank(self.columns, text, self.places["text"])
        self.columns |= key_columns(self.state, self.internal, self.split, self.places)

    def add_noise(self) -> None:
        """Give noisy media ids of their own, and add noise to codes. The shard makes the media noisy."""
        for modality in self.modalities:
            if modality.name not in self.noisy:
                continue
            noisy = self.noisy[modality.name]
            if modality.id_column is not None:
                ids = noisy_ids(self.columns[modality.id_column], noisy, self.sample_ids)
                self.columns[modality.id_column] = ids
                continue
            level = self.settings.noise_level(modality.name, modality.kind)
            self.columns[modality.column] = _noisy_codes(
                self.columns[modality.column], noisy, self.state.seed, self.sample_ids, modality.name, level
            )


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
