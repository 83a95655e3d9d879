"""Decide from the sources in its manifest whether a dataset may be shown to others or passed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symile_data.datasets import M3
from symile_data.format.manifest import Manifest

from .descriptions import description_of
from .sources.mimic import CREDENTIALED_LICENCE

CREDENTIALED = "credentialed"
IMAGES = "images"

_FREE_IMAGES = ("sample",)


@dataclass(frozen=True, kw_only=True)
class Restriction:
    """The reason why a dataset may not be passed on freely.

    Args:
        kind: `CREDENTIALED` (it may never be passed on) or `IMAGES` (the terms of the images' owners decide).
        reason: A clause for messages.
    """

    kind: str
    reason: str


def restriction_of(manifest: Manifest) -> Restriction | None:
    """Return the restriction on a dataset, or None for data that may be passed on under the licence in its card.

    Synthetic MIMIC data (`--sample`) and sample images are free. Everything that was read from PhysioNet is restricted,
    and so is every image that this package did not draw.
    """
    if description_of(manifest).licence(manifest).name == CREDENTIALED_LICENCE:
        return Restriction(
            kind=CREDENTIALED,
            reason="this dataset contains records of patients under PhysioNet's data use agreement",
        )
    images = manifest.identity.sources.get("images")
    kind = images.get("kind") if isinstance(images, Mapping) else manifest.identity.spec.get("images")
    if manifest.identity.dataset == M3 and kind not in _FREE_IMAGES:
        return Restriction(
            kind=IMAGES,
            reason="this dataset contains images under ImageNet's terms of access, or under unknown terms",
        )
    return None
