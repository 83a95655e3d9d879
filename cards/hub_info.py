"""Types and sizes of a dataset's configurations, for `load_dataset` and the Hub.

They stand in the front matter of the card. Where a column has very many class names, as Symile-M3's 1,000 classes, they
stand in dataset_infos.json instead, which `datasets` reads from a directory and from the Hub alike, so that the card's
prose does not begin after a thousand lines. Without that file the types come from the shards themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symile_data.format.manifest import Manifest
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards import FORMATS
from symile_data.format.shards.tar_layout import hub_features

from .deduplicated import Table
from .statistics.collect import used_splits

if TYPE_CHECKING:
    from datasets import Features

FILE_NAME = "dataset_infos.json"
DEFAULT = "default"
MOST_NAMES = 50  # class names of a column that the front matter lists


@dataclass(frozen=True, kw_only=True)
class ConfigInfo:
    """One configuration of a dataset.

    Args:
        name: "default", or the name of a table of the deduplicated layout.
        features: Its typed columns.
        rows: Split -> number of rows.
        bytes: Split -> size of its files.
    """

    name: str
    features: Features
    rows: dict[str, int]
    bytes: dict[str, int]

    @property
    def _sizes(self) -> dict[str, int]:
        total = sum(self.bytes.values())
        return {"download_size": total, "dataset_size": total}

    @property
    def _splits(self) -> list[dict[str, Any]]:
        return [
            {"name": split, "num_bytes": self.bytes[split], "num_examples": rows} for split, rows in self.rows.items()
        ]

    def to_yaml(self) -> dict[str, Any]:
        """Return the entry of `dataset_info` in the front matter."""
        columns = _undecoded(self.features)._to_yaml_list()
        return {"features": columns, "splits": self._splits, **self._sizes}

    def to_json(self) -> dict[str, Any]:
        """Return the entry of dataset_infos.json."""
        splits = {split["name"]: split for split in self._splits}
        return {"features": _undecoded(self.features).to_dict(), "splits": splits, **self._sizes}


def infos_of(manifest: Manifest, schema: DatasetSchema, tables: Sequence[Table] = ()) -> list[ConfigInfo]:
    """Return every configuration; `load_dataset` without a name uses the first."""
    if tables:
        return [ConfigInfo(name=t.name, features=t.features, rows=t.rows, bytes=t.bytes) for t in tables]
    splits = used_splits(manifest)
    return [
        ConfigInfo(
            name=DEFAULT,
            features=hub_features(schema) if is_tar(manifest) else schema.features,
            rows={split: manifest.splits[split] for split in splits},
            bytes={split: sum(entry.bytes for entry in manifest.shards(split)) for split in splits},
        )
    ]


def is_tar(manifest: Manifest) -> bool:
    """Whether the shards are WebDataset tars."""
    return any(entry.path.endswith(FORMATS["webdataset"]) for entry in manifest.shards())


def has_many_names(infos: Sequence[ConfigInfo]) -> bool:
    """Whether a column has more class names than the front matter lists."""
    return any(count > MOST_NAMES for info in infos for count in _name_counts(info.features))


def _name_counts(feature: Any) -> Iterator[int]:
    from datasets import ClassLabel, List

    if isinstance(feature, ClassLabel):
        yield feature.num_classes
    elif isinstance(feature, dict):
        for part in feature.values():
            yield from _name_counts(part)
    elif isinstance(feature, List):
        yield from _name_counts(feature.feature)


def _undecoded(features: Features) -> Features:
    """Return columns with audio as bytes for whoever loads the dataset.

    Decoding it is one cast away, and needs torchcodec and ffmpeg, without which not even a row's text could be shown.
    """
    from datasets import Audio, Features

    return Features(
        {
            name: dataclasses.replace(feature, decode=False) if isinstance(feature, Audio) else feature
            for name, feature in features.items()
        }
    )
