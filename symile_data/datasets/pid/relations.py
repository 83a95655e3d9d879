"""What the symbols of rows say of a block: whether its relation holds, and what they tell about a symbol not seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .blocks import Block, Symbols
from .design import Design

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def holds(block: Block, symbols: Mapping[str, Symbols]) -> BoolArray:
    """Whether the relation of a block is true of each row.

    Args:
        block: The block.
        symbols: Modality of its scope -> (N,) symbols.

    Returns:
        (N,) bool; always True for a private block.
    """
    columns = [symbols[name] for name in block.scope]
    if block.relation == "redundant":
        return np.asarray(np.all([column == columns[0] for column in columns[1:]], axis=0))
    if block.relation == "synergistic":
        return np.asarray(block.add(*columns) == 0)
    if block.relation == "xor":
        return np.asarray(block.add(*columns[:-1]) == columns[-1])
    return np.ones(len(columns[0]), dtype=bool)


def allowed(block: Block, symbols: Mapping[str, Symbols], drawn: BoolArray) -> BoolArray:
    """Whether the symbols of each row can occur with its hidden draw.

    Args:
        block: The block.
        symbols: Modality of its scope -> (N,) symbols.
        drawn: (N,) bool, True where the relation was drawn.
    """
    possible = np.where(drawn, holds(block, symbols), True)
    if block.relation == "xor":
        possible &= drawn | (symbols[block.scope[0]] == symbols[block.scope[-1]])
    if block.strength in (0.0, 1.0):
        possible &= drawn == bool(block.strength)
    return np.asarray(possible)


def value_numbers(modality: str, design: Design, symbols: Mapping[str, Symbols]) -> npt.NDArray[np.int64]:
    """(N,) int64: number of each row's tuple of symbols, the first block counting most.

    Args:
        modality: The modality.
        design: The design.
        symbols: Block -> (N,) symbols of the modality.
    """
    numbers = np.zeros(len(next(iter(symbols.values()))), dtype=np.int64)
    for block in design.scoped(modality):
        numbers = numbers * block.values + symbols[block.name]
    return numbers


def symbols_of(modality: str, design: Design, numbers: npt.NDArray[np.int64]) -> dict[str, Symbols]:
    """Block -> (N,) symbols of the tuples that `value_numbers` numbered."""
    found: dict[str, Symbols] = {}
    for block in reversed(design.scoped(modality)):
        numbers, found[block.name] = np.divmod(numbers, block.values)
    return found


def likelihood(block: Block, target: str, seen: Mapping[str, Symbols], rows: int) -> FloatArray:
    """How probable each symbol of the target in a block is, given the symbols that some modalities show.

    Args:
        block: A block with the target in its scope.
        target: A modality.
        seen: Other modality of the block's scope -> (N,) symbols.
        rows: N.

    Returns:
        (N, n) float64, each row in proportion to the probabilities.
    """
    n, p = block.values, block.strength
    weights = np.full((rows, n), 1.0)
    others = [name for name in block.scope if name != target]
    if block.relation == "redundant" and seen:
        columns = list(seen.values())
        equal = np.all([column == columns[0] for column in columns], axis=0)
        weights *= (1 - p) * float(n) ** -len(columns)
        weights[equal, columns[0][equal]] += p
    elif block.relation == "synergistic" and set(others) <= set(seen):
        weights *= (1 - p) / n
        weights[np.arange(rows), block.negative(block.add(*(seen[name] for name in others)))] += p
    elif block.relation == "xor" and seen:
        weights = _xor_likelihood(block, target, seen, rows)
    return weights


def _xor_likelihood(block: Block, target: str, seen: Mapping[str, Symbols], rows: int) -> FloatArray:
    n, p, every = block.values, block.strength, np.arange(rows)
    first, last = block.scope[0], block.scope[-1]
    opposite = {first: last, last: first}.get(target, "")
    whole = {*block.scope} - {target} <= set(seen)
    weights = np.full((rows, n), 0.0 if whole else p / n)
    if whole:
        sources = [seen[name] for name in block.scope[:-1] if name != target]
        needed = block.add(*sources) if target == last else block.add(seen[last], block.negative(block.add(*sources)))
        weights[every, needed] += p
    if opposite in seen:
        weights[every, seen[opposite]] += 1 - p
    elif whole:  # a symbol between: where the ends are equal, the copy allows all of its values
        weights += ((1 - p) * (seen[first] == seen[last]))[:, None]
    else:
        weights += (1 - p) / n
    return weights
