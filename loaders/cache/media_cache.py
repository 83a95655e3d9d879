"""Batches from memory: every unique medium decoded once, and an epoch then costs a gather.

A medium is unique by its id column (`image_id`, `clip_id`: the modality's companion that ends in `_id`), else each
row has its own. The decoded arrays are kept in RAM, for one loader or in a `MediaCache` for all loaders of a process,
or in a directory as .npy files that are memory-mapped: then every process and every later run shares them and the
operating system decides what stays in memory. The last is also the way to read precomputed features.

Legend: N rows, U unique media, M modalities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.errors import UsageError
from symile_data.extras import needs_extra
from symile_data.files import digest
from symile_data.rng import Stream

from ..batches import Array, BoolArray, DecodeErrors, ModalityReader, Recipe, runs
from ..decoders.base import UndecodableError
from ..labels import label_values, one_chunk
from ..shuffle import BatchSlice
from ..stream import PartialBatch
from .folder import made_once, mapped
from .stored_media import VALUES, CachedMedia, read_cached, write_cached

with needs_extra("train", "loading batches"):
    import torch

_ENCODE_CHUNK = 512  # media encoded at a time
_NONE, _DAMAGED = -1, -2  # in place of an index into the unique media
_FORMAT = 3

IntArray = npt.NDArray[np.int64]


class Encode(Protocol):
    """A function of a chunk of decoded media (U, ...) to features (U, F)."""

    @property
    def key(self) -> str:
        """Equal for functions that make equal features; a `MediaCache` then makes them once."""

    def __call__(self, media: torch.Tensor) -> torch.Tensor:
        """Encode a chunk."""


@dataclass(frozen=True)
class MediaCache:
    """What was decoded in this process, and features made of it, for all loaders that are given this cache.

    Args:
        decoded: By what it is a function of, the index of each row's medium and the media.
        features: By that and the encoder's key, features of the media.
    """

    decoded: dict[str, tuple[IntArray, Array]] = field(default_factory=dict)
    features: dict[tuple[str, str], torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DecodedSplit:
    """A split with all media decoded.

    Args:
        sample_ids: (N,).
        missing: (N, M) stored or simulated.
        damaged: (N,) rows with a medium that cannot be decoded.
        labels: (N, ...) of each label column.
        index: By modality, (N,) which of the unique media; 0 where there is none.
        media: By modality, (U, ...) decoded values; texts as an Arrow array of N rows.
        keys: By modality, what the media are a function of.
        encoded_names: Modalities whose media are features by now.
        mapped: By modality, media of a cache directory, which are compared with checksums when they are used.
    """

    recipe: Recipe
    sample_ids: IntArray
    missing: BoolArray
    damaged: BoolArray
    labels: dict[str, Array]
    index: dict[str, torch.Tensor]
    media: dict[str, torch.Tensor | pa.Array]
    keys: dict[str, str]
    encoded_names: frozenset[str] = frozenset()
    mapped: Mapping[str, CachedMedia] = field(default_factory=dict)

    def batches(self, parts: Iterable[BatchSlice], donors: Mapping[str, IntArray]) -> Iterator[PartialBatch]:
        """Gather the batches of an epoch, in order.

        Args:
            parts: Which rows.
            donors: By modality, (N,) the row whose medium each row gets instead of its own; see `exchange`.
        """
        for part in parts:
            yield PartialBatch(part, self._gather(part.rows, donors), self.damaged[part.rows])

    def donors(self, name: str, column: str, seed: int, epoch: int) -> IntArray:
        """Exchange the media of one modality among rows of the same label, at random.

        Args:
            column: Label column that the batches deliver.

        Returns:
            (N,) for each row the row whose medium it gets; rows without a medium keep out of it.
        """
        position = [reader.name for reader in self.recipe.readers].index(name)
        rows = np.flatnonzero(~self.missing[:, position] & ~self.damaged)
        _, labels = np.unique(self.labels[column][rows].astype(str), return_inverse=True)
        order = Stream(seed, f"redraw/{name}/{epoch}").generator().permutation(len(rows))
        donors = np.arange(len(self.sample_ids))
        # Both sides sorted by label: the k-th row of a label gets the k-th of its label in random order.
        donors[rows[np.argsort(labels, kind="stable")]] = rows[order[np.argsort(labels[order], kind="stable")]]
        return donors

    def encoded(self, encoders: Mapping[str, Encode], memory: MediaCache | None = None) -> DecodedSplit:
        """The same split with the media of some modalities replaced by what a function makes of them, once each.

        Args:
            encoders: By modality.
            memory: Where features are kept for other loaders.
        """
        media = dict(self.media)
        features = MediaCache().features if memory is None else memory.features
        for name, encode in encoders.items():
            values = media[name]
            if not isinstance(values, torch.Tensor):
                raise UsageError("texts cannot be encoded once per medium", got=name)
            key = (self.keys[name], encode.key)
            if key not in features:
                if found := self.mapped.get(name):
                    found.compare(np.arange(len(values)))
                features[key] = torch.cat([encode(chunk) for chunk in torch.split(values, _ENCODE_CHUNK)])
            media[name] = features[key]
        mapped_media = {name: self.mapped[name] for name in self.mapped.keys() - encoders.keys()}
        return replace(self, media=media, encoded_names=frozenset(encoders), mapped=mapped_media)

    def _gather(self, rows: IntArray, donors: Mapping[str, IntArray]) -> dict[str, Array]:
        missing = self.missing[rows]
        batch: dict[str, Array] = {}
        for position, reader in enumerate(self.recipe.readers):
            media, absent = self.media[reader.name], np.flatnonzero(missing[:, position])
            if isinstance(media, torch.Tensor):
                # Which medium, then the medium: `rows` are in reading order, so both run through memory forwards.
                wanted = torch.from_numpy(donors[reader.name][rows] if reader.name in donors else rows)
                numbers = self.index[reader.name].index_select(0, wanted)
                if reader.name in self.mapped:
                    self.mapped[reader.name].compare(numbers.numpy())
                values = media.index_select(0, numbers).numpy()
                if reader.name not in self.encoded_names:
                    values = values.astype(reader.layout.dtype, copy=False)
            else:
                values = np.empty(len(rows), dtype=object)
                values[:] = media.take(pa.array(rows)).to_pylist()
            if len(absent):
                values[absent] = None if values.dtype == object else 0
            batch[reader.name] = values
        batch["missing"] = missing
        batch["padding"] = np.zeros(len(rows), dtype=bool)
        batch["sample_id"] = self.sample_ids[rows]
        for name, labels in self.labels.items():
            batch[name] = labels[rows]
        return batch


def decode_split(
    recipe: Recipe, *, threads: int, decode_errors: DecodeErrors, store: Path | MediaCache | None
) -> DecodedSplit:
    """Decode what is not decoded yet.

    Args:
        recipe: The split and what is delivered of it.
        threads: That read and decode.
        decode_errors: What to do about media that cannot be decoded.
        store: Directory to keep the media in, memory-mapped, or what keeps them in RAM for other loaders too; None
            keeps them for this one. Rows that only a simulated rate takes away are decoded too where others may want
            them.

    Raises:
        DamageError: a shard cannot be read, or a medium cannot be decoded and `decode_errors` does not skip it.
        OutputError: the directory cannot be written.
    """
    split = recipe.split
    masks = split.read_all(recipe.light_columns()) if recipe.light_columns() else None
    sample_ids = recipe.sample_ids(masks, 0) if masks is not None else np.arange(split.rows, dtype=np.int64)
    stored = np.zeros((split.rows, len(recipe.readers)), dtype=bool)
    if masks is not None:
        stored |= recipe.stored_missing(masks, 0)
    missing = stored | recipe.simulated_missing(sample_ids)
    damaged = np.zeros(split.rows, dtype=bool)
    index: dict[str, torch.Tensor] = {}
    media: dict[str, torch.Tensor | pa.Array] = {}
    keys, mapped_media = dict[str, str](), dict[str, CachedMedia]()
    for position, reader in enumerate(recipe.readers):
        if reader.layout.dtype == object:
            media[reader.name] = one_chunk(split.read_all([reader.column])[reader.column])
            missing[:, position] |= pc.is_null(media[reader.name]).to_numpy(zero_copy_only=False)
            continue
        job = _Job(recipe, reader, threads, decode_errors)
        if store is None:
            where, values = job.decode(missing[:, position], _in_memory)
        elif isinstance(store, MediaCache):
            where, values = job.decode_once(store, stored[:, position])
        else:
            where, mapped_media[reader.name] = job.decode_into(store, stored[:, position])
            values = mapped_media[reader.name].values
        keys[reader.name] = job.key
        missing[:, position] |= where == _NONE
        damaged |= (where == _DAMAGED) & ~missing[:, position]
        index[reader.name] = torch.from_numpy(np.maximum(where, 0))
        media[reader.name] = torch.from_numpy(values)
    labels = {}
    if masks is not None:
        labels = {label.name: label_values(split, label, masks, missing, 0) for label in recipe.labels}
    return DecodedSplit(
        recipe=recipe,
        sample_ids=sample_ids,
        missing=missing,
        damaged=damaged,
        labels=labels,
        index=index,
        media=media,
        keys=keys,
        mapped=mapped_media,
    )


@dataclass(frozen=True)
class _Job:
    """Decode the unique media of one modality."""

    recipe: Recipe
    reader: ModalityReader
    threads: int
    decode_errors: DecodeErrors

    def decode(
        self, skip: BoolArray, allocate: Callable[[tuple[int, ...], np.dtype[Any]], Array]
    ) -> tuple[IntArray, Array]:
        """Which medium each row has, and the media.

        Args:
            skip: (N,) rows without one.
            allocate: Makes the array for the media.

        Returns:
            (N,) index or _NONE or _DAMAGED, and (U, ...) values.
        """
        where, owners = _unique(self._keys(), skip)
        layout, split = self.reader.layout, self.recipe.split
        values = allocate((max(len(owners), 1), *layout.shape), layout.stored)
        status = np.zeros(max(len(owners), 1), dtype=np.int64)
        groups = np.searchsorted(split.group_starts, owners, side="right") - 1

        def work(run: tuple[int, int, int]) -> list[tuple[int, UndecodableError]]:
            group, first, last = run
            damaged = []
            column = one_chunk(split.read([self.reader.column], group)[self.reader.column])
            present, raw = column.is_valid().to_numpy(zero_copy_only=False), self.reader.decoder.values(column)
            for slot in range(first, last):
                row = int(owners[slot] - split.group_starts[group])
                if not present[row]:
                    status[slot] = _NONE
                    continue
                try:
                    values[slot] = self.reader.decoder.decode(raw[row], self.reader.settings)
                except UndecodableError as error:
                    damaged.append((int(owners[slot]), error))
                    status[slot] = _DAMAGED
            return damaged

        with ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as pool:
            jobs = [pool.submit(work, run) for run in runs(groups)] if len(owners) else []
            try:
                for job in jobs:
                    for row, error in job.result():  # met in the order of rows, whichever thread was first
                        self.decode_errors.meet(self.recipe, self.reader, row, error)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        found = status[np.maximum(where, 0)]
        return np.where((where >= 0) & (found < 0), found, where), values

    @property
    def key(self) -> str:
        """Equal for equal media: of the split, the modality and the decoder's settings."""
        return digest(
            [_FORMAT, self.recipe.split.fingerprint, self.reader.modality.to_json(), repr(self.reader.settings)]
        )

    def decode_once(self, memory: MediaCache, skip: BoolArray) -> tuple[IntArray, Array]:
        """As `decode`, unless another loader of this process did it."""
        if self.key not in memory.decoded:
            memory.decoded[self.key] = self.decode(skip, _in_memory)
        else:
            self._meet_again(memory.decoded[self.key][0])
        return memory.decoded[self.key]

    def decode_into(self, directory: Path, skip: BoolArray) -> tuple[IntArray, CachedMedia]:
        """As `decode`, with the results in a folder of `directory` that is made once and then memory-mapped."""

        def fill(folder: Path) -> None:
            write_cached(folder, *self.decode(skip, partial(mapped, folder / VALUES)))

        folder, new = made_once(directory, f"{self.reader.name}-{self.key[:16]}", fill)
        where, media = read_cached(folder, len(skip), self.reader.layout.shape, self.reader.layout.stored)
        if not new:
            self._meet_again(where)
        return where, media

    def _meet_again(self, where: IntArray) -> None:
        for row in np.flatnonzero(where == _DAMAGED).tolist():
            self.decode_errors.meet(self.recipe, self.reader, row, UndecodableError("found when it was cached"))

    def _keys(self) -> pa.Array | None:
        """(N,) ids of the media; None where each row has its own."""
        split = self.recipe.split
        known = [name for name in self.reader.modality.null_columns if name.endswith("_id") and name in split.columns]
        return one_chunk(split.read_all(known[:1])[known[0]]) if known else None


def _in_memory(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    return np.zeros(shape, dtype=dtype)


def _unique(keys: pa.Array | None, skip: BoolArray) -> tuple[IntArray, IntArray]:
    """Number the unique media in the order in which they first occur.

    Returns:
        (N,) number of each row's medium or _NONE, and (U,) the first row of each.
    """
    where = np.full(len(skip), _NONE, dtype=np.int64)
    present = np.flatnonzero(~skip)
    if keys is None:
        where[present] = np.arange(len(present))
        return where, present
    codes = pc.fill_null(keys.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False)[present]
    named, unnamed = present[codes >= 0], present[codes < 0]  # a medium without an id is its row's own
    _, first, inverse = np.unique(codes[codes >= 0], return_index=True, return_inverse=True)
    owners = np.concatenate([named[first], unnamed])
    where[named], where[unnamed] = inverse, len(first) + np.arange(len(unnamed))
    order = np.argsort(owners)
    rank = np.empty(len(owners), dtype=np.int64)
    rank[order] = np.arange(len(owners))
    where[present] = rank[where[present]]
    return where, owners[order]
