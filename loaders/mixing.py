"""Mix splits: one epoch draws rows from several datasets with the same modalities, in shares that are given.

A fixed pattern of `BLOCK` positions says from which split each position takes its next row, as evenly as the shares
allow. So the row at any position follows from counting, an epoch continues exactly from a position, and neither ranks
nor threads change the order. Within a split the rows come in that split's own shuffled order; if an epoch is longer
than a split, the split begins again, in another order.

Legend: K splits, N rows of one split, P positions of an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from symile_data.arguments import check_call
from symile_data.errors import UsageError
from symile_data.files import digest

from .shuffle import EpochShuffle, IntArray, Order
from .split import Split

BLOCK = 1000  # positions after which the pattern repeats; shares are rounded to multiples of its inverse
_AT_A_TIME = 4096  # positions whose rows are found together


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """From which split the positions take their rows.

    Args:
        quotas: (K,) positions of a block that each split has; they sum to `BLOCK`.
    """

    quotas: tuple[int, ...]

    @cached_property
    def source(self) -> IntArray:
        """(BLOCK,) number of the split of each position of a block: each split's positions are spread evenly."""
        number = np.repeat(np.arange(len(self.quotas)), self.quotas)
        spread = np.concatenate([(np.arange(quota) + 0.5) / quota for quota in self.quotas])
        return number[np.lexsort((number, spread))]

    def count(self, source: int, position: int) -> int:
        """Return how many positions before this one are a split's."""
        block, inside = divmod(position, BLOCK)
        return block * self.quotas[source] + int((self.source[:inside] == source).sum())

    def position(self, source: int, index: IntArray) -> IntArray:
        """Return the positions of a split's rows, given their numbers in the split's order; see `count`."""
        block, inside = np.divmod(index, self.quotas[source])
        return block * BLOCK + np.flatnonzero(self.source == source)[inside]


def quotas_of(weights: Sequence[float]) -> tuple[int, ...]:
    """Round shares to whole positions of a block, by largest remainders.

    >>> quotas_of([2, 1])
    (667, 333)
    """
    exact = np.asarray(weights, dtype=np.float64) / sum(weights) * BLOCK
    quotas = np.floor(exact).astype(int)
    for source in np.argsort(quotas - exact, kind="stable")[: BLOCK - int(quotas.sum())]:
        quotas[source] += 1
    return tuple(quotas.tolist())


@dataclass(frozen=True)
class _Passage:
    """One passage through a split within an epoch.

    Args:
        source: Number of the split.
        number: Number of the passage, from 0.
        first_row: Number of its first row in the mix.
    """

    source: int
    number: int
    first_row: int


@dataclass(frozen=True, kw_only=True)
class Mix(Split):
    """A mix of splits, from `mix`; loaders take it for a split.

    Its rows are those of all splits, one split after the other, each as often as an epoch needs it.

    Args:
        splits: The K splits.
        pattern: From which split each position takes its row.
        passage_counts: How often an epoch begins each split.
        length: P, rows of an epoch.
    """

    splits: tuple[Split, ...]
    pattern: Pattern
    passage_counts: tuple[int, ...]
    length: int

    @property
    def epoch_rows(self) -> int:
        """P, the number of rows of an epoch."""
        return self.length

    def order(self, seed: int, epoch: int, window: int, shuffle: bool) -> Order:
        """Return the order of an epoch; see `Split.order`."""
        return MixedOrder(mix=self, seed=seed, epoch=epoch, window=window, shuffle=shuffle)

    def source_of(self, rows: IntArray) -> IntArray:
        """Return the numbers of the splits to which rows of the mix belong."""
        sizes = np.array([split.rows for split in self.splits]) * np.array(self.passage_counts)
        found: IntArray = np.searchsorted(np.cumsum(sizes), rows, side="right")
        return found

    def place(self, row: int) -> str:
        """Say where a row is, for messages: the dataset, the shard's path within it, and the row within the shard."""
        passage = next(passage for passage in reversed(self.passages) if passage.first_row <= row)
        split = self.splits[passage.source]
        return f"{split.location}/{split.place(row - passage.first_row)}"

    @cached_property
    def passages(self) -> tuple[_Passage, ...]:
        """The passages through the splits, in the order of the rows."""
        found, row = [], 0
        for source, (split, count) in enumerate(zip(self.splits, self.passage_counts, strict=True)):
            for number in range(count):
                found.append(_Passage(source, number, row))
                row += split.rows
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class MixedOrder:
    """The order of one epoch of a mix; see `symile_data.loaders.shuffle.Order`.

    Args:
        mix: The mix.
        seed: The user's seed.
        epoch: The epoch, from 0.
        window: Number of row groups of a split whose rows are shuffled together.
        shuffle: False gives each split in file order.
    """

    mix: Mix
    seed: int
    epoch: int
    window: int
    shuffle: bool

    @property
    def rows(self) -> int:
        """P, the number of rows of the epoch."""
        return self.mix.epoch_rows

    def rows_at(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Find the rows at the positions `start` to `stop - 1`; see `EpochShuffle.rows_at`."""
        sources = self.mix.pattern.source[np.arange(start, stop) % BLOCK]
        rows, reading = np.empty(stop - start, dtype=np.int64), np.empty(stop - start, dtype=np.int64)
        for passage, order in self._orders:
            first, last = (self.mix.pattern.count(passage.source, position) for position in (start, stop))
            begun = passage.number * order.rows
            here = slice(max(first, begun), min(last, begun + order.rows))
            if here.start >= here.stop:
                continue
            places = np.flatnonzero(sources == passage.source)[here.start - first : here.stop - first]
            found = order.rows_at(here.start - begun, here.stop - begun)
            rows[places], reading[places] = (values + passage.first_row for values in found)
        return rows, reading

    def window_at(self, position: int) -> int:
        """Return the number of windows that are over at a position; see `window_of_groups`."""
        return int(np.searchsorted(self._window_ends[0], position, side="right"))

    def window_of_groups(self) -> IntArray:
        """Return (G,): the window of each row group; windows of all splits are numbered in the order of their ends."""
        return self._window_ends[1]

    def window_end(self, position: int) -> int:
        """Return a position up to which rows are found together."""
        return min(position + _AT_A_TIME, self.rows)

    @cached_property
    def _orders(self) -> list[tuple[_Passage, EpochShuffle]]:
        return [
            (
                passage,
                EpochShuffle(
                    split.group_rows,
                    f"{self.mix.fingerprint}/{passage.source}/{passage.number}",
                    self.seed,
                    self.epoch,
                    self.window,
                    self.shuffle,
                ),
            )
            for passage in self.mix.passages
            for split in [self.mix.splits[passage.source]]
        ]

    @cached_property
    def _window_ends(self) -> tuple[IntArray, IntArray]:
        """The ascending positions at which windows are over, and the (G,) number of each row group's window."""
        ends, groups = [np.empty(0, dtype=np.int64)], []
        for passage, order in self._orders:
            last = passage.number * order.rows + order.window_ends() - 1
            groups.append(order.window_of_groups() + sum(len(known) for known in ends))
            ends.append(self.mix.pattern.position(passage.source, last) + 1)
        every = np.concatenate(ends)
        by_end = np.argsort(every, kind="stable")
        return every[by_end], np.argsort(by_end, kind="stable")[np.concatenate(groups)]


def mix(splits: Sequence[Split], weights: Sequence[float] | None = None, *, rows: int | None = None) -> Mix:
    """Mix splits of datasets that have the same modalities.

    Args:
        splits: Two or more open splits.
        weights: The share of each in an epoch, in any unit; shares are rounded to thousandths. By default all have
            equal shares.
        rows: Rows of an epoch; a split that has fewer than its share is begun again. By default an epoch ends where
            the first split has no row left.

    Returns:
        What `BatchLoader` takes for a split; its batches also have `source`, the (B,) int64 number of each row's split.
        It has the columns that all splits have with the same type.

    Raises:
        UsageError: there are fewer than two splits, they differ in their modalities, a weight is missing, or below a
            thousandth of the sum, or `rows` is not positive.
    """
    check_call(mix, locals())
    weights = [1.0] * len(splits) if weights is None else weights
    if len(splits) < 2 or len(splits) != len(weights):
        raise UsageError(
            "a mix needs two or more splits, and one of weights for each",
            got=f"{len(splits)} splits, {len(weights)} weights",
        )
    if not all(weight > 0 for weight in weights) or sum(weights) == float("inf"):
        raise UsageError("each of weights must be a positive number", got=", ".join(map(str, weights)))
    quotas = quotas_of(weights)
    if 0 in quotas:
        raise UsageError(f"each of weights must be at least a {BLOCK}th of their sum", got=", ".join(map(str, weights)))
    if rows is not None and rows < 1:
        raise UsageError("an epoch needs at least one of `rows`", got=rows)
    pattern = Pattern(quotas=quotas)
    ends = [int(pattern.position(source, np.array([split.rows]))[0]) for source, split in enumerate(splits)]
    length = min(ends) if rows is None else rows
    passage_counts = tuple(-(-pattern.count(source, length) // split.rows) for source, split in enumerate(splits))
    first = splits[0]
    return Mix(
        location=" and ".join(dict.fromkeys(split.location for split in splits)),
        name=" and ".join(dict.fromkeys(split.name for split in splits)),
        shards=tuple(
            shard
            for split, number in zip(splits, passage_counts, strict=True)
            for _ in range(number)
            for shard in split.shards
        ),
        schema=_common_columns(splits),
        modalities=first.modalities,
        fingerprint=digest([[[split.fingerprint, split.rows] for split in splits], quotas, rows]),
        spec={},
        splits=tuple(splits),
        pattern=pattern,
        passage_counts=passage_counts,
        length=length,
    )


def _common_columns(splits: Sequence[Split]) -> pa.Schema:
    """Return the columns that all splits have with the same type.

    Raises:
        UsageError: a split has other modalities, or a modality's columns have another type.
    """
    first = splits[0]
    common = [field for field in first.schema if all(other.schema.get_field_index(field.name) >= 0 for other in splits)]
    common = [field for field in common if all(other.schema.field(field.name).type == field.type for other in splits)]
    names = {field.name for field in common}
    for other in splits:
        for one, two in zip(first.modalities, other.modalities, strict=False):
            if (one.name, one.kind, one.column) != (two.name, two.kind, two.column) or one.column not in names:
                raise _different(first, other, f"{one.name} of kind {one.kind}, {two.name} of kind {two.kind}")
        if len(first.modalities) != len(other.modalities):
            raise _different(first, other, f"{len(first.modalities)} and {len(other.modalities)} modalities")
    return pa.schema(common, metadata=first.schema.metadata)


def _different(first: Split, other: Split, got: str) -> UsageError:
    return UsageError(
        "a mix needs splits with the same modalities, in columns of the same types",
        where=f"{first.location} and {other.location}",
        got=got,
        do="open each with the modalities that all have (`Split.with_modalities`), or mix others",
    )
