"""Read the files of the published release of Symile-M3, on the Hugging Face Hub or in a downloaded folder.

    <release>/README.md                                        YAML: rows of every configuration's splits
    <release>/translations.json                                names of the classes
    <release>/symile-m3-10-xs/{train,val,test}-00000-of-00147.parquet

Columns: lang, audio, image, text, cls, cls_id, target_text. Files are opened through fsspec, so that a local folder and
`hf:REPO` are read by the same code, and only the requested row groups are fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from symile_data.errors import SourceError, SymileDataError, UsageError
from symile_data.files import digest
from symile_data.format.front_matter import CARD, MOST_CARD_BYTES, read_front_matter
from symile_data.format.location import Location
from symile_data.format.schema import SPLITS

from .names import TRANSLATIONS

COLUMNS = ("lang", "audio", "image", "text", "cls", "cls_id", "target_text")
NAMES = {"train": "train", "validation": "val", "test": "test"}  # our splits -> their names in the release's files

_HUB = "hf:"
_PREFIX = "symile-m3-"
_FILE = re.compile(r"(?P<split>train|val|validation|test)-(?P<index>\d{5})-of-(?P<count>\d{5})\.parquet")
_THREADS = 16  # threads that read footers: small reads, which mostly wait for the network


@dataclass(frozen=True)
class Part:
    """One file of a split: its URL, its first row within the split, and its number of rows."""

    url: str
    first: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Release:
    """One configuration of a release, opened.

    Args:
        name: Name in the manifest: the repository, or the last part of the folder's path.
        config: Folder of the configuration ("symile-m3-10-xs").
        parts: split -> the files in order, as many as the wanted rows need.
        rows: split -> number of imported rows.
        first_ids: split -> number of its first row, counted through the whole configuration.
        translations: URL of the release's `translations.json`, or None.
        listing: Hash of all file names and sizes.
    """

    name: str
    config: str
    parts: dict[str, tuple[Part, ...]]
    rows: dict[str, int]
    first_ids: dict[str, int]
    translations: str | None
    listing: str


def open_release(place: str, config: str | None, rows: int | None) -> Release:
    """Find the files of a configuration; only footers are read.

    Args:
        place: A folder in the release's layout (or one configuration's folder), or "hf:REPO[@REVISION]".
        config: "10-xs" or "symile-m3-10-xs"; None where the release has only one.
        rows: Largest number of rows of each split, the first ones; None imports all.

    Raises:
        SourceError: the release, the configuration, a split, a file or a column is missing.
        UsageError: the release has several configurations and `config` is None.
    """
    if rows is not None and rows < 1:
        raise UsageError("`rows` is a number of rows", got=rows)
    with reading(place):
        fs, root = _file_system(place)
        folder = _config_folder(fs, root, place, config)
        listed = _listed(fs, folder, place)
        parts = {split: _parts(fs, files, rows, place) for split, files in listed.items()}
        base = folder if folder == root else root
        totals = _declared_rows([base, folder.rpartition("/")[0]], folder.rpartition("/")[2]) or {
            split: sum(count for _, count in _counted(fs, [name for _, name, _ in files]))
            for split, files in listed.items()
        }
        candidates = [f"{where}/{TRANSLATIONS}" for where in (base, folder.rpartition("/")[0])]
        translations = next((url for url in candidates if fs.exists(url)), None)
    taken = {split: sum(part.rows for part in of_split) for split, of_split in parts.items()}
    taken = {split: count if rows is None else min(rows, count) for split, count in taken.items()}
    order = [split for split in SPLITS if split in parts]
    return Release(
        name=place.removeprefix(_HUB) if place.startswith(_HUB) else Path(place).resolve().name,
        config=folder.rpartition("/")[2],
        parts={split: _needed(parts[split], taken[split]) for split in order},
        rows={split: taken[split] for split in order},
        first_ids={split: sum(totals[before] for before in order[: order.index(split)]) for split in order},
        translations=translations,
        listing=digest(
            [[split, [[name.rpartition("/")[2], size] for _, name, size in listed[split]]] for split in order]
        ),
    )


def read_rows(parts: Sequence[Part], start: int, stop: int) -> Iterator[pa.Table]:
    """Yield the rows `start` to `stop - 1` of a split, at most a row group at a time.

    Raises:
        SourceError: a file cannot be read.
    """
    import fsspec

    for part in parts:
        if part.first >= stop or part.first + part.rows <= start:
            continue
        with (
            reading(part.url),
            fsspec.open(part.url, "rb") as opened,
            pq.ParquetFile(opened, page_checksum_verification=True) as file,
        ):
            first = part.first
            for group in range(file.metadata.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                low, high = max(start, first), min(stop, first + size)
                if low < high:
                    table = file.read_row_group(group, columns=list(COLUMNS), use_threads=False)
                    yield table.slice(low - first, high - low)
                first += size


def read_text(url: str) -> str:
    """Read a small text file of the release.

    Raises:
        SourceError: the file cannot be read, or is too large.
    """
    folder, _, name = url.rpartition("/")
    with reading(url):
        return Location.of(folder).read_text(name)


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn the errors of file systems and of the Parquet reader into a `SourceError`."""
    try:
        yield
    except (SymileDataError, GeneratorExit):
        raise
    except Exception as error:  # the hub's libraries raise errors of many unrelated classes
        said = str(error).strip().splitlines()
        raise SourceError(
            "cannot read the release",
            where=place,
            got=f"{type(error).__name__}: {said[0] if said else ''}",
            do="check the place and, for hf:, the network and your access, then run the same command again: finished "
            "shards are kept",
        ) from error


def _file_system(place: str) -> tuple[Any, str]:
    """Return the file system, and the URL of the release's folder in it."""
    import fsspec

    if place.startswith(_HUB):
        url = f"hf://datasets/{place.removeprefix(_HUB)}"
    elif Path(place).is_dir():
        url = f"file://{Path(place).resolve()}"  # `as_uri` would percent-encode spaces
    else:
        raise SourceError("there is no release", where=place, do="give its folder, or hf:arsaporta/symile-m3")
    fs, _ = fsspec.core.url_to_fs(url)
    return fs, url.rstrip("/")


def _config_folder(fs: Any, root: str, place: str, config: str | None) -> str:
    names = sorted(entry.rstrip("/").rpartition("/")[2] for entry in fs.ls(root, detail=False))
    known = [name for name in names if name.startswith(_PREFIX)]
    if config is None and not known and any(_FILE.fullmatch(name) for name in names):
        return root  # the folder of one configuration
    if config is None and len(known) != 1:
        if not known:
            raise SourceError(
                "this is not a Symile-M3 release: it has no folder symile-m3-...", where=place, got=", ".join(names[:5])
            )
        raise UsageError(
            "the release has several configurations",
            where=place,
            got=", ".join(name.removeprefix(_PREFIX) for name in known),
            do="choose one with `config`",
        )
    wanted = known[0] if config is None else _PREFIX + config.removeprefix(_PREFIX)
    if wanted not in known:
        raise SourceError(
            "the release has no such configuration",
            where=place,
            got=repr(config),
            do=f"choose among {', '.join(known)}",
        )
    return f"{root}/{wanted}"


def _listed(fs: Any, folder: str, place: str) -> dict[str, list[tuple[int, str, int]]]:
    """Return split -> (index, URL, bytes) of its files, in order. The first missing file is last, with the index -1."""
    ours = {theirs: split for split, theirs in NAMES.items()} | {"validation": "validation"}
    found: dict[str, list[tuple[int, str, int]]] = {}
    counts: dict[str, int] = {}
    for entry in fs.ls(folder, detail=True):
        match = _FILE.fullmatch(entry["name"].rpartition("/")[2])
        if match:
            split = ours[match["split"]]
            found.setdefault(split, []).append((int(match["index"]), f"{folder}/{match[0]}", int(entry["size"])))
            counts[split] = int(match["count"])
    if "train" not in found:
        raise SourceError("the release has no train-*.parquet files", where=folder, do="download the configuration")
    for split, files in found.items():
        files.sort()
        whole = [index for index, _, _ in files] == list(range(counts[split]))
        if not whole:
            gap = next(at for at, (index, _, _) in enumerate([*files, (-1, "", 0)]) if index != at)
            found[split] = [*files[:gap], (-1, f"{NAMES[split]}-{gap:05d}-of-{counts[split]:05d}.parquet", 0)]
    return found


def _parts(fs: Any, files: list[tuple[int, str, int]], rows: int | None, place: str) -> tuple[Part, ...]:
    """Return the files of the first `rows` rows; all files where `rows` is None."""
    parts: list[Part] = []
    first = 0
    step = _THREADS if rows is None else 1
    for start in range(0, len(files), step):
        some = files[start : start + step]
        there = [url for index, url, _ in some if index >= 0]
        for url, count in _counted(fs, there):
            parts.append(Part(url, first, count))
            first += count
        if rows is not None and first >= rows:
            return tuple(parts)
        if len(there) < len(some):
            raise SourceError(
                "a file of the release is missing",
                where=place,
                got=some[len(there)][1],
                do=f"download it, or ask for fewer rows (`rows={first}`)" if first else "download it",
            )
    return tuple(parts)


def _counted(fs: Any, urls: Sequence[str]) -> list[tuple[str, int]]:
    with ThreadPoolExecutor(_THREADS) as executor:
        return list(zip(urls, executor.map(lambda url: _rows_of(fs, url), urls), strict=True))


def _rows_of(fs: Any, url: str) -> int:
    with reading(url), fs.open(url, "rb") as opened, pq.ParquetFile(opened, page_checksum_verification=True) as file:
        absent = [column for column in COLUMNS if column not in file.schema_arrow.names]
        if absent:
            raise SourceError(
                f"the release has no column {', '.join(absent)}", where=url, got=", ".join(file.schema_arrow.names)
            )
        return int(file.metadata.num_rows)


def _declared_rows(folders: Sequence[str], config: str) -> dict[str, int]:
    """Return the rows of each split that the release's card declares; empty where it has no card or declares none."""
    for folder in folders:
        try:
            card: Any = read_front_matter(Location.of(folder).read_text(CARD, MOST_CARD_BYTES))
            info = next(info for info in card["dataset_info"] if info["config_name"] == config)
            told = {split["name"]: int(split["num_examples"]) for split in info["splits"]}
        except (FileNotFoundError, KeyError, TypeError, ValueError, StopIteration):
            continue
        if all(theirs in told for theirs in NAMES.values()):
            return {split: told[theirs] for split, theirs in NAMES.items()}
    return {}


def _needed(parts: Sequence[Part], rows: int) -> tuple[Part, ...]:
    return tuple(part for part in parts if part.first < rows)
