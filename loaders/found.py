"""Find the shards of a split in a directory without a manifest: a download, a release, files written by others.

Where its README.md has the Hub's front matter with `configs`, that decides, as it does for `datasets`. Otherwise names
do: `<split>-*` or `<split>.` with a shard's suffix, in `data/`, in the directory itself, or in the configuration's
folder. Nothing of the shards is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from symile_data.errors import DamageError, UsageError
from symile_data.location import Location
from symile_data.shards import is_shard

CARD = "README.md"
_DATA = "data"


def find_shards(location: Location, split: str, config: str | None) -> list[str]:
    """The shards of one split, in order.

    Args:
        location: A directory.
        split: Its name.
        config: Which configuration, where there are several.

    Raises:
        UsageError: no such split or configuration, or several of them and none was named.
        DamageError: there is nothing that could be a shard.
    """
    try:
        splits = _by_card(location, config) or _by_name(location, config)
    except OSError as error:
        raise DamageError("the dataset's directory cannot be listed", where=location.url, got=error) from None
    if not splits:
        raise DamageError("there is neither a manifest.json nor any Parquet or tar shard", where=location.url)
    if split not in splits:
        raise unknown_split(location, split, list(splits))
    return splits[split]


def unknown_split(location: Location, split: str, names: Sequence[str]) -> UsageError:
    """The error for a split that is not there."""
    return UsageError("no such split", where=location.url, got=repr(split), do=f"choose among {', '.join(names)}")


def _by_card(location: Location, config: str | None) -> dict[str, list[str]] | None:
    """Splits as the front matter of README.md has them; None where it has none."""
    configs = [entry for entry in _configs(location) if "data_files" in entry]
    if not configs:
        return None
    named = {str(entry.get("config_name", "default")): entry for entry in configs}
    standard = [name for name, entry in named.items() if entry.get("default")]
    if config is None:
        config = next(iter(standard or named)) if standard or len(named) == 1 else "default"
    if config not in named:
        raise _unknown_config(location, config, list(named))
    files = named[config]["data_files"]
    entries = files if isinstance(files, list) and files and isinstance(files[0], dict) else [{"path": files}]
    splits: dict[str, list[str]] = {}
    for entry in entries:
        paths = entry.get("path", [])
        patterns = [paths] if isinstance(paths, str) else list(paths)
        names = [name for pattern in patterns for name in _matching(location, pattern)]
        splits[str(entry.get("split", "train"))] = names
    return {split: names for split, names in splits.items() if names} or None


def _configs(location: Location) -> list[dict[str, Any]]:
    """Entries of `configs` in the card's front matter."""
    import yaml

    try:
        text = location.read_text(CARD)
    except (FileNotFoundError, UnicodeDecodeError):
        return []
    if not text.startswith("---\n"):
        return []
    try:
        matter = yaml.safe_load(text[4:].split("\n---", 1)[0])
    except yaml.YAMLError:
        return []
    configs = matter.get("configs") if isinstance(matter, dict) else None
    return [entry for entry in configs if isinstance(entry, dict)] if isinstance(configs, list) else []


def _matching(location: Location, pattern: str) -> list[str]:
    """Shards whose path matches a pattern of the card; one that leads out of the directory matches none."""
    path = PurePosixPath(pattern)
    if path.is_absolute() or ".." in path.parts:
        return []
    folders = [""]
    for part in path.parts[:-1]:
        inner = [name for folder in folders for name in location.folders(folder)] if _is_pattern(part) else []
        fixed = [f"{folder}/{part}".lstrip("/") for folder in folders]
        folders = [name for name in inner if fnmatchcase(PurePosixPath(name).name, part)] or fixed
    names = [name for folder in folders for name in location.listed(folder)]
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
