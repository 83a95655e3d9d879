"""Batches straight from the shards: threads read row groups and decode values a few batches ahead of the consumer.

Each batch is cut into one piece for each thread. Its rows are in reading order, so a piece meets few row groups; a
row group is read once, by whichever thread comes first, and forgotten when no later batch can need it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .arguments import Resources
from .batches import Array, BatchSpec, BoolArray, DecodeErrors, Group, read_group, runs
from .decoders.augment import ImageAugment, ImageCrop
from .decoders.base import UndecodableError
from .report import READ, LoadClock
from .shuffle import BatchSlice, Order


@dataclass
class PartialBatch:
    """A batch as numpy arrays, before it is handed out.

    Args:
        part: The rows.
        arrays: Arrays of B rows each, by name.
        damaged: (B,) True for rows with a value that cannot be decoded.
    """

    part: BatchSlice
    arrays: dict[str, Array]
    damaged: BoolArray


@dataclass(frozen=True, kw_only=True)
class Streaming:
    """Read and decode batches in threads.

    Args:
        spec: The contents of a sample.
        augment: Random views, by modality name.
        resources: Number of threads, and of batches under construction while one is in use.
        clock: Counts what reading and decoding take.
    """

    spec: BatchSpec
    augment: Mapping[str, ImageAugment | ImageCrop]
    resources: Resources
    clock: LoadClock

    def batches(
        self, shuffle: Order, parts: Iterable[BatchSlice], decode_errors: DecodeErrors
    ) -> Iterator[PartialBatch]:
        """Fill the batches of an epoch, in order.

        Raises:
            DamageError: a shard cannot be read, or a value cannot be decoded and `decode_errors` does not skip it.
        """
        groups = _Groups(self.spec, shuffle.window_of_groups(), self.clock)
        pending: deque[tuple[PartialBatch, list[Future[None]]]] = deque()
        threads = self.resources.threads
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

        def finished() -> PartialBatch:
            batch, pieces = pending.popleft()
            for piece in pieces:
                piece.result()
            groups.forget_before(batch.part.window)
            return batch

        try:
            for part in parts:
                rows = len(part.rows)
                batch = PartialBatch(part, self.spec.allocate(rows), np.zeros(rows, dtype=bool))
                edges = [rows * index // threads for index in range(threads + 1)]
                pieces = [
                    pool.submit(self._fill, batch, start, stop, groups, shuffle, decode_errors)
                    for start, stop in pairwise(edges)
                    if stop > start
                ]
                pending.append((batch, pieces))
                if len(pending) > self.resources.prefetch:
                    yield finished()
            while pending:
                yield finished()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _fill(
        self,
        batch: PartialBatch,
        start: int,
        stop: int,
        groups: _Groups,
        shuffle: Order,
        decode_errors: DecodeErrors,
    ) -> None:
        """Fill the rows `start` to `stop - 1` of a batch."""
        arrays, rows = batch.arrays, batch.part.rows[start:stop]
        starts = self.spec.split.group_starts
        for index, first, last in runs(np.searchsorted(starts, rows, side="right") - 1):
            group, here = groups.get(index), slice(start + first, start + last)
            inside = rows[first:last] - group.first_row
            arrays["sample_id"][here] = group.sample_ids[inside]
            arrays["missing"][here] = group.missing[inside]
            for name, values in group.labels.items():
                arrays[name][here] = values[inside]
            self._decode(batch, start + first, group, inside, shuffle, decode_errors)

    def _decode(
        self,
        batch: PartialBatch,
        at: int,
        group: Group,
        inside: npt.NDArray[np.int64],
        shuffle: Order,
        decode_errors: DecodeErrors,
    ) -> None:
        """Decode the values of some rows of a row group into the rows of the batch from `at` on."""
        for index, reader in enumerate(self.spec.readers):
            with self.clock.stage(f"decode {reader.name}"):
                self._decode_modality(batch, at, group, inside, index, shuffle, decode_errors)

    def _decode_modality(
        self,
        batch: PartialBatch,
        at: int,
        group: Group,
        inside: npt.NDArray[np.int64],
        index: int,
        shuffle: Order,
        decode_errors: DecodeErrors,
    ) -> None:
        reader = self.spec.readers[index]
        out, values = batch.arrays[reader.name], group.values[reader.name]
        if reader.decoder.batched:
            present = np.flatnonzero(~group.missing[inside, index])
            out[at + present] = reader.decoder.decode(values[inside[present]], reader.settings)
            return
        augment = self.augment.get(reader.name)
        if augment is not None:
            views = augment.draw(shuffle.seed, shuffle.epoch, reader.name, group.sample_ids[inside])
        for offset, row in enumerate(inside.tolist()):
            if group.missing[row, index]:
                continue
            try:
                if augment is None:
                    out[at + offset] = reader.decoder.decode(values[row], reader.settings)
                else:
                    out[at + offset] = augment.decode(values[row], reader.settings, views[offset])
            except UndecodableError as error:
                decode_errors.meet(self.spec, reader, group.first_row + row, error)
                batch.damaged[at + offset] = True


class _Groups:
    """The row groups in use, each read once and shared by the threads."""

    def __init__(self, spec: BatchSpec, window_of: npt.NDArray[np.int64], clock: LoadClock) -> None:
        self._spec, self._window_of, self._clock = spec, window_of, clock
        self._lock = threading.Lock()
        self._known: dict[int, Future[Group]] = {}

    def get(self, index: int) -> Group:
        """Return a row group; the first thread that asks for it reads it."""
        with self._lock:
            known = self._known.get(index)
            mine = known is None
            if known is None:
                known = self._known[index] = Future()
        if mine:
            try:
                with self._clock.stage(READ):
                    group = read_group(self._spec, index)
                self._clock.read(group.bytes)
                known.set_result(group)
            except BaseException as error:
                known.set_exception(error)
        return known.result()

    def forget_before(self, window: int) -> None:
        """Drop the row groups of earlier windows."""
        with self._lock:
            for index in [index for index in self._known if self._window_of[index] < window]:
                del self._known[index]
