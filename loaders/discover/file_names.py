"""Find the splits of a directory by the names of its files, which `datasets` and the Hub use too.

A shard is named `<split>-*` or `<split>.` with a known suffix, in `data/`, in the directory itself or in a folder of a
configuration; or it lies in a folder named like the split, as in the Hub's own conversion to Parquet
(`CONFIG/SPLIT/0000.parquet`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from symile_data.errors import DamageError, UsageError, choose_among
from symile_data.format.location import Location
from symile_data.format.schema import SPLITS
from symile_data.format.shards import is_shard

Splits = dict[str, list[str]]

_DATA = "data"
_NUMBERED = re.compile(r"(?P<head>.*-)(?P<index>\d+)-of-(?P<count>\d+)[-.]", re.ASCII)


def splits_by_name(location: Location, config: str | None) -> Splits:
    """Find the shards of each split, in order; none where the directory holds no shard.

    Args:
        location: The directory.
        config: The configuration, where there are several.

    Raises:
        UsageError: there is no such configuration, or there are several and none was named.
        OSError: the directory cannot be listed.
    """
    if config is None:
        splits = splits_of_folder(location, "")
        known = [] if splits else _configurations(location)
        if len(known) > 1:
            raise UsageError(
                "the directory has several configurations",
                where=location.url,
                do=f"pass config=..., one of {', '.join(known)}",
            )
        return splits_by_name(location, known[0]) if known else splits
    splits = splits_of_folder(location, config) or splits_of_folder(location, f"{_DATA}/{config}")
    if not splits:
        raise unknown_config(location, config, _configurations(location))
    return splits


def splits_of_folder(location: Location, folder: str) -> Splits:
    """Find the shards of each split in a folder or in its data/."""
    inner = f"{folder}/{_DATA}" if folder else _DATA
    order = [folder, inner] if folder else [inner, folder]
    return next((splits for name in order if (splits := _splits_in(location, name))), {})


def check_numbers(location: Location, names: Sequence[str]) -> None:
    """Refuse a split that lacks shards which the names of others count (`train-00000-of-00002`).

    Raises:
        DamageError: a shard is missing, or two shards count differently; the message names them.
        OSError: the directory cannot be listed.
    """
    first: dict[str, tuple[str, str]] = {}  # start of the names -> the count of the first one, and its name
    for name in names:
        if (parts := _NUMBERED.match(name)) is None:
            continue
        count, other = first.setdefault(parts["head"], (parts["count"], name))
        if count != parts["count"]:
            raise DamageError(
                "a split has shards of two numberings",
                where=location.where(name),
                got=f"also {other}",
                do="remove the shards of the other numbering",
            )
    for head, (count, name) in first.items():
        here = [_NUMBERED.match(other) for other in location.listed(name.rpartition("/")[0])]
        present = {int(parts["index"]) for parts in here if parts and (parts["head"], parts["count"]) == (head, count)}
        # This goes at most one step beyond the present shards, however many the name claims.
        missing = next((index for index in range(int(count)) if index not in present), None)
        if missing is not None:
            raise DamageError(
                "a shard is missing",
                where=location.where(f"{head}{missing:0{len(count)}d}-of-{count}"),
                got=f"{len(present)} of the {int(count)} that the name {name} counts",
                do="fetch the rest",
            )


def unknown_config(location: Location, config: str, known: Sequence[str]) -> UsageError:
    """Make the error for a configuration that does not exist."""
    return UsageError(
        "no such configuration",
        where=location.url,
        got=repr(config),
        do=choose_among(known) if known else "leave config out: the directory has only one",
    )


def _splits_in(location: Location, folder: str) -> Splits:
    """Find splits among the files of a folder, else among its folders that are named like a split."""
    splits: Splits = {}
    for name in location.listed(folder):
        if is_shard(name) and not _is_number(name):
            splits.setdefault(PurePosixPath(name).stem.split("-")[0], []).append(name)
    return splits or {
        PurePosixPath(inner).name: shards
        for inner in location.folders(folder)
        if (shards := [name for name in location.listed(inner) if is_shard(name)])
        and (PurePosixPath(inner).name in SPLITS or all(map(_is_number, shards)))
    }


def _is_number(name: str) -> bool:
    return PurePosixPath(name).stem.isdecimal()


def _configurations(location: Location) -> list[str]:
    """List the folders that hold shards, in the directory or in its data/."""
    folders = [name for folder in ("", _DATA) for name in location.folders(folder) if name != _DATA]
    return [PurePosixPath(name).name for name in folders if splits_of_folder(location, name)]
