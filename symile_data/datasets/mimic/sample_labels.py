"""The labels of the synthetic admissions: how they depend on what the modalities show, and what ideal readers reach.

A label depends on a few bits of the signs (see `sample_law`), by chance. All numbers here are exact values of this law.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .icd import PREFIX
from .sample_law import BITS, LAST_STAYS, TRAIT, FloatArray, IntArray, joint_states, readers, seen_signs
from .schema import FINDINGS


@dataclass(frozen=True)
class LabelRule:
    """The dependence of a label on the signs of an admission.

    Args:
        column: Name of the column.
        bits: The bits that it depends on: modality and number.
        combine: "xor" numbers the cases by the XOR of the bits, "count" by how many are 1.
        chances: Probability that the label is 1 in each case.
        last_stay: Whether the label can be 1 only in a patient's last stay; `chances` are of such a stay.
    """

    column: str
    bits: tuple[tuple[str, int], ...]
    combine: Literal["xor", "count"]
    chances: tuple[float, ...]
    last_stay: bool = False

    def case(self, signs: Mapping[str, Any]) -> Any:
        """Number the case of one admission, or of many where the signs are arrays; 0 for a label without bits."""
        bits = [signs[modality] >> number & 1 for modality, number in self.bits]
        total = sum(bits)
        return total % 2 if self.combine == "xor" else total

    def chance(self, signs: Mapping[str, Any]) -> Any:
        """Return the probability that the label is 1, of one admission or of many."""
        return np.array(self.chances)[self.case(signs)]


def _finding(
    name: str, bits: tuple[tuple[str, int], ...], combine: Literal["xor", "count"], *chances: float
) -> LabelRule:
    return LabelRule(FINDINGS[name], bits, combine, chances)


_RARE, _FREQUENT = 0.1, 0.9

# The labels of a stay: chapters of diagnoses, and death.
RULES = (
    LabelRule(PREFIX + "respiratory", (("cxr", 0),), "xor", (_RARE, _FREQUENT)),
    LabelRule(PREFIX + "circulatory", (("ecg", 2),), "xor", (_RARE, _FREQUENT)),
    LabelRule(PREFIX + "genitourinary", (("labs", 1),), "xor", (_RARE, _FREQUENT)),
    LabelRule(PREFIX + "blood", (("ecg", 1), ("labs", 0)), "xor", (_RARE, _FREQUENT)),
    LabelRule(PREFIX + "endocrine", (("ecg", TRAIT), ("labs", TRAIT)), "xor", (_RARE, _FREQUENT)),
    LabelRule(PREFIX + "infectious", (("cxr", TRAIT), ("ecg", TRAIT), ("labs", TRAIT)), "xor", (_RARE, _FREQUENT)),
    LabelRule(
        "hospital_expire_flag",
        (("cxr", TRAIT), ("ecg", 3), ("labs", 3)),
        "count",
        (0.03, 0.12, 0.35, 0.8),
        last_stay=True,
    ),
)

# CheXpert's findings, in the order of `FINDINGS`. Like the signs of the X-ray they belong to a study; what they depend
# on beside it is the stay's electrocardiogram and tests.
FINDING_RULES = (
    _finding("Atelectasis", (("cxr", 1),), "xor", 0, 1),
    _finding("Cardiomegaly", (("cxr", TRAIT), ("ecg", 3)), "count", 0.05, 0.5, 0.95),
    _finding("Consolidation", (("cxr", 0), ("cxr", 2)), "count", 0.05, 0.4, 0.9),
    _finding("Edema", (("cxr", 2),), "xor", 0, 1),
    _finding("Enlarged Cardiomediastinum", (("cxr", TRAIT),), "xor", 0.2, 0.8),
    _finding("Fracture", (), "count", 0.4),
    _finding("Lung Lesion", (("cxr", 1),), "xor", 0.15, 0.65),
    _finding("Lung Opacity", (("cxr", 0),), "xor", 0, 1),
    _finding("No Finding", tuple(("cxr", bit) for bit in range(BITS)), "count", 1, 0, 0, 0, 0),
    _finding("Pleural Effusion", (("cxr", 3),), "xor", 0, 1),
    _finding("Pleural Other", (("cxr", 3), ("labs", 1)), "xor", _RARE, _FREQUENT),
    _finding("Pneumonia", (("cxr", 0), ("labs", 2)), "count", 0.05, 0.5, 0.95),
    _finding("Pneumothorax", (("cxr", 1), ("ecg", 2)), "xor", _RARE, _FREQUENT),
    _finding("Support Devices", (("cxr", TRAIT), ("ecg", 3), ("labs", 3)), "count", 0.05, 0.3, 0.7, 0.95),
)

# What a report says of a finding -> its probability where the finding is present, and where it is absent. It depends
# on nothing else, so that the AUROC among the rows that are certain is that among all rows.
PRESENT, ABSENT, UNCERTAIN = 1, 0, -1
SAYS: Mapping[int, tuple[float, float]] = {PRESENT: (0.85, 0.0), ABSENT: (0.0, 0.6), UNCERTAIN: (0.08, 0.06)}


def ideal_auroc(probability: FloatArray, chance: FloatArray, seen: IntArray) -> float:
    r"""Compute the area under the ROC curve of the best reader of a label.

    Let the hidden state s have probability p(s) and give the label 1 with chance c(s), and let a reader see o(s). By
    Neyman and Pearson no score of what is seen has a greater area than q(o) = P(label 1 | o), the sum of p(s) c(s) over
    the states with o(s) = o divided by the sum of p(s). The area is the probability that a random positive scores
    higher than a random negative, ties counted half. A positive shows o with probability a(o), proportional to the sum
    of p(s) c(s), and a negative with b(o), proportional to the sum of p(s) (1 - c(s)), so that

        area = \sum_o a(o) [ \sum_{q(o') < q(o)} b(o') + 1/2 \sum_{q(o') = q(o)} b(o') ].

    With the observations in the order of q, the inner sums are cumulative sums of b.

    Args:
        probability: (S,) probability of each state, with sum 1.
        chance: (S,) probability of the label 1 in each state.
        seen: (S,) what the reader sees of each state, as a number; states with equal numbers look alike.

    Returns:
        The area, from 0.5 to 1.

    Raises:
        ValueError: the label is constant, so that the area is not defined.

    >>> ideal_auroc(np.array([0.5, 0.5]), np.array([0.1, 0.9]), np.array([0, 1]))
    0.9
    """
    _, place = np.unique(seen, return_inverse=True)
    positive, negative = (np.bincount(place, probability * part) for part in (chance, 1 - chance))
    if not positive.sum() or not negative.sum():
        raise ValueError("the label has one value only")
    posterior = np.round(positive / np.maximum(positive + negative, np.finfo(float).tiny), 12)
    _, level = np.unique(posterior, return_inverse=True)
    positive, negative = np.bincount(level, positive / positive.sum()), np.bincount(level, negative / negative.sum())
    below = np.cumsum(negative) - negative
    return float(np.round(positive @ (below + negative / 2), 12))


def label_aurocs(pair_information: float) -> dict[str, dict[str, Any]]:
    """Compute the prevalence of each label and the area of the ideal reader of each set of modalities.

    Findings are those whose report is certain: 1 or 0.

    Returns:
        Column -> {"prevalence": float, "auroc": modalities joined by "+" -> float}.

    >>> found = label_aurocs(0.0)["icd_endocrine"]["auroc"]
    >>> found["ecg"], found["ecg+labs"], found["cxr+ecg"]
    (0.5, 0.9, 0.5)
    """
    probability, signs = joint_states(pair_information)
    found = {}
    for rule in (*FINDING_RULES, *RULES):
        scale = LAST_STAYS if rule.last_stay else 1.0
        chance = np.broadcast_to(scale * rule.chance(signs), probability.shape)
        share = float(probability @ chance)
        if rule in FINDING_RULES:
            certain = SAYS[PRESENT][0] * share, SAYS[ABSENT][1] * (1 - share)
            share = certain[0] / sum(certain)
        found[rule.column] = {
            "prevalence": float(np.round(share, 12)),
            "auroc": {"+".join(some): ideal_auroc(probability, chance, seen_signs(signs, some)) for some in readers()},
        }
    return found
