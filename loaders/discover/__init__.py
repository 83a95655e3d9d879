"""Find the shards of a split in a directory without a manifest: a download, a release, files written by others.

Where its README.md has the Hub's front matter with `configs`, that assigns files to splits, as it does for `datasets`.
Otherwise the names of the files do (`file_names`). The shards themselves are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from symile_data.errors import DamageError, UsageError, choose_among
from symile_data.format.front_matter import CARD, MOST_CARD_BYTES, Config, configs_of
from symile_data.format.location import Location
from symile_data.format.safe_paths import check_inside
from symile_data.format.shards import is_shard

from .file_names import Splits, check_numbers, splits_by_name, splits_of_folder, unknown_config

_MOST_FOLDERS = 10_000  # folders through which the patterns of a card may lead
_MOST_WILDCARDS = 1_000  # patterns of one configuration that are no plain paths


def discover_shards(location: Location, split: str, config: str | None) -> list[str]:
    """Find the shards of one split.

    Args:
        location: The directory.
        split: Name of the split.
        config: The configuration, where there are several.

    Returns:
        Paths within the directory, in order.

    Raises:
        UsageError: there is no such split or configuration, or there are several configurations and none was named.
        DamageError: the directory holds no shard, or one of numbered shards is missing; the front matter of README.md
            cannot be trusted, or names only files that do not exist; a shard is a link that leads out of the
            directory.
    """
    try:
        splits = _by_card(location, config) or splits_by_name(location, config)
        check_numbers(location, splits.get(split, []))
    except OSError as error:
        raise DamageError("the dataset's directory cannot be listed", where=location.url, got=error) from None
    if not splits:
        raise DamageError(
            "there is neither a manifest.json nor any Parquet or tar shard whose name says its split",
            where=location.url,
        )
    if split not in splits:
        raise unknown_split(location, split, list(splits))
    root = location.path("")
    if root is not None:
        check_inside(root, [CARD, *splits[split]])
    return splits[split]


def unknown_split(location: Location, split: str, names: Sequence[str]) -> UsageError:
    """Make the error for a split that does not exist."""
    return UsageError("no such split", where=location.url, got=repr(split), do=choose_among(names))


def _by_card(location: Location, config: str | None) -> Splits | None:
    """Find the splits by the front matter of README.md; None where it assigns no files."""
    named = {entry.name: entry for entry in _configs(location) if entry.files is not None or entry.folder}
    if not named:
        return None
    standard = [name for name, entry in named.items() if entry.default]
    if config is None:
        config = next(iter(standard or named)) if standard or len(named) == 1 else "default"
    if config not in named:
        raise unknown_config(location, config, list(named))
    folder, files = PurePosixPath(named[config].folder), named[config].files
    if folder.is_absolute() or ".." in folder.parts:
        raise _unusable_card(location, f"data_dir {named[config].folder} leads out of the directory")
    if files is None:
        return _there(location, config, splits_of_folder(location, "" if folder == PurePosixPath() else str(folder)))
    wanted = [(of.split, str(folder / pattern)) for of in files for pattern in of.patterns]
    if sum(_is_pattern(pattern) for _, pattern in wanted) > _MOST_WILDCARDS:
        raise _unusable_card(location, f"more than {_MOST_WILDCARDS} patterns")
    folders, named_files = _Folders(location), dict[str, dict[str, None]]()
    for split, pattern in wanted:  # a shard that two patterns name is read once
        named_files.setdefault(split, {}).update(dict.fromkeys(_matching(folders, pattern)))
    return _there(location, config, {split: list(names) for split, names in named_files.items() if names})


def _there(location: Location, config: str, splits: Splits) -> Splits:
    """Refuse a configuration none of whose files exist: other files of the directory are not what was asked for."""
    if not splits:
        raise UsageError(
            "no such configuration is there, though README.md names files of it",
            where=location.url,
            got=repr(config),
            do="fetch its files, or choose another",
        )
    return splits


def _configs(location: Location) -> tuple[Config, ...]:
    """Read the entries of `configs` in the front matter of README.md."""
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
    """The contents of the folders of a location, each listed once."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._known: dict[tuple[str, bool], list[str]] = {}

    def names(self, folder: str, *, folders: bool = False) -> list[str]:
        """List the files of a folder as `Location.listed` does, or its folders as `Location.folders` does."""
        key = (folder, folders)
        if key not in self._known:
            if len(self._known) >= _MOST_FOLDERS:
                raise _unusable_card(self._location, f"patterns through more than {_MOST_FOLDERS} folders")
            self._known[key] = self._location.folders(folder) if folders else self._location.listed(folder)
        return self._known[key]


def _matching(contents: _Folders, pattern: str) -> list[str]:
    """Find the shards that match a pattern of the card; a pattern that leads out of the directory matches none."""
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
