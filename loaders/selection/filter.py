"""Make a split of the rows that a filter lets through."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.arguments import check_argument
from symile_data.errors import UsageError, choose_column
from symile_data.files import digest
from symile_data.format.feature_sets.joined import JoinedShard
from symile_data.format.shards.arrow_numpy import arrow_int64, numbers
from symile_data.format.shards.parquet import ParquetShard
from symile_data.format.shards.selected import select_from

from ..discover.columns import holds_files
from .expression import Expression
from .where import parse_filter, unread

if TYPE_CHECKING:
    from symile_data.format.shards import Shard

    from ..split import Split

BoolArray = npt.NDArray[np.bool_]


def filter_rows(split: Split, where: str | Expression | None, rows: slice | range | None) -> Split:
    """Select the rows of a split that a filter lets through, among those of a range; they keep their order.

    Only the columns that the filter names are read, never images or audio, and no row group whose statistics exclude
    the filter.

    Args:
        split: The whole split.
        where: A filter for `parse_filter`, or an Arrow expression; None lets every row through.
        rows: Ascending numbers of rows of the whole split; None stands for all.

    Raises:
        UsageError: the filter does not fit the columns, the range does not fit the split, or no row is left.
        DamageError: a shard cannot be read.
    """
    import pyarrow.compute as pc

    check_argument("where", where, str | pc.Expression | None)
    asked = _range_of(split, rows)
    selected = np.zeros(split.rows, dtype=bool)
    selected[asked.start : asked.stop : asked.step] = True
    parts = np.split(selected, np.cumsum([shard.rows for shard in split.shards])[:-1])
    if where is not None:
        expression, columns = _expression(split, where)
        for shard, part in zip(split.shards, parts, strict=True):
            _keep_fulfilled(split, shard, part, expression, columns)
    shards = [select_from(shard, part, {}) for shard, part in zip(split.shards, parts, strict=True) if part.any()]
    if not shards:
        raise UsageError(
            f"no row of split {split.name} is left",
            where=split.location,
            got=f"where {where!s}, `rows` {rows}",
            do="ask for rows that the split has",
        )
    key = ["rows", _told(where, selected), [asked.start, asked.stop, asked.step]]
    return replace(split, shards=tuple(shards), fingerprint=digest([split.fingerprint, key]))


def _told(where: str | Expression | None, selected: BoolArray) -> str | None:
    """Return what tells a filter from others: its text, or the (N,) rows that an Arrow expression lets through.

    Arrow shortens an expression's text (a list of 60 values to 20 of them), so different expressions may have one text.
    """
    return where if where is None or isinstance(where, str) else np.packbits(selected).tobytes().hex()


def _range_of(split: Split, rows: slice | range | None) -> range:
    """Return the numbers of the rows that are asked for, as an ascending range.

    Raises:
        UsageError: the range descends, is not within the split, or has a step of 0 or ends that are no numbers.
    """
    if rows is None:
        return range(split.rows)
    try:
        asked = range(*rows.indices(split.rows)) if isinstance(rows, slice) else rows
    except (TypeError, ValueError) as error:
        raise UsageError("`rows` is no slice of row numbers", got=str(rows), do="write it like slice(30)") from error
    if asked.step < 0 or (len(asked) and not 0 <= asked[0] <= asked[-1] < split.rows):
        raise UsageError(
            "`rows` must ascend within the split",
            where=split.location,
            got=str(rows),
            do=f"give numbers from 0 to {split.rows - 1}",
        )
    return asked


def _expression(split: Split, where: str | Expression) -> tuple[Expression, list[str]]:
    """Return a filter as an Arrow expression, and the columns that it needs.

    Raises:
        UsageError: it cannot be read, or needs none of the columns.
    """
    light = [name for name in split.columns if not holds_files(split.schema.field(name).type)]
    masks = {one.column: one.mask for one in split.modalities if one.column not in light and one.mask in light}
    if isinstance(where, str):
        return parse_filter(where, light, masks)
    # Arrow does not tell which columns an expression names; one that it does not name costs time only.
    columns = [name for name in (*light, *masks) if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(where))]
    for name in masks.keys() & set(columns):
        mask = masks[name]
        raise unread(name, f"the column {mask} says where it is missing: write pc.field({mask!r})")
    if not columns:
        raise UsageError("the filter where names no column", got=str(where), do=choose_column("", light))
    return where, columns


def _keep_fulfilled(
    split: Split, shard: Shard, selected: BoolArray, expression: Expression, columns: Sequence[str]
) -> None:
    """Take the rows of a shard out of `selected` that do not fulfil an expression.

    Raises:
        UsageError: the expression does not fit the types of the columns.
        DamageError: the shard cannot be read.
    """
    try:
        # Files of features have no statistics that a filter could use.
        stored = shard.whole if isinstance(shard, JoinedShard) else shard
        told = set(columns) <= set(stored.schema.names)
        for group in stored.groups_without(expression) if isinstance(stored, ParquetShard) and told else ():
            start = sum(shard.group_rows[:group])
            selected[start : start + shard.group_rows[group]] = False
        if not selected.any():
            return
        table = shard.read_all(columns).append_column("", arrow_int64(np.arange(shard.rows)))
        fulfilled = np.zeros(shard.rows, dtype=bool)
        fulfilled[numbers(table.filter(expression)[""])] = True
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        types = ", ".join(f"{name}: {split.schema.field(name).type}" for name in columns)
        raise UsageError(
            "the filter where does not fit the columns' types",
            where=split.location,
            got=f"{expression}: {' '.join(str(error).split())}",
            do=f"compare values of one type ({types})",
        ) from None
    selected &= fulfilled
