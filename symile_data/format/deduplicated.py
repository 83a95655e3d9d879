"""The deduplicated layout: each image and audio is stored once, in media tables to which the rows of splits refer.

A media table is a run of Parquet files `<folder>/<name>-00000-of-00003.parquet` with the columns of `MediaTable`. The
shards of a split hold everything but the media. In their place stands `row_column`, a row counted through the files of
the media table (null where the image or audio is missing). `manifest.json` records the layout as `Deduplicated` under
the key `pooled`; `format.shards.deduplicated` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .schema import Modality


@dataclass(frozen=True, kw_only=True)
class MediaTable:
    """The media tables of one modality.

    Args:
        column: The column of images or audio, in the table and in rows with their media attached ("image").
        id_column: The column of their ids, in the table and in the shards of the splits ("image_id").
        row_column: The column of row numbers in the table, in the shards of the splits only ("image_row").
        folder: The folder of the files ("images").
        names: Split -> name of the files that its rows refer to; splits with equal names share a table.
    """

    column: str
    id_column: str
    row_column: str
    folder: str
    names: Mapping[str, str]

    def key(self, split: str) -> str:
        """Return the name of a split's table, as file entries give it ("images/train")."""
        return f"{self.folder}/{self.names[split]}"

    @property
    def keys(self) -> list[str]:
        """The names of all tables of this modality, each once."""
        return list(dict.fromkeys(self.key(split) for split in self.names))


@dataclass(frozen=True, kw_only=True)
class Deduplicated:
    """The manifest's record of the deduplicated layout.

    Args:
        columns: The columns of a row with its media attached, in order.
        pools: The media tables, one entry for each modality that is stored so.
    """

    columns: tuple[str, ...]
    pools: tuple[MediaTable, ...]

    def stored(self, modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
        """Return the modalities as the shards of the splits store them: with row numbers in place of media."""
        rows = {pool.column: pool.row_column for pool in self.pools}
        return tuple(
            replace(
                modality,
                column=rows.get(modality.column, modality.column),
                null_columns=tuple(rows.get(column, column) for column in modality.null_columns),
            )
            for modality in modalities
        )

    def to_json(self) -> dict[str, Any]:
        """Return the record as the manifest stores it."""
        return {"columns": list(self.columns), "pools": [{**asdict(p), "names": dict(p.names)} for p in self.pools]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Deduplicated:
        """Read the record back from `to_json`."""
        return cls(columns=tuple(value["columns"]), pools=tuple(MediaTable(**pool) for pool in value["pools"]))
