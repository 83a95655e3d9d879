"""Decode every unique image, audio or list of numbers of a split once, into memory or into a cache directory.

Legend: N rows, U unique values, M modalities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.extras import needs_extra
from symile_data.files import digest
from symile_data.format.safe_paths import file_name
from symile_data.format.shards.arrow_numpy import null_mask, one_chunk
from symile_data.format.unique_media import NO_MEDIA, number_media

from ..batches import Array, BatchSpec, BoolArray, DecodeErrors, ModalityReader, runs
from ..decoders.base import UndecodableError
from ..labels import label_values
from ..misaligned import drawn_owners
from .folder import made_once, mapped
from .media_cache import DecodedSplit, MediaCache
from .stored_media import VALUES, CachedMedia, read_cached, write_cached

with needs_extra("train", "loading batches"):
    import torch

_DAMAGED = -2  # like NO_MEDIA, in place of an index into the unique values
_FORMAT = 5  # raised whenever equal settings give other decoded values

IntArray = npt.NDArray[np.int64]


def decode_split(
    spec: BatchSpec, *, threads: int, decode_errors: DecodeErrors, store: Path | MediaCache | None
) -> DecodedSplit:
    """Decode the images, audio and lists of numbers of a split that `store` does not hold yet.

    Args:
        spec: The contents of a sample.
        threads: Number of threads that read and decode.
        decode_errors: Raises or records what cannot be decoded.
        store: A directory that keeps the decoded values, memory-mapped, or a `MediaCache` that keeps them in RAM for
            other loaders too; None keeps them for this loader. Where other loaders may want them, values that only
            simulated missingness takes away are decoded too.

    Raises:
        DamageError: a shard cannot be read, or a value cannot be decoded and `decode_errors` does not skip it.
        OutputError: the directory cannot be written.
    """
    split = spec.split
    table = split.read_all(spec.light_columns()) if spec.light_columns() else None
    if table is None:
        sample_ids = np.arange(split.rows, dtype=np.int64)
        stored = np.zeros((split.rows, len(spec.readers)), dtype=bool)
    else:
        sample_ids, stored = spec.sample_ids(table, 0), spec.stored_missing(table, 0)
    missing = stored | spec.simulated_missing(sample_ids)
    damaged = np.zeros(split.rows, dtype=bool)
    index: dict[str, torch.Tensor] = {}
    media: dict[str, torch.Tensor | pa.Array] = {}
    keys, mapped_media = dict[str, str](), dict[str, CachedMedia]()
    owners: dict[str, IntArray] = {}
    for position, reader in enumerate(spec.readers):
        if reader.layout.dtype == object:
            media[reader.name] = one_chunk(split.read_all([reader.column])[reader.column])
            stored[:, position] |= null_mask(media[reader.name])
            missing[:, position] |= stored[:, position]
            present = ~stored[:, position]
        else:
            task = _DecodeTask(spec, reader, threads, decode_errors)
            where, values = task.decode_for(store, stored[:, position], missing[:, position])
            keys[reader.name] = task.key
            missing[:, position] |= where == NO_MEDIA
            damaged |= (where == _DAMAGED) & ~missing[:, position]
            index[reader.name] = torch.from_numpy(np.maximum(where, 0))
            if isinstance(values, CachedMedia):
                mapped_media[reader.name], values = values, values.values
            media[reader.name] = torch.from_numpy(values)
            present = where >= 0
        if reader.misaligned:
            owners[reader.name] = drawn_owners(spec, reader.name, reader.misaligned, sample_ids, present)
    return DecodedSplit(
        spec=spec,
        sample_ids=sample_ids,
        missing=missing,
        damaged=damaged,
        labels={} if table is None else _labels(spec, table, missing, stored, owners),
        index=index,
        media=media,
        keys=keys,
        mapped=mapped_media,
        owners=owners,
    )


def _labels(
    spec: BatchSpec, table: pa.Table, missing: BoolArray, stored: BoolArray, owners: Mapping[str, IntArray]
) -> dict[str, Array]:
    """Return the (N, ...) values of the label columns.

    Where a modality is misaligned, its own columns follow the value that is shown; its mask and all other columns stay.

    Args:
        spec: The contents of a sample.
        table: The label columns of all rows.
        missing: (N, M), stored or simulated.
        stored: (N, M), what the shards lack.
        owners: By misaligned modality, (N,) the row whose value each row shows.
    """
    labels = {}
    for label in spec.labels:
        lenders = [name for name in (spec.readers[index].name for index in label.blanked_by) if name in owners]
        if not lenders or label.dtype == np.bool_:
            labels[label.name] = label_values(spec.split, label, table, missing, 0)
            continue
        labels[label.name] = label_values(spec.split, label, table, stored, 0)[owners[lenders[0]]]
        labels[label.name][missing[:, label.blanked_by].any(axis=1)] = label.null
    return labels


@dataclass(frozen=True)
class _DecodeTask:
    """Decode the unique values of one modality."""

    spec: BatchSpec
    reader: ModalityReader
    threads: int
    decode_errors: DecodeErrors

    def decode(
        self, skip: BoolArray, allocate: Callable[[tuple[int, ...], np.dtype[Any]], Array]
    ) -> tuple[IntArray, Array]:
        """Decode the values in threads.

        Args:
            skip: (N,) True for rows without a value.
            allocate: Makes the array for the decoded values.

        Returns:
            (N,) index of each row's value, or NO_MEDIA or _DAMAGED; and (U, ...) the decoded values.
        """
        where, owners = number_media(self._ids(), skip)
        layout, split = self.reader.layout, self.spec.split
        values = allocate((max(len(owners), 1), *layout.shape), layout.stored)
        status = np.zeros(max(len(owners), 1), dtype=np.int64)
        groups = np.searchsorted(split.group_starts, owners, side="right") - 1

        def work(run: tuple[int, int, int]) -> list[tuple[int, UndecodableError]]:
            group, first, last = run
            damaged = []
            column = one_chunk(split.read([self.reader.column], group)[self.reader.column])
            present, raw = ~null_mask(column), self.reader.decoder.values(column)
            if self.reader.decoder.batched:
                rows = owners[first:last] - split.group_starts[group]
                status[first:last][~present[rows]] = NO_MEDIA
                slots = first + np.flatnonzero(present[rows])
                values[slots] = self.reader.decoder.decode(raw[rows[present[rows]]], self.reader.settings)
                return []
            for slot in range(first, last):
                row = int(owners[slot] - split.group_starts[group])
                if not present[row]:
                    status[slot] = NO_MEDIA
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
                    for row, error in job.result():  # in the order of rows, whichever thread was first
                        self.decode_errors.meet(self.spec, self.reader, row, error)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        found = status[np.maximum(where, 0)]
        return np.where((where >= 0) & (found < 0), found, where), values

    @property
    def key(self) -> str:
        """A hash of the split, the modality and the decoder's settings, which is equal for equal values."""
        return digest(
            [_FORMAT, self.spec.split.fingerprint, self.reader.modality.to_json(), repr(self.reader.settings)]
        )

    def decode_for(
        self, store: Path | MediaCache | None, stored: BoolArray, missing: BoolArray
    ) -> tuple[IntArray, Array | CachedMedia]:
        """Decode as `decode` does, what `store` does not hold yet.

        Args:
            store: See `decode_split`.
            stored: (N,) True for rows that lack the modality in the shards.
            missing: (N,) True for these, and for rows from which it is taken away at load.
        """
        if isinstance(store, MediaCache):
            return self.decode_once(store, stored)
        if store is not None:
            return self.decode_into(store, stored)
        # A row of which the value is taken away can still lend it to another.
        return self.decode(stored if self.reader.misaligned else missing, _in_memory)

    def decode_once(self, memory: MediaCache, skip: BoolArray) -> tuple[IntArray, Array]:
        """Decode as `decode` does, unless another loader of this process did so."""
        if self.key not in memory.decoded:
            memory.decoded[self.key] = self.decode(skip, _in_memory)
        else:
            self._report_again(memory.decoded[self.key][0])
        return memory.decoded[self.key]

    def decode_into(self, directory: Path, skip: BoolArray) -> tuple[IntArray, CachedMedia]:
        """Decode as `decode` does, into a folder of `directory` that is made once and then memory-mapped."""

        def fill(folder: Path) -> None:
            write_cached(folder, *self.decode(skip, partial(mapped, folder / VALUES)))

        folder, new = made_once(directory, f"{file_name(self.reader.name)}-{self.key[:16]}", fill)
        where, media = read_cached(folder, len(skip), self.reader.layout.shape, self.reader.layout.stored)
        if not new:
            self._report_again(where)
        return where, media

    def _report_again(self, where: IntArray) -> None:
        for row in np.flatnonzero(where == _DAMAGED).tolist():
            self.decode_errors.meet(self.spec, self.reader, row, UndecodableError("found when it was cached"))

    def _ids(self) -> list[pa.Array] | None:
        """Read the ids of the N rows' values, in chunks; None where each row has a value of its own."""
        column = self.reader.modality.id_column
        if column is None:
            return None
        return [one_chunk(table[column]) for table in self.spec.split.tables([column])]


def _in_memory(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    return np.zeros(shape, dtype=dtype)
