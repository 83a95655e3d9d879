"""The law of the synthetic admissions: what modalities show, what labels depend on it, how well ideal readers do.

Each admission has three *signs*, 5-bit numbers that one modality each shows in full. Bits 0 to 3 of the ECG and of the
blood tests are independent; with probability `pair_information` the three modalities share a bit, otherwise the bit of
the X-ray is the XOR of the other two. Bit 4 is independent of everything else: the heart is large in the X-ray, the
rate lies in the upper half of its range in the ECG, and four blood tests are high on average.

A label depends on a few of these bits, by chance. All numbers here are exact values of this law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from symile_data.format.disclosure import is_synthetic
from symile_data.format.manifest import Manifest

from .icd import PREFIX

MODALITIES = ("cxr", "ecg", "labs")
BITS = 4  # bits of a sign that pairs or triples of modalities tell of one another
STATES = 1 << BITS
TRAIT = BITS  # the bit of a sign that nothing else tells
STAY_CHANCES = (0.7, 0.2, 0.1)  # of a patient with one, two and three stays
LAST_STAYS = 1 / sum(number * chance for number, chance in enumerate(STAY_CHANCES, start=1))

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


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
        """Number the case of one admission, or of many where the signs are arrays."""
        bits = [signs[modality] >> number & 1 for modality, number in self.bits]
        total = sum(bits)
        return total % 2 if self.combine == "xor" else total


_RARE, _FREQUENT = 0.1, 0.9

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
        ValueError: The label is constant, so that the area is not defined.

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


def joint_states(pair_information: float) -> tuple[FloatArray, dict[str, IntArray]]:
    """Enumerate the signs of an admission.

    Args:
        pair_information: Probability with which the modalities share a bit, from 0 to 1.

    Returns:
        (S,) probabilities with sum 1, and for each modality (S,) int64 signs from 0 to 31.
    """
    triples = _triples(pair_information)
    probabilities, signs = [], []
    for bits in product(triples, repeat=BITS):
        chance = float(np.prod([triples[bit] for bit in bits]))
        states = [sum(bit[modality] << number for number, bit in enumerate(bits)) for modality in range(3)]
        for traits in product((0, 1), repeat=3):
            probabilities.append(chance / 8)
            signs.append([state | trait << TRAIT for state, trait in zip(states, traits, strict=True)])
    columns = np.array(signs).T
    return np.array(probabilities), dict(zip(MODALITIES, columns, strict=True))


def label_aurocs(pair_information: float) -> dict[str, dict[str, Any]]:
    """Compute the prevalence of each label and the area of the ideal reader of each set of modalities.

    Returns:
        Column -> {"prevalence": float, "auroc": modalities joined by "+" -> float}.

    >>> found = label_aurocs(0.0)["icd_endocrine"]["auroc"]
    >>> found["ecg"], found["ecg+labs"], found["cxr+ecg"]
    (0.5, 0.9, 0.5)
    """
    probability, signs = joint_states(pair_information)
    found = {}
    for rule in RULES:
        scale = LAST_STAYS if rule.last_stay else 1.0
        chance = scale * np.array(rule.chances)[rule.case(signs)]
        found[rule.column] = {
            "prevalence": float(np.round(probability @ chance, 12)),
            "auroc": {"+".join(some): ideal_auroc(probability, chance, _seen(signs, some)) for some in readers()},
        }
    return found


def readers() -> list[tuple[str, ...]]:
    """List every set of modalities that is not empty, the small ones first."""
    return [some for size in (1, 2, 3) for some in combinations(MODALITIES, size)]


def pair_bits(pair_information: float) -> float:
    """Compute the mutual information of any two modalities, in bits.

    Of each of the four bits, two modalities agree with probability (1 + p) / 2.

    >>> pair_bits(0.0), pair_bits(1.0)
    (0.0, 4.0)
    """
    agree = (1 + pair_information) / 2
    entropy = -sum(part * np.log2(part) for part in (agree, 1 - agree) if part > 0)
    return float(BITS * (1 - entropy))


def retrieval_ceilings(pair_information: float, candidates: int) -> dict[str, float]:
    """Compute the best accuracies of finding the X-ray of an admission among those of other patients.

    A reader ranks the candidates by a score of their four shared bits; ties are broken by chance. With G states that
    score higher than the true one and T that score the same, itself included, a candidate of another patient is one
    of the former with probability G/16 and one of the latter with T/16, independently. So the true one wins with
    probability sum_k C(n, k) (T/16)^k (1 - (G + T)/16)^(n-k) / (k + 1) for n others, which is
    [(1 - G/16)^(n+1) - (1 - (G + T)/16)^(n+1)] / ((n + 1) T/16).

    Args:
        pair_information: Probability with which the modalities share a bit.
        candidates: Number of candidates, the true one included.

    Returns:
        "joint": of a reader of ECG and tests together; "pairwise": of the sum of what each of the two tells alone.

    >>> found = retrieval_ceilings(0.0, 10)
    >>> round(found["joint"], 3), round(found["pairwise"], 3)
    (0.761, 0.1)
    """
    triples = _triples(pair_information)
    given: dict[tuple[int, int], FloatArray] = {}
    for ecg, labs in product((0, 1), repeat=2):
        of_both = np.array([triples.get((cxr, ecg, labs), 0.0) for cxr in (0, 1)])
        given[ecg, labs] = of_both / of_both.sum() if of_both.sum() else np.full(2, 0.5)
    weights = {both: sum(triples.get((cxr, *both), 0.0) for cxr in (0, 1)) for both in given}
    agree = (1 + pair_information) / 2
    alone = [np.array([agree if cxr == other else 1 - agree for cxr in (0, 1)]) for other in (0, 1)]
    found: dict[str, float] = {"joint": 0.0, "pairwise": 0.0}
    for bits in product(given, repeat=BITS):
        weight = float(np.prod([weights[both] for both in bits]))
        if not weight:
            continue
        true = _outer([given[both] for both in bits])
        scores = {"joint": true, "pairwise": _outer([alone[ecg] * alone[labs] for ecg, labs in bits])}
        for name, score in scores.items():
            found[name] += weight * float(true @ _wins(score, candidates))
    return found


def sample_terms(pair_information: float, columns: Sequence[str], candidates: int) -> dict[str, Any]:
    """Collect the exact numbers of a sample for its card.

    Args:
        pair_information: Probability with which the modalities share a bit.
        columns: Columns of the dataset; labels that it lacks are left out.
        candidates: Number of candidates of a retrieval set.

    Returns:
        "pair_information", "pair_bits", "retrieval" (see `retrieval_ceilings`) and "labels" (see `label_aurocs`).
    """
    labels = {column: found for column, found in label_aurocs(pair_information).items() if column in columns}
    return {
        "pair_information": pair_information,
        "pair_bits": pair_bits(pair_information),
        "retrieval": retrieval_ceilings(pair_information, candidates),
        "labels": labels,
    }


@lru_cache(maxsize=8)
def _triples(pair_information: float) -> dict[tuple[int, int, int], float]:
    """Map the values of one bit in X-ray, ECG and tests to their probability; impossible ones are left out."""
    found: dict[tuple[int, int, int], float] = {}
    for ecg, labs in product((0, 1), repeat=2):
        found[ecg ^ labs, ecg, labs] = (1 - pair_information) / 4
    for shared in (0, 1):
        same = shared, shared, shared
        found[same] = found.get(same, 0.0) + pair_information / 2
    return {bits: chance for bits, chance in found.items() if chance}


def _seen(signs: Mapping[str, IntArray], some: Sequence[str]) -> IntArray:
    """Number what a reader of some modalities sees."""
    seen = np.zeros_like(signs[MODALITIES[0]])
    for modality in some:
        seen = seen << (BITS + 1) | signs[modality]
    return seen


def _outer(parts: Sequence[FloatArray]) -> FloatArray:
    """Multiply the probabilities of independent bits: (16,) by state, bit 0 the lowest."""
    result = np.ones(1)
    for part in parts:
        result = np.outer(part, result).ravel()
    return result


def _wins(score: FloatArray, candidates: int) -> FloatArray:
    """Compute for each true state the probability that it wins, as `retrieval_ceilings` derives it."""
    rounded = np.round(score, 12)
    higher = (rounded[None, :] > rounded[:, None]).mean(axis=1)
    same = (rounded[None, :] == rounded[:, None]).mean(axis=1)
    result: FloatArray = ((1 - higher) ** candidates - (1 - higher - same) ** candidates) / (candidates * same)
    return result


def pair_information_of(manifest: Manifest) -> float | None:
    """Return the setting by which the synthetic admissions of a dataset were drawn.

    None for real admissions, for other datasets, and for samples of versions that did not say how they were drawn.
    """
    if not is_synthetic(manifest):
        return None
    records = manifest.identity.sources.get("records")
    stated = records.get("pair_information") if isinstance(records, Mapping) else None
    found = manifest.identity.spec.get("pair_information", stated)
    return float(found) if isinstance(found, int | float) and 0 <= found <= 1 else None
