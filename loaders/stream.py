"""Batches straight from the shards: threads read row groups and decode values a few batches ahead of the consumer.

Each batch is cut into one piece for each thread. Its rows are in reading order, so a piece meets few row groups; a
row group is read once, by whichever thread comes first, and forgotten as soon as the last piece that needs it is done.
So where one window follows another, little more than one window is in memory.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt

from symile_data.errors import DamageError
from symile_data.format.remote_cache import bytes_of
from symile_data.format.shards.pages.files import OpenFiles

from .arguments import Resources
from .batches import Array, BatchSpec, BoolArray, DecodeErrors, Group, keep_rows, read_group, runs
from .decoders import StoredSettings
from .decoders.augment import ImageAugment, ImageCrop
from .decoders.base import MediaInFile, UndecodableError
from .mixing import Mix
from .report import READ, LoadClock
from .shuffle import BatchSlice, Order
from .split import Split

_KEPT_BYTES = 32 << 20  # a few batches


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

    def without_damaged(self, split: Split, world_size: int) -> dict[str, Array]:
        """Return the arrays without the damaged rows; on several ranks, which must have equally many rows, sound ones
        stand in their places and count as padding.

        Raises:
            DamageError: all rows are damaged.
        """
        good = np.flatnonzero(~self.damaged)
        if not len(good):
            raise DamageError(
                "all samples of a batch are damaged",
                where=split.place(int(self.part.rows[0])),
                got=f"{len(self.damaged)} samples with a value that cannot be decoded",
                do="fetch or build the dataset again",
            )
        if world_size == 1:
            return keep_rows(self.arrays, good)
        stand_in = np.arange(len(self.damaged))
        stand_in[self.damaged] = good[np.arange(int(self.damaged.sum())) % len(good)]
        arrays = keep_rows(self.arrays, stand_in)
        arrays["padding"] = arrays["padding"] | self.damaged
        return arrays


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
        _keep_freed_memory()
        groups = _Groups(self.spec, shuffle.window_of_groups(), self.clock, checksums=self.resources.checksums)
        pending: deque[tuple[PartialBatch, list[Future[None]]]] = deque()
        threads = self.resources.threads
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

        def finished() -> PartialBatch:
            batch, pieces = pending.popleft()
            for piece in pieces:
                piece.result()
            return batch

        try:
            for part in parts:
                rows = len(part.rows)
                batch = PartialBatch(part, self.spec.allocate(rows), np.zeros(rows, dtype=bool))
                group_of = np.searchsorted(self.spec.split.group_starts, part.rows, side="right") - 1
                edges = [rows * index // threads for index in range(threads + 1)]
                cuts = [
                    [(index, start + first, start + last) for index, first, last in runs(group_of[start:stop])]
                    for start, stop in pairwise(edges)
                    if stop > start
                ]
                groups.expect([index for cut in cuts for index, _, _ in cut], part.window)
                pieces = [pool.submit(self._fill, batch, cut, groups, shuffle, decode_errors) for cut in cuts]
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
        cut: list[tuple[int, int, int]],
        groups: _Groups,
        shuffle: Order,
        decode_errors: DecodeErrors,
    ) -> None:
        """Fill some rows of a batch: (row group, start, stop) for each run of rows of one group.

        Those of one window come together, so that they can leave memory before the next window is read.
        """
        for _, together in groupby(cut, key=lambda run: groups.window_of[run[0]]):
            runs_of_window = list(together)
            with groups.use([index for index, _, _ in runs_of_window]) as found:
                pieces = [
                    _Piece(group, slice(start, stop), batch.part.rows[start:stop] - group.first_row)
                    for group, (_, start, stop) in zip(found, runs_of_window, strict=True)
                ]
                self._fill_pieces(batch, pieces, shuffle, decode_errors)

    def _fill_pieces(
        self, batch: PartialBatch, pieces: list[_Piece], shuffle: Order, decode_errors: DecodeErrors
    ) -> None:
        arrays = batch.arrays
        for piece in pieces:
            group = piece.group
            arrays["sample_id"][piece.here] = group.sample_ids[piece.inside]
            if any(group.lacks):
                arrays["missing"][piece.here] = group.missing[piece.inside]
            for name, values in group.labels.items():
                arrays[name][piece.here] = values[piece.inside]
        for index, reader in enumerate(self.spec.readers):
            with self.clock.stage(f"decode {reader.name}"):
                for piece in pieces:
                    self._decode(batch, piece, index, shuffle, decode_errors)

    def _decode(
        self, batch: PartialBatch, piece: _Piece, index: int, shuffle: Order, decode_errors: DecodeErrors
    ) -> None:
        """Decode the values of one modality of some rows of a row group."""
        reader, group, inside = self.spec.readers[index], piece.group, piece.inside
        out, values = batch.arrays[reader.name][piece.here], group.values[reader.name]
        decode, settings = reader.decoder.decode, reader.settings
        places: slice | npt.NDArray[np.intp] = slice(None)
        if group.lacks[index]:
            missing = group.missing[inside, index]
            out[missing] = reader.empty
            places = np.flatnonzero(~missing)
        if reader.decoder.batched:
            out[places] = decode(values[inside[places]], settings)
            return
        augment = self.augment.get(reader.name)
        if augment is not None:
            views = augment.draw(shuffle.seed, shuffle.epoch, reader.name, group.sample_ids[inside])[places]
        rows = inside[places].tolist()
        # Values that are delivered as they are stored are read together; those to be decoded, one at a time.
        together = isinstance(reader.settings, StoredSettings) and isinstance(values, MediaInFile)
        stored = values.read(rows) if together else []
        for number, (place, row) in enumerate(zip(np.arange(len(inside))[places].tolist(), rows, strict=True)):
            try:
                value = stored[number] if together else values[row]
                if augment is None:
                    out[place] = decode(value, settings)
                else:
                    out[place] = augment.decode(value, settings, views[number])
            except UndecodableError as error:
                decode_errors.meet(self.spec, reader, group.first_row + row, error)
                batch.damaged[piece.here][place] = True
                out[place] = reader.empty


@dataclass(frozen=True)
class _Piece:
    """Rows of a batch that lie in one row group.

    Args:
        group: The row group.
        here: The places of these R rows in the batch.
        inside: (R,) their places within the row group.
    """

    group: Group
    here: slice
    inside: npt.NDArray[np.int64]


def within_memory(resources: Resources, spec: BatchSpec) -> Resources:
    """Shorten the window to the row groups that fit into `resources.memory`; three are read to see their size.

    Raises:
        DamageError: such a row group cannot be read.
    """
    if resources.memory is None:
        return resources
    last, files = len(spec.split.group_rows) - 1, OpenFiles()
    largest = max(read_group(spec, index, files).content for index in {0, last // 2, last})
    at_once = len(spec.split.splits) if isinstance(spec.split, Mix) else 1  # each split of a mix has a window
    fitting = bytes_of(resources.memory) // max(largest * at_once, 1)
    return replace(resources, window=min(max(fitting, 1), resources.window))


def _keep_freed_memory() -> None:
    """Let the C library use the memory of one batch for the next.

    glibc gives freed memory back to the system beyond a threshold of 128 KB, and the next batch then costs a page fault
    for every 4 KB. It raises that threshold to twice the size of the largest block that was freed so far; no page of
    this block is touched.
    """
    np.empty(_KEPT_BYTES // 2, dtype=np.uint8)


class _Groups:
    """The row groups in use, each read once and shared by the threads."""

    def __init__(self, spec: BatchSpec, window_of: npt.NDArray[np.int64], clock: LoadClock, *, checksums: bool) -> None:
        self._spec, self.window_of, self._clock = spec, window_of, clock
        self._files, self._checksums = OpenFiles(), checksums
        self._lock = threading.Lock()
        self._known: dict[int, Future[Group]] = {}
        self._expected: Counter[int] = Counter()
        self._window = 0

    def expect(self, indices: list[int], window: int) -> None:
        """Announce uses of row groups, each once for each use; later uses are of this window or a later one only."""
        with self._lock:
            self._expected.update(indices)
            self._window = window
            for index in [index for index in self._known if self._over(index)]:
                del self._known[index]

    @contextmanager
    def use(self, indices: list[int]) -> Iterator[list[Group]]:
        """Yield row groups; the first thread that asks for one reads it, and the last one forgets it."""
        yield [self._get(index) for index in indices]
        with self._lock:
            self._expected.subtract(indices)
            for index in indices:
                if self._over(index):
                    self._known.pop(index, None)

    def _get(self, index: int) -> Group:
        with self._lock:
            known = self._known.get(index)
            mine = known is None
            if known is None:
                known = self._known[index] = Future()
        if mine:
            try:
                with self._clock.stage(READ):
                    group = read_group(self._spec, index, self._files, checksums=self._checksums)
                self._clock.read(group.bytes)
                known.set_result(group)
            except BaseException as error:
                known.set_exception(error)
        return known.result()

    def _over(self, index: int) -> bool:
        return not self._expected[index] and bool(self.window_of[index] < self._window)
