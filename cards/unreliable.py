"""What a card says of misaligned and noisy modalities: rates, counted shares, and what accuracies remain possible."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from symile_data.datasets import M3, PID, XOR
from symile_data.datasets.m3 import unreliable as m3
from symile_data.datasets.pid import Design, design_of
from symile_data.datasets.pid import unreliable as pid
from symile_data.datasets.xor import unreliable as xor
from symile_data.errors import UsageError
from symile_data.format.manifest import Manifest
from symile_data.format.schema import Modality
from symile_data.reliability import TEST, Reliability

if TYPE_CHECKING:
    from .statistics.collect import Statistics

_MOST_ROWS = 1 << 20  # different rows times sets of misaligned modalities, for readers who do not know these


def unreliable_part(manifest: Manifest, statistics: Statistics) -> dict[str, Any]:
    """Return what the template shows; {} where every modality is reliable.

    Returns:
        "modalities", a row for each unreliable one: its name, what happens to it, the rate, and by split the counted
        share of rows, None where it is withheld; "test", whether rows of the test split are affected; "accuracies",
        what is predicted and the best accuracy for a reader who does not know which rows are affected and for one who
        does, None where not known.
    """
    settings = Reliability.of(manifest.identity.spec)
    if not settings:
        return {}
    rows = []
    for modality in manifest.modalities:
        name = modality.name
        if name in settings.misaligned:
            rows.append((name, "another row's value", settings.misaligned[name], f"{name}_misaligned"))
        if name in settings.noisy:
            noise = settings.noise_shown(name, modality.kind)
            rows.append((name, noise, settings.noisy[name], f"{name}_noisy"))
    return {
        "modalities": [
            {"name": name, "what": what, "rate": rate, "shares": _shares(statistics, column)}
            for name, what, rate, column in rows
        ],
        "test": bool(manifest.splits.get(TEST)) and (settings.misaligned_test or settings.noisy_test),
        "accuracies": [
            {"target": target, "hidden": hidden, "known": known}
            for target, hidden, known in _accuracies(manifest, settings, statistics)
        ],
    }


def unreliable_meaning(column: str, modalities: Sequence[Modality], settings: Reliability) -> str:
    """Say what a column means that misaligned or noisy modalities add; "" for any other column.

    >>> a = Modality(name="a", kind="vector", column="a", null_columns=("a",))
    >>> unreliable_meaning("a_donor", [a], Reliability(misaligned={"a": 0.5}))
    'sample_id of the row whose a is shown; -1 where it is its own'
    """
    for name in (modality.name for modality in modalities):
        if column in settings.columns_of(name):
            return {
                f"{name}_misaligned": f"True where {name} is that of another row",
                f"{name}_donor": f"sample_id of the row whose {name} is shown; -1 where it is its own",
                f"{name}_noisy": f"True where {name} has noise",
            }[column]
    return ""


def _shares(statistics: Statistics, column: str) -> dict[str, float | None]:
    """Share of rows by split; None where the counts are withheld, as small ones of patients' data are."""
    counts, rows = statistics.get("categories", {}).get(column, {}), statistics["rows"]
    return {
        split: found.get("True", 0) / max(rows[split], 1) if sum(found.values()) == rows[split] else None
        for split, found in counts.items()
    }


def _accuracies(
    manifest: Manifest, settings: Reliability, statistics: Statistics
) -> Iterator[tuple[str, float | None, float | None]]:
    """Yield what is predicted with its accuracies, where closed forms know them."""
    spec, names = manifest.identity.spec, [modality.name for modality in manifest.modalities]
    rates = [settings.misaligned.get(name, 0.0) for name in names]
    if manifest.identity.dataset == XOR and not settings.noisy:
        for told, between in ((f"{names[1]}, from all others", True), (f"{names[-1]}, from all others", False)):
            found = [
                xor.misaligned_accuracy(spec["p_hat"], spec["dims"], rates, between=between, known=known)
                for known in (False, True)
            ]
            yield told, found[0], found[1]
    elif manifest.identity.dataset == XOR and not settings.misaligned and len(settings.noisy) == 1:
        ((name, rate),) = settings.noisy.items()
        found = [xor.noisy_accuracy(spec["p_hat"], spec["dims"], rate, settings.noise_level(name, "vector"))] * 2
        yield f"{names[1]}, from all others", found[0], found[1]
    elif (
        manifest.identity.dataset == M3
        and spec["mode"] == "disjoint"
        and spec["words"] == len(spec["languages"])
        and not settings.noisy
    ):
        classes = sum(1 for rows in statistics["categories"]["cls_id"]["train"].values() if rows)
        by_name = dict(zip(names, rates, strict=True))
        keys = [by_name[name] for name in names if name not in ("image", "text")]
        best = m3.misaligned_accuracy(spec["words"], classes, by_name["image"], by_name["text"], keys)
        yield f"the class of image among {classes}, from all others", best, best
    elif manifest.identity.dataset == PID:
        yield from _pid_accuracies(design_of(spec["design"]), settings)


def _pid_accuracies(design: Design, settings: Reliability) -> Iterator[tuple[str, float | None, float]]:
    """Yield the accuracies of PID data in which modalities are misaligned, or the vectors of one are noisy."""
    rates, told = settings.misaligned, "{}, from all others"
    if not settings.noisy and len(rates) <= pid.MOST_MISALIGNED:
        rows = math.prod(design.values_of(name) for name in design.names) << len(rates)
        for name in design.names:
            others = [other for other in design.names if other != name]
            known = pid.misaligned_accuracy(design, name, others, rates)
            hidden = pid.misaligned_accuracy(design, name, others, rates, known=False) if rows <= _MOST_ROWS else None
            yield told.format(name), hidden, known
    elif not rates and len(settings.noisy) == 1 and set(design.modalities.values()) == {"vector"}:
        ((noisy, rate),) = settings.noisy.items()
        level = settings.noise_level(noisy, "vector")
        for name in design.names:
            if name == noisy:
                continue
            with contextlib.suppress(UsageError):  # not known for a noisy modality in a block of the relation xor
                others = [other for other in design.names if other != name]
                best = pid.noisy_accuracy(design, name, others, noisy, rate, level)
                yield told.format(name), best, best
