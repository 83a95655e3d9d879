"""Arguments of `BatchLoader` that belong together, in groups: what varies by epoch, resources, distribution.

Each was a keyword of its own before, and still works as one, with a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypedDict, TypeVar

from symile_data.arguments import check_fields
from symile_data.errors import UsageError
from symile_data.format.remote_cache import bytes_of

from .decoders.augment import View


@dataclass(frozen=True, kw_only=True)
class Variation:
    """How samples vary from epoch to epoch in training. Each draw is a function of (seed, epoch, sample_id).

    Args:
        redraw_words: Draw the distractor words of an M3 row anew in each epoch; image, audio and target word stay.
        resample_within_class: Modality -> label column: in each epoch a row gets the image or audio of another row with
            the same label. Modalities whose names are joined by "+" get theirs from one other row. Needs the loader's
            `cache`.
        misaligned: Modality -> rate in [0, 1] at which a row shows the value of another row of the split, the same in
            every epoch: a draw of (seed, sample_id) as in builds (`symile_data.misalignment`). A donor without a value
            is replaced by the next row that has one; a missing value is not misaligned. The row's labels stay, and the
            modality's own columns, such as its id, follow the value. Batches then have `<modality>_misaligned` and
            `<modality>_donor` (the donor's sample_id, -1 where there is none). Needs the loader's `cache`.
        donors_differ_in: Column in which a row and its donor differ, such as the patient; "" for none. None takes
            `subject_id`, the patient of Symile-MIMIC, wherever the split has that column.
        value_labels: Label column -> modality: batches have in this column the label of the row to which the value of
            that modality belongs, wherever a row is misaligned, at load or by the build.
        augment: Modality -> random views of its images. With the loader's `cache` only `ImageJitter`, which works on
            decoded images.
    """

    redraw_words: bool = False
    resample_within_class: Mapping[str, str] = field(default_factory=dict)
    misaligned: Mapping[str, float] = field(default_factory=dict)
    donors_differ_in: str | None = None
    value_labels: Mapping[str, str] = field(default_factory=dict)
    augment: Mapping[str, View] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """How much a loader reads and decodes at a time.

    Args:
        threads: Number of threads that read and decode, at least 1.
        prefetch: Number of batches under construction while one is in use, from 0.
        window: Number of row groups whose rows are shuffled together, at least 1; about as many are in memory. The
            order of the rows depends on it.
        memory: Most bytes that the values of a window may have, such as "128MB" or a number; None for any. The window
            then holds as many row groups as fit, but one at least and no more than `window`. Their size is that of the
            largest of three that the loader looks at, so that the order is the same wherever the dataset is. Images and
            audio of uncompressed local Parquet files stay there until they are decoded, and take no memory before.
        checksums: Verify the checksums of images and audio as they are read. False saves 0.03 ms of CPU for 130 KB;
            it holds for uncompressed columns of local Parquet files, and what is read otherwise is always verified.

    Raises:
        UsageError: a number is too small, or `memory` is no number of bytes.
    """

    threads: int = 2
    prefetch: int = 2
    window: int = 16
    memory: int | str | None = None
    checksums: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        for name, least in (("threads", 1), ("prefetch", 0), ("window", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}", got=getattr(self, name))
        if self.memory is not None and bytes_of(self.memory, "memory") < 1:
            raise UsageError("memory must be at least 1 byte", got=self.memory)


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """Which part of every global batch a process gets.

    Args:
        rank: Rank of this process, from 0 to `world_size - 1`.
        world_size: Number of processes that share an epoch.

    Raises:
        UsageError: the rank is not among `world_size`.
    """

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.rank < self.world_size:
            raise UsageError("rank must be from 0 to world_size - 1", got=f"rank {self.rank} of {self.world_size}")


_OLD_NAMES = {"resample_within_class": "redraw_media"}  # field -> keyword of `OlderArguments`, where they differ

_Group = TypeVar("_Group", Variation, Resources, Distribution)


class OlderArguments(TypedDict, total=False):
    """The keywords of `BatchLoader` that are now fields of a group."""

    redraw_words: bool
    redraw_media: Mapping[str, str] | None
    augment: Mapping[str, View] | None
    threads: int
    prefetch: int
    window: int
    rank: int
    world_size: int


def grouped(
    older: OlderArguments, variation: Variation | None, resources: Resources | None, distribution: Distribution | None
) -> tuple[Variation, Resources, Distribution]:
    """Fill in the groups that are not given, and put older keywords into their groups.

    Raises:
        TypeError: a keyword is unknown.

    Warns:
        DeprecationWarning: names the group of each older keyword.
    """
    left: dict[str, Any] = dict(older)
    groups = (
        _with_older(variation or Variation(), left),
        _with_older(resources or Resources(), left),
        _with_older(distribution or Distribution(), left),
    )
    if left:
        raise TypeError(f"BatchLoader got an unexpected keyword argument {next(iter(left))!r}")
    return groups


def _with_older(group: _Group, left: dict[str, Any]) -> _Group:
    """Take the keywords that are fields of a group out of `left`, and return the group with them."""
    keywords = {item.name: _OLD_NAMES.get(item.name, item.name) for item in fields(group)}
    older_ones = OlderArguments.__annotations__
    given = {name: left.pop(word) for name, word in keywords.items() if word in left and word in older_ones}
    if given:
        kind = type(group).__name__
        said = ", ".join(f"{name}=..." for name in given)
        older = ", ".join(f"{keywords[name]}=..." for name in given)
        warnings.warn(f"pass {kind.lower()}={kind}({said}) in place of {older}", DeprecationWarning, stacklevel=4)
    return replace(group, **{name: value for name, value in given.items() if value is not None})
