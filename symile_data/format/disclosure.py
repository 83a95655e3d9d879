"""Decide which counts of patients may be published: no small count, and none from which a small one can be calculated.

A count from 1 to 9 is withheld (primary suppression), and so are other counts until no withheld one can be calculated,
or shown to be below 10, from what is published (secondary suppression). A withheld count is `None` in every file, which
does not say for which of the two reasons, because the reason would itself be information.

Counts come in partitions: disjoint groups of rows whose total is known. One partition is safe when its withheld groups
are at least two and hold at least `LEAST` rows together. Several partitions may share groups, such as the rows without
an X-ray; each is then safe by itself when the withheld groups that no other partition has hold at least `LEAST` rows,
because they make up for any change of the shared ones. The test of this module solves the linear programs that an
attacker would.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from .manifest import Manifest

_PATIENTS = "symile-mimic"
LEAST = 10  # the smallest count of patients, other than 0, that is published

_Key = TypeVar("_Key", bound=Hashable)


def is_small(count: int) -> bool:
    """Tell whether a count is too small to be published; 0 is not.

    >>> [is_small(count) for count in (0, 1, 9, 10)]
    [False, True, True, False]
    """
    return 0 < count < LEAST


def told(count: int | None) -> str:
    """Return a count as people read it.

    >>> told(12345), told(None)
    ('12,345', 'withheld')
    """
    return "withheld" if count is None else f"{count:,}"


def withheld(
    counts: Mapping[_Key, int], *, unpublished: int = 0, shared: bool = False, least: int = LEAST
) -> frozenset[_Key]:
    """Return the groups of a partition whose counts are withheld.

    Args:
        counts: Group -> number of rows, for the groups that would be published.
        unpublished: Number of rows of one more group that is not published in any case.
        shared: Whether another group, which other partitions share, is withheld too; its rows are not counted here.
        least: Number of rows that the withheld groups, without the shared one, must hold together.

    >>> sorted(withheld({"AP": 80, "PA": 12, "lateral": 3}))
    ['PA', 'lateral']
    >>> withheld({"AP": 80, "PA": 20})
    frozenset()
    """
    hidden = [key for key, count in counts.items() if is_small(count)]
    if not hidden and not is_small(unpublished) and not shared:
        return frozenset()
    rest = sorted((count, place, key) for place, (key, count) in enumerate(counts.items()) if count >= LEAST)
    held = unpublished + sum(counts[key] for key in hidden)
    for count, _, key in rest:
        if held >= least:  # no small group alone holds so many, so at least two are withheld
            break
        hidden.append(key)
        held += count
    return frozenset(hidden)


def withheld_steps(counts: Sequence[int | None], total: int) -> frozenset[int]:
    """Return the steps of a selection whose counts are withheld, so that any two of the published counts and `total`
    are equal or differ by at least `LEAST`.

    The first step, which counts the whole source, is published if possible, since its size is often known elsewhere.

    Args:
        counts: Number of items that each step left; None where it is withheld already.
        total: Number of rows of the dataset, which is published.

    >>> sorted(withheld_steps([1000, 997, 500, 497], 497))
    [1, 2]
    """
    published = [total]
    hidden = []
    order = sorted(range(len(counts)), key=lambda place: (place != 0, -place))
    for place in order:
        count = counts[place]
        if count is None or is_small(count) or any(is_small(abs(count - other)) for other in published):
            hidden.append(place)
        else:
            published.append(count)
    return frozenset(hidden)


def is_synthetic(manifest: Manifest) -> bool:
    """Tell whether a MIMIC build read synthetic records."""
    identity = manifest.identity
    return identity.dataset == _PATIENTS and (_has_sample(identity.sources) or bool(identity.spec.get("sample")))


def is_confidential(manifest: Manifest) -> bool:
    """Tell whether the rows, and counts of a few of them, are patients' data that must not be published."""
    return manifest.identity.dataset == _PATIENTS and not is_synthetic(manifest)


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
