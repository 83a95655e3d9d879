"""Exact information terms of a design, in nats: everything follows from the entropy of a set of modalities.

Blocks are independent, so the entropy of some modalities is the sum over blocks of the entropy of the symbols that they
show. With L = ln n, m modalities in the scope, k of them in the set, and p the strength:

- redundant: -Q ln(Q / n) - (1 - Q) (ln(1 - p) - k L), with Q = p + (1 - p) n^(1 - k), the probability that all k agree.
- synergistic: k L; for k = m less the information of the sum, L + c ln c + (n - 1) e ln e, e = (1 - p) / n, c = p + e.
- private: L.
- xor: k L, less I(first; last) where both are in the set and k < m; for k = m: (m - 1) L + (1 - 1 / n) H(p).

The forms were checked by sums over every row that can occur (tests/core/datasets/test_pid_terms.py).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from .blocks import Block
from .design import Design


def entropy(design: Design, modalities: Iterable[str]) -> float:
    """Entropy of some modalities together, in nats; 0 for none.

    >>> from .presets import PRESETS
    >>> round(entropy(PRESETS["redundant"], ["a", "b"]) / math.log(2), 9)
    5.0
    """
    chosen = set(modalities)
    return math.fsum(block_entropy(block, chosen) for block in design.blocks)


def block_entropy(block: Block, modalities: Collection[str]) -> float:
    """Entropy in nats of the symbols that some modalities have in a block."""
    n, p, m = block.values, block.strength, len(block.scope)
    k, log_n = len(set(block.scope) & set(modalities)), math.log(n)
    if k == 0:
        return 0.0
    if block.relation == "redundant":
        return _copies(n, p, k)
    if block.relation == "synergistic" and k == m:
        return k * log_n - _sum_information(n, p)
    if block.relation == "xor" and k == m:
        return (m - 1) * log_n + (1 - 1 / n) * (-_xlogx(p) - _xlogx(1 - p))
    if block.relation == "xor" and block.scope[0] in modalities and block.scope[-1] in modalities:
        return k * log_n - _ends_information(n, p)
    return k * log_n


def mutual(design: Design, first: Collection[str], second: Collection[str], given: Collection[str] = ()) -> float:
    """Mutual information I(first; second | given) of three sets of modalities, in nats."""
    with_first, with_second = {*first, *given}, {*second, *given}
    return (
        entropy(design, with_first)
        + entropy(design, with_second)
        - entropy(design, with_first | with_second)
        - entropy(design, given)
    )


def total_correlation(design: Design) -> float:
    """Total correlation of all modalities in nats: what they tell together beyond each alone (Watanabe, 1960)."""
    return math.fsum(entropy(design, [name]) for name in design.names) - entropy(design, design.names)


def dual_total_correlation(design: Design) -> float:
    """Dual total correlation in nats: the entropy of all less what each has alone given the rest (Han, 1975)."""
    whole = entropy(design, design.names)
    alone = math.fsum(whole - entropy(design, set(design.names) - {name}) for name in design.names)
    return whole - alone


def o_information(design: Design) -> float:
    """O-information in nats, TC - DTC (Rosas, 2019): above 0 where redundancy prevails, below 0 where synergy does."""
    return total_correlation(design) - dual_total_correlation(design)


def interaction(design: Design, one: str, other: str, third: str) -> float:
    """Interaction information I(one; other) - I(one; other | third) of three modalities, in nats."""
    return mutual(design, [one], [other]) - mutual(design, [one], [other], [third])


def _copies(n: int, p: float, k: int) -> float:
    agree = p + (1 - p) * float(n) ** (1 - k)
    apart = (1 - p) * (1 - float(n) ** (1 - k))
    uniform = apart * (math.log(1 - p) - k * math.log(n)) if apart > 0 else 0.0
    return -agree * math.log(agree / n) - uniform


def _sum_information(n: int, p: float) -> float:
    """What all symbols of a synergistic block tell together: ln n less the entropy of their sum."""
    other = (1 - p) / n
    return math.log(n) + _xlogx(p + other) + (n - 1) * _xlogx(other)


def _ends_information(n: int, p: float) -> float:
    """I(first; last) of an xor block: they are equal with probability (1 - p) + p / n."""
    equal = (1 - p) + p / n
    return equal * (math.log(n) + math.log(equal)) + (1 - 1 / n) * _xlogx(p)


def _xlogx(x: float) -> float:
    return x * math.log(x) if x > 0 else 0.0
