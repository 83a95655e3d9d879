"""Find the shards of a split in a directory without a manifest: a download, a release, files written by others.

Where its README.md has the Hub's front matter with `configs`, that decides, as it does for `datasets`. Otherwise names
do: `<split>-*` or `<split>.` with a shard's suffix, in `data/`, in the directory itself, or in the configuration's
folder. Nothing of the shards is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from symile_data.confine import check_inside
from symile_data.errors import DamageError, UsageError
from symile_data.front_matter import CARD, MOST_CARD_BYTES, Config, configs_of
from symile_data.location import Location
from symile_data.shards import is_shard

_DATA = "data"
_MOST_FOLDERS = 10_000  # that the patterns of a card may lead through
_MOST_WILDCARDS = 1_000  # patterns of one configuration that are no plain paths


def find_shards(location: Location, split: str, config: str | None) -> list[str]:
    """The shards of one split, in order.

    Args:
        location: A directory.
        split: Its name.
        config: Which configuration, where there are several.

    Raises:
        UsageError: no such split or configuration, or several of them and none was named.
        DamageError: there is nothing that could be a shard; README.md's front matter cannot be trusted; a shard is a
            link that leads out of the directory.
    """
    try:
        splits = _by_card(location, config) or _by_name(location, config)
    except OSError as error:
        raise DamageError("the dataset's directory cannot be listed", where=location.url, got=error) from None
    if not splits:
        raise DamageError("there is neither a manifest.json nor any Parquet or tar shard", where=location.url)
    if split not in splits:
        raise unknown_split(location, split, list(splits))
    root = location.path("")
    if root is not None:
        check_inside(root, [CARD, *splits[split]])
    return splits[split]


def unknown_split(location: Location, split: str, names: Sequence[str]) -> UsageError:
    """The error for a split that is not there."""
    return UsageError("no such split", where=location.url, got=repr(split), do=f"choose among {', '.join(names)}")


def _by_card(location: Location, config: str | None) -> dict[str, list[str]] | None:
    """Splits as the front matter of README.md has them; None where it has none."""
    named = {entry.name: entry for entry in _configs(location) if entry.files is not None}
    if not named:
        return None
    standard = [name for name, entry in named.items() if entry.default]
    if config is None:
        config = next(iter(standard or named)) if standard or len(named) == 1 else "default"
    if config not in named:
        raise _unknown_config(location, config, list(named))
    wanted = [(files.split, pattern) for files in named[config].files or () for pattern in files.patterns]
    if sum(_is_pattern(pattern) for _, pattern in wanted) > _MOST_WILDCARDS:
        raise _unusable_card(location, f"more than {_MOST_WILDCARDS} patterns")
    folders, splits = _Folders(location), dict[str, dict[str, None]]()
    for split, pattern in wanted:  # a shard that two patterns name is read once
        splits.setdefault(split, {}).update(dict.fromkeys(_matching(folders, pattern)))
    return {split: list(names) for split, names in splits.items() if names} or None


def _configs(location: Location) -> tuple[Config, ...]:
    """Entries of `configs` in the card's front matter."""
    try:
        return configs_of(location.read_text(CARD, MOST_CARD_BYTES))
    except (FileNotFoundError, UnicodeDecodeError):
        return ()
    except (OSError, ValueError) as error:
        raise _unusable_card(location, getattr(error, "strerror", None) or error) from None


def _unusable_card(location: Location, why: object) -> DamageError:
    return DamageError(
        "the dataset has no manifest, and its README.md cannot be read for the names of its files",
        where=location.where(CARD),
        got=why,
        do="mend or remove README.md; without it the names of the files tell the splits",
    )


class _Folders:
    """What is in the folders of a location, each listed once."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._known: dict[tuple[str, bool], list[str]] = {}

    def names(self, folder: str, *, folders: bool = False) -> list[str]:
        """As `Location.listed`, or as `Location.folders`."""
        key = (folder, folders)
        if key not in self._known:
            if len(self._known) >= _MOST_FOLDERS:
                raise _unusable_card(self._location, f"patterns through more than {_MOST_FOLDERS} folders")
            self._known[key] = self._location.folders(folder) if folders else self._location.listed(folder)
        return self._known[key]


def _matching(contents: _Folders, pattern: str) -> list[str]:
    """Shards whose path matches a pattern of the card; one that leads out of the directory matches none."""
    path = PurePosixPath(pattern)
    if path.is_absolute() or ".." in path.parts or not path.name:
        return []
    folders = [""]
    for part in path.parts[:-1]:
        fixed = [f"{folder}/{part}".lstrip("/") for folder in folders]
        if _is_pattern(part):
            inner = [name for folder in folders for name in contents.names(folder, folders=True)]
            folders = [name for name in inner if fnmatchcase(PurePosixPath(name).name, part)] or fixed
        else:
            folders = fixed
    names = [name for folder in folders for name in contents.names(folder)]
    return [name for name in names if is_shard(name) and fnmatchcase(PurePosixPath(name).name, path.name)]


def _is_pattern(part: str) -> bool:
    return any(mark in part for mark in "*?[")


def _by_name(location: Location, config: str | None) -> dict[str, list[str]]:
    """Splits by the names of files."""
    folders = [_DATA, ""] if config is None else [config, f"{_DATA}/{config}", f"{config}/{_DATA}"]
    for folder in folders:
        splits = _splits_in(location, folder)
        if splits:
            return splits
    known = _configurations(location)
    if known and config is None:
        raise UsageError(
            "the directory has several configurations",
            where=location.url,
            do=f"pass config=..., one of {', '.join(known)}",
        )
    if config is not None:
        raise _unknown_config(location, config, known)
    return {}


def _splits_in(location: Location, folder: str) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {}
    for name in location.listed(folder):
        if is_shard(name):
            splits.setdefault(PurePosixPath(name).stem.split("-")[0], []).append(name)
    return splits


def _configurations(location: Location) -> list[str]:
    """Folders that hold shards, in the directory or in its data/."""
    folders = [name for folder in ("", _DATA) for name in location.folders(folder) if name != _DATA]
    return [
        PurePosixPath(name).name
        for name in folders
        if _splits_in(location, name) or _splits_in(location, f"{name}/{_DATA}")
    ]


def _unknown_config(location: Location, config: str, known: Sequence[str]) -> UsageError:
    return UsageError(
        "no such configuration",
        where=location.url,
        got=repr(config),
        do=f"choose among {', '.join(known)}" if known else "leave config out: the directory has only one",
    )
