"""A design: the modalities of a PID dataset and the blocks that tie their symbols together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Any

from symile_data.errors import UsageError

from .blocks import Block, block_problems, is_name

KINDS = ("vector", "image", "audio", "text")
MEDIA = ("image", "audio")  # kinds whose values are stored as files

_FEWEST, _MOST = 2, len(ascii_lowercase)
_MOST_NUMBERS = 1 << 53  # of a modality's tuples: a float64 still counts them
_SHOWN = 8  # problems in one message


@dataclass(frozen=True, kw_only=True)
class Design:
    """The modalities of a dataset and the blocks of which each is a tuple of symbols.

    Blocks without a name get that of their relation and a number ("redundant1").

    Args:
        modalities: Name -> kind, one of `KINDS`, in the order of batches and losses.
        blocks: The blocks; a modality's symbols are in their order.
        name: Name of the design, for people.

    Raises:
        UsageError: the design cannot be built; the message lists everything that is wrong with it.

    >>> design = Design(modalities={"a": "vector", "b": "text"},
    ...                 blocks=(Block(relation="redundant", scope=("a", "b"), values=3),))
    >>> design.blocks[0].name, design.values_of("a"), design.scoped("b")[0].values
    ('redundant1', 3, 3)
    """

    modalities: Mapping[str, str]
    blocks: tuple[Block, ...]
    name: str = ""

    def __post_init__(self) -> None:
        counts: Counter[str] = Counter()
        named = []
        for block in self.blocks:
            counts[block.relation] += 1
            named.append(replace(block, name=block.name or f"{block.relation}{counts[block.relation]}"))
        object.__setattr__(self, "blocks", tuple(named))
        refuse(list(_problems(self)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return tuple(self.modalities)

    def scoped(self, modality: str) -> tuple[Block, ...]:
        """The blocks of which a modality has a symbol, in order."""
        return tuple(block for block in self.blocks if modality in block.scope)

    def values_of(self, modality: str) -> int:
        """Number of different tuples of symbols that a modality can show."""
        return math.prod(block.values for block in self.scoped(modality))

    def to_json(self) -> dict[str, Any]:
        """Return the design as the manifest stores it; `design_of` reads it back."""
        named = {"name": self.name} if self.name else {}
        return {**named, "modalities": dict(self.modalities), "block": [block.to_json() for block in self.blocks]}


def refuse(problems: list[str]) -> None:
    """Raise for a design with problems.

    Raises:
        UsageError: there are problems; the message lists them.
    """
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UsageError(
            "the design cannot be built",
            got="; ".join(problems[:_SHOWN]) + more,
            do="see docs/pid.md for what a design may hold",
        )


def symbol_column(modality: str, block: Block) -> str:
    """The column of a modality's symbols in a block.

    >>> symbol_column("image", Block(relation="private", scope=("image",), values=2, name="colour"))
    'image_colour'
    """
    return f"{modality}_{block.name}"


def columns_of(modality: str, design: Design) -> list[str]:
    """All columns of a modality, its value first."""
    ids = [f"{modality}_id"] if design.modalities[modality] in MEDIA else []
    symbols = [symbol_column(modality, block) for block in design.scoped(modality)]
    return [modality, f"{modality}_missing", *ids, *symbols, f"{modality}_value"]


def _problems(design: Design) -> Iterator[str]:
    names = design.names
    if not _FEWEST <= len(names) <= _MOST:
        yield f"it has {len(names)} modalities, and a dataset has {_FEWEST} to {_MOST}"
    for name, kind in design.modalities.items():
        if not is_name(name):
            yield f"{name!r} names no modality: lower-case letters, digits and underscores, a letter first"
        if kind not in KINDS:
            yield f"{name} is of no known kind: {kind!r}; choose among {', '.join(KINDS)}"
    if not design.blocks:
        yield "it has no block"
    for block in design.blocks:
        yield from block_problems(block, names)
    for name in names if design.blocks else ():
        if not design.scoped(name):
            yield f"no block has {name} in its scope"
        elif design.values_of(name) > _MOST_NUMBERS:
            yield f"{name} would have {design.values_of(name):,} values, more than {_MOST_NUMBERS:,}"
    columns = ["sample_id", *(column for name in names for column in columns_of(name, design))]
    columns += [f"{block.name}{ending}" for block in design.blocks for ending in ("_holds", "_drawn")]
    for column, count in Counter(columns).items():
        if count > 1:
            yield f"{count} columns would be called {column}; rename a block or a modality"
