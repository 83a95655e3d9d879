"""The partial information decomposition of a design: redundant, unique and synergistic information about a target.

The decomposition is BROJA's (Bertschinger, Rauh, Olbrich, Jost and Ay, "Quantifying unique information", Entropy 2014;
Griffith and Koch, 2014), of two groups of sources. Its optimum is a product over independent blocks, so the terms are
sums over blocks of closed forms: with i_A and i_B the information of a block's target symbol with each group,
R = min(i_A, i_B), each group's unique part is what it has beyond R, and S is what both together have beyond the larger.
Optimum and dual certificate meet for every relation here. But for noisy redundant blocks that both groups read, any
decomposition with non-negative terms and R at most either group's information gives the same terms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from symile_data.errors import UsageError

from .blocks import Block
from .design import Design
from .information import block_entropy


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """What two groups of sources tell about a target, in nats.

    Args:
        redundant: What each group tells alone.
        unique_first: What the first group alone tells.
        unique_second: What the second group alone tells.
        synergistic: What only both together tell.
    """

    redundant: float
    unique_first: float
    unique_second: float
    synergistic: float

    @property
    def total(self) -> float:
        """Information of the target with both groups together."""
        return self.redundant + self.unique_first + self.unique_second + self.synergistic


def decompose(design: Design, target: str, first: Collection[str], second: Collection[str]) -> Decomposition:
    """Decompose what two groups of modalities tell about a target.

    Args:
        design: The design.
        target: A modality in neither group.
        first: A group of modalities.
        second: Another, apart from the first.

    Raises:
        UsageError: the target and the groups overlap, or name no modality of the design.

    >>> from .presets import PRESETS
    >>> found = decompose(PRESETS["xnor"], "a", ["b"], ["c"])
    >>> found.redundant, found.unique_first, round(found.synergistic / math.log(2), 9)
    (0.0, 0.0, 5.0)
    """
    named = [target, *first, *second]
    if len(set(named)) < len(named) or not set(named) <= set(design.names):
        raise UsageError("the target and two groups of sources are different modalities of the design", got=named)
    parts = [_block_terms(block, target, set(first), set(second)) for block in design.scoped(target)]
    redundant, unique_first, unique_second, synergistic = (math.fsum(column) for column in zip(*parts, strict=True))
    return Decomposition(
        redundant=redundant, unique_first=unique_first, unique_second=unique_second, synergistic=synergistic
    )


def bipartitions(design: Design, target: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every division of the other modalities into two groups, each once, the smaller groups first."""
    others = [name for name in design.names if name != target]
    for size in range(1, len(others) // 2 + 1):
        for group in itertools.combinations(others, size):
            rest = tuple(name for name in others if name not in group)
            if len(group) < len(rest) or group[0] == others[0]:
                yield group, rest


def _block_terms(block: Block, target: str, first: set[str], second: set[str]) -> tuple[float, float, float, float]:
    one, other, both = (_information(block, target, group) for group in (first, second, first | second))
    redundant = min(one, other)
    return redundant, one - redundant, other - redundant, max(both - max(one, other), 0.0)


def _information(block: Block, target: str, group: set[str]) -> float:
    apart = block_entropy(block, {target}) + block_entropy(block, group)
    return max(apart - block_entropy(block, {target} | group), 0.0)  # a difference of equal numbers may be below 0
