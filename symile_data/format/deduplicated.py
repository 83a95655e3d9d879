"""The pooled layout: every medium once, in tables of their own ("pools"), which the rows of the splits point into.

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
    """The media of one modality.

    Args:
        column: The medium, in the pool and in rows with their media attached ("image").
        id_column: Its id, in the pool and in the splits' tables ("image_id").
        row_column: Its row in the pool, in the splits' tables only ("image_row").
        folder: Where its files are ("images").
        names: split -> name of the files that it points into; splits with equal names share a pool.
    """

    column: str
    id_column: str
    row_column: str
    folder: str
    names: Mapping[str, str]

    def key(self, split: str) -> str:
        """The pool of a split as file entries name it ("images/train")."""
        return f"{self.folder}/{self.names[split]}"

    @property
    def keys(self) -> list[str]:
        """Every pool of this modality, each once."""
        return list(dict.fromkeys(self.key(split) for split in self.names))


@dataclass(frozen=True, kw_only=True)
class Deduplicated:
    """What the manifest of a pooled dataset says.

    Args:
        columns: Columns of a row with its media attached, in order.
        pools: One for each modality that is pooled.
    """

    columns: tuple[str, ...]
    pools: tuple[MediaTable, ...]

    def stored(self, modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
        """The modalities as the splits' tables have them: the row in the pool in the medium's place."""
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
        """As stored in the manifest."""
        return {"columns": list(self.columns), "pools": [{**asdict(p), "names": dict(p.names)} for p in self.pools]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Deduplicated:
        """The inverse of `to_json`."""
        return cls(columns=tuple(value["columns"]), pools=tuple(MediaTable(**pool) for pool in value["pools"]))
