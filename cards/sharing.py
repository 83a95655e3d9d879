"""May a dataset be shown to others or passed on? Decided from what the manifest says of its sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symile_data.format.manifest import Manifest

from .descriptions import description_of

CREDENTIALED = "credentialed"
IMAGES = "pictures"

_CREDENTIALED_LICENCE = "physionet-credentialed-health-data-license-1.5.0"
_FREE_IMAGES = ("sample",)


@dataclass(frozen=True, kw_only=True)
class Restriction:
    """Why a dataset is not for everybody.

    Args:
        kind: `CREDENTIALED` (never to be passed on) or `IMAGES` (their owners' terms decide).
        reason: A clause for messages.
    """

    kind: str
    reason: str


def restriction_of(manifest: Manifest) -> Restriction | None:
    """The restriction on a dataset, or None for data that may be passed on under the licence in its card.

    Synthetic MIMIC data (`--sample`) and sample images are free; everything read from PhysioNet, and every image
    that was not drawn here, is not.
    """
    if description_of(manifest).licence(manifest).name == _CREDENTIALED_LICENCE:
        return Restriction(
            kind=CREDENTIALED,
            reason="this dataset holds records of patients under PhysioNet's data use agreement",
        )
    images = manifest.identity.sources.get("images")
    kind = images.get("kind") if isinstance(images, Mapping) else manifest.identity.spec.get("images")
    if manifest.identity.dataset == "symile-m3" and kind not in _FREE_IMAGES:
        return Restriction(
            kind=IMAGES,
            reason="this dataset holds images that ImageNet's terms of access, or terms not known here, cover",
        )
    return None
