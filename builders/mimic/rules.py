"""Notes for manifest and card: one sentence for each difference between the default and the public pipeline.

`--reference` builds without these differences, except for those that it cannot avoid (unseeded draws, crops frozen into
tensors, the storage format).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from symile_data.datasets.mimic.icd import CHAPTER_COLUMNS
from symile_data.datasets.mimic.lab_items import LAB_ITEMS
from symile_data.format.disclosure import LEAST

from .spec import MimicSpec

MENDED = (
    "Splits are made by patient. The public pipeline splits by row and then discards rows of patients that are in an "
    "earlier split, so patients with one admission are more frequent in its validation and test splits.",
    "Retrieval sets contain no other admission of the query's patient; those of the public pipeline may.",
    "An admission whose X-ray has no CheXpert labels is kept, with null labels; the public pipeline drops it, even "
    "where a later X-ray has labels.",
    "Ties in time go to the smallest id; in the public pipeline they go to the first in the file, and among more than "
    "16 X-rays or electrocardiograms of one window to the one that an unstable sort leaves first.",
    "Electrocardiograms whose samples are all equal are left out; the public pipeline keeps them, and scaling them "
    "divides by zero.",
    "Missing or damaged files, and X-rays without a time, are left out and counted; the public pipeline stops at them.",
    f"A test that no training row has gets the percentile {0.5} in the other splits; in the public pipeline it gets 0.",
)

ALWAYS = (
    "Retrieval sets are drawn from the build's seed; the public pipeline draws them without a seed, so its sets cannot "
    "be reproduced.",
    "X-rays are stored uncropped, so that a loader can crop anew in each epoch; the public tensors contain one crop.",
    "In every mask True means missing; the public tensors store 1 for measured.",
)

LEFT_AS_IT_IS = (
    "Blood tests and electrocardiograms may come from before the admission, and X-rays from after the discharge, "
    "even from another stay; --within-stay forbids it. One X-ray or electrocardiogram may serve two admissions of a "
    "patient.",
    "A record with a flat lead passes; only records that are flat in all leads are left out.",
)


def notes(
    spec: MimicSpec,
    conflicts: Mapping[int, int],
    unlabelled: int,
    unknown: list[int],
    empty: Sequence[str],
    stay_columns: Collection[str],
) -> Iterator[str]:
    """Yield the notes for a build's manifest.

    Args:
        spec: The settings of the build.
        conflicts: Test -> values whose unit is not the test's usual one.
        unlabelled: Admissions kept although their X-ray has no CheXpert labels.
        unknown: Tests that no training row has.
        empty: Splits without rows.
        stay_columns: The columns about the stay that the tables give.
    """
    if spec.reference:
        yield "Built with --reference: cohort, choices, percentiles and splits are those of the public pipeline."
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
    if "hospital_expire_flag" not in stay_columns:
        yield "The column hospital_expire_flag is absent, because hosp/admissions has no such column."
    if CHAPTER_COLUMNS[0] not in stay_columns:
        yield "The columns icd_* are absent, because the folder of MIMIC-IV has no table hosp/diagnoses_icd."
    for split in empty:
        yield f"The {split} split is empty; --train and --validation decide how many admissions each split gets."


def _few(count: int) -> str:
    """Round a count of patients' data so that no small count can be derived from the sentence.

    >>> _few(3), _few(48), _few(1234)
    ('fewer than 10', 'about 50', 'about 1,200')
    """
    return f"fewer than {LEAST}" if count < LEAST else f"about {round(count, -max(len(str(count)) - 2, 1)):,}"
