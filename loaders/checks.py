"""Refuse combinations of a loader's arguments that cannot work, before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from symile_data.arguments import check_argument
from symile_data.errors import UsageError
from symile_data.format.schema import joined_names

from .arguments import Variation
from .batches import BatchSpec, ModalityReader
from .decoders import StoredSettings
from .decoders.augment import ImageJitter, View
from .decoders.image import ImageSettings
from .mixing import Mix
from .split import Split

_NEEDS_ONE_DATASET = ("redraw_words", "resample_within_class", "misaligned", "value_labels")


def check_split(split: Split) -> Split:
    """Return the split, or say how to open one where something else was given, such as the path of a dataset.

    Raises:
        UsageError: it is no split.
    """
    if isinstance(split, str | Path):
        raise UsageError(
            "a loader takes an opened split", got=repr(str(split)), do='call open_split(DIRECTORY, "train")'
        )
    check_argument("split", split, Split, 'call open_split(DIRECTORY, "train")')
    return split


def check_mix(split: Split, variation: Variation, *, cached: bool) -> None:
    """Refuse for a mix what needs all rows of one dataset.

    Raises:
        UsageError: the message names the argument.
    """
    if not isinstance(split, Mix):
        return
    asked = {"cache": cached, **{name: getattr(variation, name) for name in _NEEDS_ONE_DATASET}}
    unfit = [name for name, value in asked.items() if value]
    if unfit:
        raise UsageError(
            "this needs the rows of one dataset, and the split is a mix", got=unfit[0], do="leave it out, or do not mix"
        )


def check_views(spec: BatchSpec, augment: Mapping[str, View], encoders: Iterable[str], *, cached: bool) -> None:
    """Refuse views that do not fit the split, the decoders or the cache.

    Raises:
        UsageError: the message names the argument or modality that is wrong.
    """
    readers = {reader.name: reader for reader in spec.readers}
    images = [reader.name for reader in spec.readers if reader.modality.kind == "image"]
    for name, view in augment.items():
        if name not in images:
            raise UsageError(
                "augment names no image modality of this split", got=name, do=f"choose among {', '.join(images)}"
            )
        _check_view(readers[name], view, encoded=name in set(encoders), cached=cached)
    stored = [reader.name for reader in spec.readers if isinstance(reader.settings, StoredSettings)]
    if stored and cached:
        raise UsageError(
            "a cache keeps decoded media, and StoredSettings leaves them undecoded",
            got=stored[0],
            do="pass cache=False",
        )


def _check_view(reader: ModalityReader, view: View, *, encoded: bool, cached: bool) -> None:
    if not isinstance(reader.settings, ImageSettings):
        raise UsageError("an image that stays undecoded has no views", got=reader.name, do="leave it out of `augment`")
    if not isinstance(view, ImageJitter):
        if cached:
            raise UsageError(
                f"a cache keeps one view of each image, so {type(view).__name__} cannot work on it",
                do="use ImageJitter, or pass cache=False",
            )
        return
    if reader.settings.normalise:
        raise UsageError("ImageJitter works on images in uint8", got=f"{reader.name} normalised", do="normalise later")
    if encoded:
        raise UsageError("an image that is encoded once cannot be jittered", got=reader.name, do="choose one of both")


def check_redraw(
    resample_within_class: Mapping[str, str],
    encoders: Iterable[str],
    split: Split,
    columns: Sequence[str],
    *,
    cached: bool,
) -> None:
    """Refuse values of `resample_within_class` and `encoders` that cannot work.

    Raises:
        UsageError: the message names the argument or modality that is wrong.
    """
    names = [modality.name for modality in split.modalities]
    redrawn = [part for name in resample_within_class for part in joined_names(name)]
    twice = [name for name in redrawn if redrawn.count(name) > 1]
    if twice:
        raise UsageError("resample_within_class names a modality twice", got=twice[0], do="name each modality once")
    asked = [*redrawn, *encoders]
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise UsageError("this split has no such modality", got=unknown[0], do=f"choose among {', '.join(names)}")
    texts = [modality.name for modality in split.modalities if modality.kind == "text"]
    media = [name for name in asked if name in texts]
    if media:
        raise UsageError("resample_within_class and encoders are for media, not for texts", got=media[0])
    if asked and not cached:
        raise UsageError("resample_within_class and encoders need decoded media at hand", do="pass cache=True")
    if resample_within_class and split.name != "train":
        raise UsageError("media are redrawn for training only", where=split.location, got=f"split {split.name}")
    given = {*columns, *({"cls_id"} & set(split.columns))}
    absent = [column for column in resample_within_class.values() if column not in given]
    if absent:
        raise UsageError("resample_within_class needs its label column in `columns`", got=absent[0])
