"""Count what a card reports, from the shards, in bounded memory: stats.json.

Small columns (labels, masks, ids, short vectors) are read whole, a shard at a time; pictures and clips are measured by
their headers in an evenly spaced sample of row groups, so that eleven million rows take minutes and not the reading of
their media. The result depends on the shards alone.

Legend: a split's counts are always keyed by split first, then by value.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.errors import DamageError
from symile_data.location import Location
from symile_data.manifest import FileEntry, Manifest
from symile_data.media import UnfitMediumError, clip_header, open_picture
from symile_data.progress import stage
from symile_data.schema import DatasetSchema
from symile_data.shards import Shard, open_shard
from symile_data.shards.pooled import PooledMedia, pooled_media, with_media

from .facts import Facts
from .quantiles import quantiles
from .word_counts import WordTally

if TYPE_CHECKING:
    from datasets import Features

Statistics = dict[str, Any]

MEDIA_GROUPS = 40  # row groups of a split whose pictures and clips are measured
MOST_SIZES = 200  # different picture sizes that are listed
LONGEST_VECTOR = 256  # longer lists (waveforms) are media, not numbers to average

# What `panels` and others meet in bytes that are no picture or no clip.
UNREADABLE = (OSError, SyntaxError, ValueError, RuntimeError)

_Header = TypeVar("_Header")

_COMPACT_AT = 1 << 20  # ids kept before duplicates are thrown out


def compute_statistics(directory: Path, manifest: Manifest, schema: DatasetSchema, facts: Facts) -> Statistics:
    """Everything that stats.json holds.

    Raises:
        DamageError: a shard is not readable or lacks a column.
    """
    splits = used_splits(manifest)
    statistics: Statistics = {
        "dataset": manifest.identity.dataset,
        "fingerprint": manifest.identity.fingerprint,
        "rows": {split: manifest.splits[split] for split in splits},
        "bytes": {split: sum(entry.bytes for entry in manifest.shards(split)) for split in splits},
    }
    if manifest.pooled is not None:
        statistics["pools"] = {
            key: {
                "media": sum(entry.rows or 0 for entry in manifest.pool_files(key)),
                "bytes": sum(entry.bytes for entry in manifest.pool_files(key)),
            }
            for pool in manifest.pooled.pools
            for key in pool.keys
        }
    columns = _SmallColumns.of(schema, facts)
    tallies = {split: _Tally(columns, schema) for split in splits}
    column_bytes: Counter[str] = Counter()
    media = _Media.of(schema.features, facts)
    with stage("card", len(manifest.shards()), "shards") as advance:
        for split in splits:
            pools = pooled_media(Location.of(directory), manifest, split)
            groups = _spread(directory, manifest.shards(split), pools) if media.columns else {}
            for entry in manifest.shards(split):
                shard = open_listed(directory, entry, pools)
                with _complete(directory, entry):
                    column_bytes.update(shard.column_bytes())
                    for batch in batches_of(shard, columns.names):
                        tallies[split].add(batch)
                    for group in groups.get(entry.path, ()):
                        media.add(shard.read(group, media.columns))
                advance()
    for entry in manifest.pool_files():
        column_bytes.update(open_listed(directory, entry).column_bytes())
    statistics["column_bytes"] = dict(column_bytes)
    statistics["missing"] = {split: tally.missing() for split, tally in tallies.items()}
    statistics["categories"] = {
        name: {split: tally.categories(name) for split, tally in tallies.items()} for name in columns.categories
    }
    statistics["identifiers"] = {
        name: _identifiers({split: tally.ids[name].values() for split, tally in tallies.items()})
        for name in columns.identifiers
    }
    statistics["vectors"] = {
        name: {split: tally.vectors[name].summary() for split, tally in tallies.items()} for name in columns.vectors
    }
    if columns.words:
        statistics["words"] = {split: tally.words.summary() for split, tally in tallies.items()}
    statistics["media"] = media.summary()
    return statistics


def used_splits(manifest: Manifest) -> list[str]:
    """The splits that have rows, in the manifest's order."""
    return [split for split, rows in manifest.splits.items() if rows]


def open_listed(directory: Path, entry: FileEntry, media: PooledMedia | None = None) -> Shard:
    """Open one shard that the manifest lists, with the media of its rows where they lie in pools.

    Raises:
        DamageError: it is missing or damaged.
    """
    return with_media(open_shard(Location.of(directory), entry.path), media)


def batches_of(shard: Shard, columns: Sequence[str]) -> list[pa.RecordBatch]:
    """Small columns of a whole shard, in as few batches as they fit into.

    Raises:
        DamageError: the shard cannot be read.
    """
    return shard.read_all(columns).combine_chunks().to_batches()  # type: ignore[no-any-return]


@contextlib.contextmanager
def _complete(directory: Path, entry: FileEntry) -> Iterator[None]:
    """Name the shard that lacks a column."""
    try:
        yield
    except KeyError as error:
        raise DamageError(
            "a shard lacks a column", where=directory / entry.path, got=error, do="build the dataset again"
        ) from error


@dataclass(frozen=True)
class _SmallColumns:
    """Which columns are read whole, by what is counted in them."""

    masks: tuple[str, ...]
    categories: tuple[str, ...]
    identifiers: tuple[str, ...]
    vectors: tuple[str, ...]
    words: bool

    @classmethod
    def of(cls, schema: DatasetSchema, facts: Facts) -> _SmallColumns:
        from datasets import ClassLabel, List, Value

        masks = tuple(modality.mask for modality in schema.modalities if modality.mask in schema.features)
        categories, identifiers, vectors = [], [], []
        for name, feature in schema.features.items():
            dtype = feature.dtype if isinstance(feature, Value) else ""
            if (
                isinstance(feature, ClassLabel)
                or name in facts.categories
                or (dtype in ("bool", "int8") and name not in masks)
            ):
                categories.append(name)
            elif name.endswith("_id") and name != "sample_id" and dtype in ("string", "int64", "int32"):
                identifiers.append(name)
            elif name in facts.plain_lists:
                continue
            elif isinstance(feature, List) and 0 < feature.length <= LONGEST_VECTOR and _is_number(feature.feature):
                vectors.append(name)
        words = "words" in schema.features and "lang" in schema.features
        return cls(masks, tuple(categories), tuple(identifiers), tuple(vectors), words)

    @property
    def names(self) -> list[str]:
        """All that are read."""
        words = ["words", "lang"] if self.words else []
        return list(dict.fromkeys([*self.masks, *self.categories, *self.identifiers, *self.vectors, *words]))


class _Tally:
    """Counts of one split, fed batch by batch."""

    def __init__(self, columns: _SmallColumns, schema: DatasetSchema) -> None:
        self._columns = columns
        self._features = schema.features
        self._modalities = {modality.mask: modality.name for modality in schema.modalities}
        self._patterns = np.zeros(1 << len(columns.masks), dtype=np.int64)
        self._counts: dict[str, Counter[Any]] = {name: Counter() for name in columns.categories}
        self.ids = {name: _Distinct(schema.arrow.field(name).type) for name in columns.identifiers}
        self.vectors = {name: _Vector() for name in columns.vectors}
        self.words = WordTally()

    def add(self, batch: pa.RecordBatch) -> None:
        """Count one batch of rows."""
        code = np.zeros(len(batch), dtype=np.int64)
        for bit, mask in enumerate(self._columns.masks):
            code |= pc.fill_null(batch[mask], True).to_numpy(zero_copy_only=False).astype(np.int64) << bit
        self._patterns += np.bincount(code, minlength=len(self._patterns))
        for name, counts in self._counts.items():
            for entry in pc.value_counts(batch[name]).to_pylist():
                counts[entry["values"]] += entry["counts"]
        for name, distinct in self.ids.items():
            distinct.add(batch[name])
        for name, vector in self.vectors.items():
            vector.add(batch[name])
        if self._columns.words:
            self.words.add(batch)

    def missing(self) -> dict[str, Any]:
        """Share of rows without each modality, and rows by the set of modalities they lack ("" is none)."""
        names = [self._modalities[mask] for mask in self._columns.masks]
        rows = max(int(self._patterns.sum()), 1)
        present = {
            "+".join(name for bit, name in enumerate(names) if code >> bit & 1): int(count)
            for code, count in enumerate(self._patterns)
            if count
        }
        rates = {
            name: round(sum(int(n) for code, n in enumerate(self._patterns) if code >> bit & 1) / rows, 6)
            for bit, name in enumerate(names)
        }
        return {"rates": rates, "patterns": present}

    def categories(self, name: str) -> dict[str, int]:
        """Rows by value, in the order of the classes or of the values' names; null is "null"."""
        from datasets import ClassLabel

        feature = self._features[name]
        counts = self._counts[name]
        if isinstance(feature, ClassLabel):
            known = {
                feature.names[value]: counts[value] for value in sorted(v for v in counts if v is not None and v >= 0)
            }
        else:
            known = {str(value): counts[value] for value in sorted(v for v in counts if v is not None)}
        absent = counts[None] + (counts[-1] if isinstance(feature, ClassLabel) else 0)
        return {**known, "null": absent} if absent else known


class _Distinct:
    """The different non-null values of a column; memory grows with them and not with the rows."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._arrays: list[pa.Array] = []
        self._pending = 0

    def add(self, array: pa.Array) -> None:
        self._arrays.append(pc.unique(pc.drop_null(array)))
        self._pending += len(self._arrays[-1])
        if self._pending > _COMPACT_AT:
            self._arrays, self._pending = [self.values()], 0

    def values(self) -> pa.Array:
        return pc.unique(pa.chunked_array(self._arrays, self._kind))


def _identifiers(values: Mapping[str, pa.Array]) -> dict[str, Any]:
    """Different ids of each split, and how many each pair of splits has in common."""
    shared = {
        f"{one}+{other}": int(pc.sum(pc.is_in(values[other], value_set=values[one])).as_py() or 0)
        for one, other in combinations(values, 2)
    }
    return {"distinct": {split: len(array) for split, array in values.items()}, "shared": shared}


@dataclass
class _Vector:
    """Mean and share of nulls of a column of short lists."""

    rows: int = 0
    total: float = 0.0
    numbers: int = 0
    nulls: int = 0

    def add(self, array: pa.Array) -> None:
        present = pc.drop_null(array)
        numbers = present.flatten()
        self.rows += len(present)
        self.nulls += numbers.null_count
        self.numbers += len(numbers) - numbers.null_count
        self.total += float(pc.sum(pc.cast(numbers, pa.float64())).as_py() or 0.0)

    def summary(self) -> dict[str, Any]:
        """Rows with a list, the mean of its numbers, and the share of nulls among them."""
        entries = self.numbers + self.nulls
        return {
            "rows": self.rows,
            "mean": round(self.total / self.numbers, 6) if self.numbers else None,
            "null_share": round(self.nulls / entries, 6) if entries else None,
        }


@dataclass
class _Media:
    """Sizes of pictures and durations of clips in the row groups that are looked at."""

    images: dict[str, list[tuple[str, int, int, int]]]
    clips: dict[str, list[tuple[str, float, int, int]]]
    group_by: str
    unreadable: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, features: Features, facts: Facts) -> _Media:
        from datasets import Audio
        from datasets import Image as ImageFeature

        images: dict[str, list[Any]] = {n: [] for n, f in features.items() if isinstance(f, ImageFeature)}
        clips: dict[str, list[Any]] = {n: [] for n, f in features.items() if isinstance(f, Audio)}
        group_by = facts.durations_by if clips and facts.durations_by in features else ""
        return cls(images, clips, group_by)

    @property
    def columns(self) -> list[str]:
        """Columns to read; none where there is nothing to measure."""
        return [*self.images, *self.clips, *([self.group_by] if self.group_by else [])]

    def add(self, table: pa.Table) -> None:
        """Measure one row group."""
        for name in self.images:
            for data in _payloads(table[name]):
                if (header := self._measured(name, _image_header, data)) is not None:
                    self.images[name].append(header)
        for name in self.clips:
            groups = table[self.group_by].to_pylist() if self.group_by else [""] * len(table)
            for group, data in zip(groups, _payloads(table[name]), strict=True):
                if (clip := self._measured(name, _clip_header, data)) is not None:
                    self.clips[name].append((str(group), *clip))

    def _measured(self, name: str, header: Callable[[bytes], _Header], data: bytes | None) -> _Header | None:
        if data is None:
            return None
        try:
            return header(data)
        except UnfitMediumError:
            self.unreadable[name] += 1
            return None

    def summary(self) -> dict[str, Any]:
        """By column."""
        found: dict[str, Any] = {}
        for name, images in self.images.items():
            if images:
                formats, widths, heights, sizes = zip(*images, strict=True)
                common = Counter(zip(widths, heights, strict=True))
                ranked = sorted(common.items(), key=lambda item: (-item[1], item[0]))[:MOST_SIZES]
                found[name] = {
                    "kind": "image",
                    "measured": len(images),
                    "unreadable": self.unreadable[name],
                    "formats": dict(sorted(Counter(formats).items())),
                    "width": quantiles(widths, 1),
                    "height": quantiles(heights, 1),
                    "bytes": quantiles(sizes, 1),
                    "sizes": [[width, height, count] for (width, height), count in ranked],
                }
        for name, clips in self.clips.items():
            if clips:
                groups, seconds, rates, sizes = zip(*clips, strict=True)
                by_group = {
                    group: quantiles([s for s, g in zip(seconds, groups, strict=True) if g == group])
                    for group in sorted(set(groups))
                }
                found[name] = {
                    "kind": "audio",
                    "measured": len(clips),
                    "unreadable": self.unreadable[name],
                    "sample_rates_hz": {str(rate): count for rate, count in sorted(Counter(rates).items())},
                    "seconds": quantiles(seconds),
                    "seconds_by": {self.group_by: by_group} if self.group_by else {},
                    "bytes": quantiles(sizes, 1),
                }
        return found


def _is_number(feature: Any) -> bool:
    return str(getattr(feature, "dtype", "")).startswith(("bool", "int", "uint", "float"))


def _payloads(column: pa.ChunkedArray) -> Iterator[bytes | None]:
    for value in column:
        if not value.is_valid:
            yield None
        else:
            yield value["bytes"].as_py()


def _image_header(data: bytes) -> tuple[str, int, int, int]:
    with open_picture(data) as image:
        return str(image.format), image.width, image.height, len(data)


def _clip_header(data: bytes) -> tuple[float, int, int]:
    frames, rate = clip_header(data)
    return frames / rate, rate, len(data)


def _spread(directory: Path, entries: list[FileEntry], media: PooledMedia | None) -> dict[str, list[int]]:
    """Row groups to measure, evenly spaced through the shards of a split: path -> row groups.

    At most `MEDIA_GROUPS` shards are opened for it, one group each where there are that many.
    """
    if not entries:
        return {}
    some = [entries[index] for index in _evenly(len(entries), MEDIA_GROUPS)]
    share = -(-MEDIA_GROUPS // len(some))
    chosen: dict[str, list[int]] = {}
    for entry in some:
        chosen[entry.path] = _evenly(len(open_listed(directory, entry, media).group_rows), share)
    return chosen


def _evenly(count: int, most: int) -> list[int]:
    """At most `most` of the positions 0 to count - 1, evenly spaced from the first.

    >>> _evenly(5, 2), _evenly(2, 5)
    ([0, 2], [0, 1])
    """
    taken = min(count, most)
    return [index * count // taken for index in range(taken)]
