"""Notes for manifest and card: one sentence for each way in which the default differs from the public pipeline.

`--reference` builds without these differences, except for what it cannot repeat (unseeded draws, crops frozen into
tensors, how things are stored).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from symile_data.datasets.mimic.lab_items import LAB_ITEMS
from symile_data.format.disclosure import LEAST

from .spec import MimicSpec

MENDED = (
    "Splits are made by patient. The public pipeline splits by row and then throws out rows of patients that are in "
    "an earlier split, so its validation and test splits lean to patients with one admission.",
    "Retrieval sets hold no other admission of the query's own patient; the public ones may.",
    "An admission whose X-ray has no CheXpert labels is kept, with null labels; there it is dropped, even where a "
    "later X-ray has labels.",
    "Ties in time go to the smallest id; there to the first in the file, and above 16 X-rays or electrocardiograms of "
    "one window to whichever an unstable sort leaves first.",
    "Electrocardiograms whose samples are all alike are left out; there they pass, and scaling them divides by zero.",
    "Missing or damaged files, and X-rays without a time, are left out and counted; there they end the run.",
    f"A test that no training row has gets the percentile {0.5} in the other splits; there it gets 0.",
)

ALWAYS = (
    "Retrieval sets are drawn from the build's seed; the public pipeline draws them without one, so its own cannot be "
    "drawn again.",
    "X-rays are stored uncropped, so that a loader can crop anew in each epoch; the public tensors hold one crop.",
    "In every mask True means missing; the public tensors store 1 for measured.",
)

LEFT_AS_IT_IS = (
    "Blood tests and electrocardiograms may come from before the admission, and X-rays from after the discharge, "
    "even from another stay; --within-stay forbids it. One X-ray or electrocardiogram may serve two admissions of a "
    "patient.",
    "A record with a flat lead passes; only records that are flat in all leads are left out.",
)


def notes(
    spec: MimicSpec, conflicts: Mapping[int, int], unlabelled: int, unknown: list[int], empty: Sequence[str]
) -> Iterator[str]:
    """Give the notes that the manifest holds about a build.

    Args:
        spec: The settings of the build.
        conflicts: Test -> values whose unit is not the test's usual one.
        unlabelled: Admissions kept although their X-ray has no CheXpert labels.
        unknown: Tests that no training row has.
        empty: Splits without rows.
    """
    if spec.reference:
        yield "Built with --reference: cohort, choices, percentiles and splits are the public pipeline's."
    else:
        yield from (f"Unlike the public pipeline: {sentence}" for sentence in MENDED)
    yield from (f"Unlike the public pipeline: {sentence}" for sentence in ALWAYS)
    if spec.within_stay:
        yield "Everything lies after the patient's previous discharge and up to this one."
    else:
        yield LEFT_AS_IT_IS[0]
    yield LEFT_AS_IT_IS[1]
    if unlabelled:
        yield f"Admissions whose X-ray has no CheXpert labels: {_few(unlabelled)}."
    if conflicts:
        named = ", ".join(f"{LAB_ITEMS[item]} ({_few(count)})" for item, count in sorted(conflicts.items()))
        yield f"Values whose unit is not the test's usual one, kept as they are: {named}."
    if unknown:
        yield f"Tests that no training row has: {', '.join(LAB_ITEMS[item] for item in unknown)}."
    for split in empty:
        yield f"The {split} split is empty; --train and --validation decide how many admissions each split gets."


def _few(count: int) -> str:
    """Round a count of patients' data so that no small count can be calculated from the sentence that tells it.

    >>> _few(3), _few(48), _few(1234)
    ('fewer than 10', 'about 50', 'about 1,200')
    """
    return f"fewer than {LEAST}" if count < LEAST else f"about {round(count, -max(len(str(count)) - 2, 1)):,}"
