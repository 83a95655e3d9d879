"""Kinds of modalities from outside the package: how their values are decoded, encoded and drawn.

The bundled kinds stand in the tables of decoders, encoders and panels. Another kind is registered by a call or declared
by an installed package as an entry point of the group `symile_data.kinds`; docs/own-data.md shows both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .registry import Registry, load

BUNDLED = ("image", "audio", "text", "vector", "features", "ecg", "labs")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of modality. Code may be named as "module:attribute", which is imported only where it is needed.

    Args:
        decoder: A `symile_data.loaders.decoders.base.Decoder`: stored value -> array of a batch.
        encoders: Model -> class of torch modules, the default first. It is called with `dim`, a `DataDescription` and
            the settings of the kind's section in the config; its `forward` takes the batch of the modality and the mask
            of rows that lack it, and returns (B, D). Without encoders the kind cannot be trained on.
        draw: Function of matplotlib's axes and a stored value (lists of numbers as arrays), which draws the value for
            the card and the preview; None leaves both without a picture.
    """

    decoder: Any
    encoders: Mapping[str, Any] = field(default_factory=dict)
    draw: Any = None


KINDS = Registry("symile_data.kinds", "kind of modality", Kind, BUNDLED)


def register_kind(name: str, kind: Kind) -> None:
    """Add a kind of modality from outside the package, for this process.

    A program that reads, trains on or documents a dataset with the kind needs the same call; for the command line, an
    installed package declares an entry point.

    Args:
        name: Its name in `own_schema(..., modalities={column: name})`, manifests and sections of configs.
        kind: How its values are decoded, encoded and drawn.

    Raises:
        UsageError: the name is taken, or is not a lower-case letter followed by such letters, digits, - and _.
    """
    KINDS.register(name, kind)


def part_of_kind(name: str, part: str) -> Any:
    """Return the decoder, the encoders or the drawing function of a kind from outside; None where there is none."""
    kind = KINDS.find(name)
    if kind is None:
        return None
    value = getattr(kind, part)
    return {key: load(one) for key, one in value.items()} if isinstance(value, Mapping) else load(value)
