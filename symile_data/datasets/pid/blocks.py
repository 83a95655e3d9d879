"""A block: one relation among the symbols of some modalities.

A row draws one symbol in 0 .. n - 1 for each modality of a block's scope. With probability p, the block's strength, the
relation holds; one hidden draw a row decides. Otherwise the symbols are independent and uniform (in an `xor` block: the
last is a copy of the first). The relations:

- `redundant`, two modalities or more: all symbols are equal.
- `synergistic`, three or more: the symbols sum to 0, modulo n (`cyclic`) or bit by bit (`xor`).
- `private`, one modality: its symbol is uniform, and no other modality knows it.
- `xor`, three or more, ordered: the last is the sum of the others with probability p, else a copy of the first. Binary
  XOR data (Symile, section 5.1) are one such block.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

RELATIONS = ("redundant", "synergistic", "private", "xor")
GROUPS = ("xor", "cyclic")
MOST_VALUES = 1 << 15  # symbols are int16

_LEAST = {"redundant": 2, "synergistic": 3, "private": 1, "xor": 3}
_SUMMED = ("synergistic", "xor")  # relations that add symbols
_NAME = re.compile(r"[a-z][a-z0-9_]*")

Symbols = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Block:
    """One relation among the symbols of some modalities.

    Args:
        relation: One of `RELATIONS`.
        scope: Names of the modalities; their order matters to `xor` only.
        values: Number n of symbols.
        strength: Probability p with which the relation holds by the hidden draw.
        name: Name of the block, unique in a design; a design names blocks that have none.
        group: How a relation that adds symbols adds them: "xor" bit by bit, for which n is a power of two, or "cyclic"
            modulo n. Default: "xor" where n is a power of two. Both give the same information; other relations have "".
    """

    relation: str
    scope: tuple[str, ...]
    values: int
    strength: float = 1.0
    name: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        if self.relation in _SUMMED and not self.group:
            object.__setattr__(self, "group", "xor" if is_power_of_two(self.values) else "cyclic")

    def add(self, *symbols: Symbols) -> Symbols:
        """Sum of arrays of symbols in the block's group."""
        if self.group == "xor":
            return reduce(np.bitwise_xor, symbols)
        return np.asarray(sum(symbols[1:], symbols[0]) % self.values)

    def negative(self, symbols: Symbols) -> Symbols:
        """What adds up to 0 with the symbols."""
        return symbols if self.group == "xor" else -symbols % self.values

    def to_json(self) -> dict[str, Any]:
        """Return the block as a design file and the manifest have it."""
        group = {"group": self.group} if self.group else {}
        own = {"name": self.name, "relation": self.relation, "scope": list(self.scope)}
        return {**own, "values": self.values, "strength": self.strength, **group}


def is_power_of_two(values: int) -> bool:
    """Whether a number is 2, 4, 8, ...

    >>> [number for number in range(20) if is_power_of_two(number)]
    [2, 4, 8, 16]
    """
    return values >= 2 and values & (values - 1) == 0


def is_name(text: str) -> bool:
    """Whether a text can name a modality or a block: columns are called after them."""
    return bool(_NAME.fullmatch(text))


def block_problems(block: Block, modalities: tuple[str, ...]) -> Iterator[str]:
    """Yield a clause about everything that is wrong with a block.

    Args:
        block: The block.
        modalities: The modalities that a scope can name.

    >>> list(block_problems(Block(relation="synergistic", scope=("a", "b"), values=2, name="s"), ("a", "b")))
    ['block s: synergistic takes 3 modalities or more, not a+b; between two it is a renamed copy (redundant)']
    """
    where = f"block {block.name}"
    if not is_name(block.name):
        yield f"{where}: a name has lower-case letters, digits and underscores, and begins with a letter"
    if block.relation not in RELATIONS:
        yield f"{where}: there is no relation {block.relation!r}; choose among {', '.join(RELATIONS)}"
        return
    for name in sorted(set(block.scope) - set(modalities)):
        yield f"{where}: its scope names {name!r}, which is no modality of the design ({', '.join(modalities)})"
    if len(set(block.scope)) < len(block.scope):
        yield f"{where}: its scope names a modality twice"
    yield from _size_problems(block, where)
    if not 2 <= block.values <= MOST_VALUES:
        yield f"{where}: values is a number from 2 to {MOST_VALUES}, not {block.values}"
    if not 0 <= block.strength <= 1:  # NaN is refused too
        yield f"{where}: strength is a probability from 0 to 1, not {block.strength}"
    elif block.relation == "private" and block.strength != 1:
        yield f"{where}: private has no relation that could fail, so its strength is 1, not {block.strength}"
    if block.group and block.relation not in _SUMMED:
        yield f"{where}: {block.relation} adds no symbols, so it has no group"
    elif block.group and block.group not in GROUPS:
        yield f"{where}: there is no group {block.group!r}; choose among {', '.join(GROUPS)}"
    elif block.group == "xor" and not is_power_of_two(block.values):
        yield f"{where}: the group xor needs a power of two as the number of values, not {block.values}"


def _size_problems(block: Block, where: str) -> Iterator[str]:
    least, size = _LEAST[block.relation], len(block.scope)
    shown = "+".join(block.scope)
    if block.relation == "private" and size != 1:
        yield f"{where}: private takes one modality, not {shown or 'none'}"
    elif size < least:
        copy = "; between two it is a renamed copy (redundant)" if block.relation == "synergistic" and size == 2 else ""
        yield f"{where}: {block.relation} takes {least} modalities or more, not {shown or 'none'}{copy}"


def bits_of(values: int) -> int:
    """Bits of a symbol, for a number of values that is a power of two."""
    return round(math.log2(values))
