"""Which datasets hold patients' data, and what of their manifests may be published; see `format.disclosure`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from symile_data.datasets import MIMIC
from symile_data.format.disclosure import is_small, withheld_steps
from symile_data.format.manifest import Manifest


def is_synthetic(manifest: Manifest) -> bool:
    """Tell whether a MIMIC build read synthetic records."""
    identity = manifest.identity
    return identity.dataset == MIMIC and (_has_sample(identity.sources) or bool(identity.spec.get("sample")))


def is_confidential(manifest: Manifest) -> bool:
    """Tell whether the rows, and counts of a few of them, are patients' data that must not be published."""
    return manifest.identity.dataset == MIMIC and not is_synthetic(manifest)


def disclosed(manifest: Manifest) -> Manifest:
    """Return the manifest as it may be published. For patients' data, small counts of the selection and of dropped
    items are withheld, and no dropped item is named. Other manifests stay as they are.

    Reasons of dropped items begin with the kind of the item ("X-ray: ..."). One small count withholds all counts of its
    kind, and a withheld step of the selection withholds all of them, since one could be calculated from the others.
    """
    if not is_confidential(manifest):
        return manifest
    steps = [step.count for step in manifest.cohort_flow]
    hidden = withheld_steps(steps, sum(manifest.splits.values()))
    kinds = {_kind(entry.reason) for entry in manifest.dropped if entry.count is None or is_small(entry.count)}
    return replace(
        manifest,
        cohort_flow=[
            replace(step, count=None) if place in hidden else step for place, step in enumerate(manifest.cohort_flow)
        ],
        dropped=[
            replace(entry, count=None if hidden or _kind(entry.reason) in kinds else entry.count, examples=[])
            for entry in manifest.dropped
        ],
    )


def _has_sample(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("kind") == "sample" or any(_has_sample(inner) for inner in value.values())
    return False


def _kind(reason: str) -> str:
    return reason.partition(":")[0]
