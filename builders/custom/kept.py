"""See whether a finished dataset is the one that `write_dataset` is asked for, before it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

from symile_data.errors import OutputError
from symile_data.format.location import Location
from symile_data.format.manifest import Manifest
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards import open_shard

from .values import described

Row = Mapping[str, Any]
StoredRow = Callable[[Row, int, str], Row]


def check_kept(
    directory: Path,
    manifest: Manifest,
    schema: DatasetSchema,
    splits: Mapping[str, Iterable[Row]],
    stored_row: StoredRow | None,
) -> None:
    """Compare columns, splits and numbers of rows and, of sequences, the first and the last row of each split.

    The rows between them are not compared, which would cost as much as to write them.

    Args:
        directory: The finished dataset.
        manifest: Its manifest.
        schema: Columns and modalities that are asked for.
        splits: Name -> rows.
        stored_row: Row, its id unless it has one, and its place for messages -> the row as a shard holds it; None
            leaves rows uncompared.

    Raises:
        OutputError: the dataset is another one.
    """
    different = next(_differences(directory, manifest, schema, splits, stored_row), None)
    if different is not None:
        raise OutputError(
            "the output directory holds a finished dataset with the same `spec`, but of other rows or columns",
            where=directory,
            got=f"{different} (yours, not what is there)",
            do="name what changed in `spec` and choose another `out`, or remove the directory",
        )


def _differences(
    directory: Path,
    manifest: Manifest,
    schema: DatasetSchema,
    splits: Mapping[str, Iterable[Row]],
    stored_row: StoredRow | None,
) -> Iterator[str]:
    if list(splits) != list(manifest.splits):
        yield f"splits {', '.join(splits)}, not {', '.join(manifest.splits)}"
    for split, rows in splits.items():
        there = manifest.splits[split]
        if isinstance(rows, Sized) and len(rows) != there:
            yield f"{len(rows):,} rows of {split}, not {there:,}"
    if schema.modalities != manifest.modalities:
        named = (", ".join(f"{m.name} ({m.kind})" for m in some) for some in (schema.modalities, manifest.modalities))
        yield "modalities {}, not {}".format(*named)
    place, first_id = Location.of(directory), 0
    for split, rows in splits.items():
        shards = [open_shard(place, entry.path) for entry in manifest.shards(split)]
        stored = shards[0].schema
        for name, feature in schema.features.items():
            if name not in stored.names or stored.field(name).type != schema.arrow.field(name).type:
                was = stored.field(name).type if name in stored.names else "there"
                yield f"column {name} is {described(feature)}, not {was}"
        if unknown := [name for name in stored.names if name not in schema.features]:
            yield f"no column {unknown[0]}, not one"
        if stored_row is not None and isinstance(rows, Sequence):
            ends = ((0, shards[0], 0), (manifest.splits[split] - 1, shards[-1], -1))
            for number, shard, end in ends:
                group = end % len(shard.group_rows)
                table = shard.read(group, stored.names)
                row = table.slice(end % len(table), 1).to_pylist()[0]
                mine = stored_row(rows[number], first_id + number, f"{split}, row {number}")
                for name in stored.names:
                    if _content(mine[name]) != _content(row[name]):
                        yield f"another value of {name} in row {number} of {split}"
        first_id += manifest.splits[split]


def _content(value: Any) -> str:
    """Return what a stored value says, for comparison: of a file its bytes, as its name differs by format. Tars read
    NaN within a list as null.
    """
    if isinstance(value, Mapping) and "bytes" in value:
        return repr(value["bytes"])
    return repr([None if item != item else item for item in value] if isinstance(value, list) else value)
