"""The law of the synthetic admissions: what their modalities show, and how well ideal readers retrieve.

Each admission has three *signs*, 5-bit numbers that one modality each shows in full. Bits 0 to 3 of the ECG and of the
blood tests are independent; with probability `pair_information` the three modalities share a bit, otherwise the bit of
the X-ray is the XOR of the other two. Bit 4 is independent of everything else: the heart is large in the X-ray, the
rate lies in the upper half of its range in the ECG, and four blood tests are high on average.

All numbers here are exact values of this law. `sample_labels` has the labels, which depend on a few of these bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations, product

import numpy as np
import numpy.typing as npt

MODALITIES = ("cxr", "ecg", "labs")
BITS = 4  # bits of a sign that pairs or triples of modalities tell of one another
STATES = 1 << BITS
TRAIT = BITS  # the bit of a sign that nothing else tells
STAY_CHANCES = (0.7, 0.2, 0.1)  # of a patient with one, two and three stays
LAST_STAYS = 1 / sum(number * chance for number, chance in enumerate(STAY_CHANCES, start=1))

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


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


def readers() -> list[tuple[str, ...]]:
    """List every set of modalities that is not empty, the small ones first."""
    return [some for size in (1, 2, 3) for some in combinations(MODALITIES, size)]


def seen_signs(signs: Mapping[str, IntArray], some: Sequence[str]) -> IntArray:
    """Number what a reader of some modalities sees of each state: (S,) int64."""
    seen = np.zeros_like(signs[MODALITIES[0]])
    for modality in some:
        seen = seen << (BITS + 1) | signs[modality]
    return seen


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
