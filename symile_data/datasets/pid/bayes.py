"""Bayes-optimal accuracies of a design: how often the best guess of a modality's value from some others is right.

A value is a tuple of symbols and blocks are independent, so the accuracy is a product over the target's blocks: with n
values and strength p, p + (1 - p) / n where the readers inform about the block, else 1 / n. Readers inform about a
redundant block by any one of its modalities, and about a synergistic block by all the others. More copies add
information, not accuracy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping

from symile_data.errors import UsageError

from .blocks import Block
from .design import Design


def bayes_accuracy(design: Design, target: str, readers: Collection[str], block: str | None = None) -> float:
    """Best possible accuracy of predicting a modality's value, or its symbol in one block.

    Args:
        design: The design.
        target: The modality that is predicted.
        readers: The modalities that are read; the target is none of them. With none it is the best blind guess.
        block: Name of a block of the target whose symbol alone is predicted; the whole value where not given.

    Raises:
        UsageError: `target` or `block` is unknown, or the target is read.

    >>> from .presets import PRESETS
    >>> bayes_accuracy(PRESETS["xor"], "b", ["a", "c"]), bayes_accuracy(PRESETS["xor"], "b", ["a"])
    (1.0, 0.03125)
    """
    if target not in design.modalities or target in readers:
        raise UsageError("the target is a modality of the design that is not read", got=target)
    blocks = [found for found in design.scoped(target) if block in (None, found.name)]
    if not blocks:
        raise UsageError("the target has no such block", got=block)
    return math.prod(symbol_accuracy(found, target, set(readers)) for found in blocks)


def pairwise_accuracy(design: Design, target: str) -> float:
    """Best possible accuracy of predicting a modality's value by what each other one alone tells of it.

    For each of the target's blocks the best single reader counts, so different blocks may be read from different
    modalities, as by a loss that sums the scores of pairs.

    Raises:
        UsageError: `target` is no modality of the design.

    >>> from .presets import PRESETS
    >>> pairwise_accuracy(PRESETS["xor"], "b"), pairwise_accuracy(PRESETS["redundant"], "b")
    (0.03125, 1.0)
    """
    if target not in design.modalities:
        raise UsageError("the target is a modality of the design", got=target)
    others = [name for name in design.names if name != target]
    blocks = design.scoped(target)
    return math.prod(max(symbol_accuracy(block, target, {other}) for other in others) for block in blocks)


def accuracies(design: Design, target: str, orders: Collection[int] | None = None) -> dict[tuple[str, ...], float]:
    """Bayes accuracy of a target from every set of the other modalities, smaller sets first.

    Args:
        design: The design.
        target: The modality that is predicted.
        orders: Sizes of the sets, for a design of many modalities; all where not given.

    Returns:
        Readers, in the order of the design -> accuracy; from no reader it is the blind guess.
    """
    others = [name for name in design.names if name != target]
    return {
        readers: bayes_accuracy(design, target, readers)
        for size in (range(len(others) + 1) if orders is None else orders)
        for readers in itertools.combinations(others, size)
    }


def best_by_order(found: Mapping[tuple[str, ...], float]) -> dict[int, float]:
    """The best of some `accuracies` by the number of readers."""
    best: dict[int, float] = {}
    for readers, accuracy in found.items():
        best[len(readers)] = max(best.get(len(readers), 0.0), accuracy)
    return best


def symbol_accuracy(block: Block, target: str, readers: set[str]) -> float:
    """Best possible accuracy of predicting the symbol that a target has in one block, from what some others show."""
    n, p = block.values, block.strength
    rest = set(block.scope) - {target}
    if block.relation == "xor":
        return _xor_accuracy(block, target, readers)
    informed = bool(rest & readers) if block.relation == "redundant" else bool(rest) and rest <= readers
    return p + (1 - p) / n if informed else 1 / n


def _xor_accuracy(block: Block, target: str, readers: set[str]) -> float:
    """A copy is as good a guess as a sum for the first and the last; one between is known by all the rest only."""
    n, p = block.values, block.strength
    ends = {block.scope[0], block.scope[-1]}
    if set(block.scope) - {target} <= readers:
        right = max(p, 1 - p) if target in ends else p
        return right + (1 - right) / n
    if target in ends and ends - {target} <= readers:
        return (1 - p) + p / n
    return 1 / n
