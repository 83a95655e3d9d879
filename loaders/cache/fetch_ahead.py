"""Fetch the row groups of the next window of a remote split into its cache, while the present one is used."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from symile_data.errors import DamageError

from ..batches import BatchSpec
from ..shuffle import BatchSlice
from ..split import Split

_THREADS = 8  # they wait for the network and decode nothing


def fetch(split: Split, columns: Sequence[str], row_group: int) -> None:
    """Bring the bytes of one row group into the cache; errors are left to the reader of the row group."""
    shard, group = split.shard_of(row_group)
    with contextlib.suppress(DamageError):
        shard.prefetch(group, columns)


def fetched_ahead(parts: Iterable[BatchSlice], spec: BatchSpec) -> Iterator[BatchSlice]:
    """Yield the batches of an epoch; of a split without a cache of remote data, nothing else is done.

    A batch is held back until those of the following window are known, and the row groups that they need are fetched,
    in the order of use.

    Args:
        parts: The batches of one rank, in order.
        spec: The contents of a sample.
    """
    split = spec.split
    if not any(shard.cached for shard in split.shards):
        yield from parts
        return
    columns = spec.read_columns()
    asked, waiting = set[int](), deque[BatchSlice]()

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="fetch")
    try:
        for part in parts:
            groups = np.searchsorted(split.group_starts, part.rows, side="right") - 1
            for group in dict.fromkeys(groups.tolist()):
                if group not in asked:
                    asked.add(group)
                    pool.submit(fetch, split, columns, group)
            waiting.append(part)
            while part.window > waiting[0].window + 1:
                yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
