"""Bayes-optimal accuracies of probes on PID data: how well the best reader of some modalities knows a label column."""

from __future__ import annotations

from collections.abc import Collection

from .bayes import bayes_accuracy
from .blocks import Block
from .design import Design, symbol_column


def label_accuracy(design: Design, label: str, readers: Collection[str]) -> float | None:
    """Best possible accuracy of predicting a label column from what some modalities show.

    Args:
        design: The design of the rows.
        label: `<modality>_<block>`, `<modality>_value` or `<block>_holds`.
        readers: The modalities that are read.

    Returns:
        The accuracy, from 0 to 1; None for any other column.

    >>> from .presets import PRESETS
    >>> [label_accuracy(PRESETS["trifeature"], "a_shape", readers) for readers in ((), ("b",), ("a",))]
    [0.1, 1.0, 1.0]
    """
    for name in design.names:
        columns = {f"{name}_value": None, **{symbol_column(name, block): block.name for block in design.scoped(name)}}
        if label in columns:
            return 1.0 if name in readers else bayes_accuracy(design, name, readers, columns[label])
    for block in design.blocks:
        if label == f"{block.name}_holds":
            return holds_accuracy(block, readers)
    return None


def information_of(design: Design, label: str) -> str:
    """Say which information about a label column decides a probe: "redundant", "unique", "synergistic" or "" (other).

    A symbol of a redundant block is in every modality of the scope, a private one in one modality. Whether a
    synergistic block holds is known from all modalities of its scope together only.
    """
    for block in design.blocks:
        if block.relation == "synergistic" and label == f"{block.name}_holds":
            return "synergistic"
        if label in [symbol_column(name, block) for name in block.scope]:
            return {"redundant": "redundant", "private": "unique"}.get(block.relation, "")
    return ""


def holds_accuracy(block: Block, readers: Collection[str]) -> float:
    """Best possible accuracy of predicting whether a block's relation is true of the symbols, from some of them."""
    n, p, size = block.values, block.strength, len(block.scope)
    seen = set(block.scope) & set(readers)
    if len(seen) == size or block.relation == "private":
        return 1.0
    if block.relation == "redundant":
        true: float = p + (1 - p) * n ** (1 - size)
        agree: float = p + (1 - p) * n ** (1 - max(len(seen), 1))  # those that are read; else the relation is false
        return (1 - agree) + max(true, agree - true)
    if block.relation == "xor":
        return _xor_holds_accuracy(block, seen)
    true = p + (1 - p) / n
    return max(true, 1 - true)


def _xor_holds_accuracy(block: Block, seen: set[str]) -> float:
    """The last is the sum of all others (drawn with p), else a copy of the first.

    A copy is the sum too where those between add up to 0, which happens once in n.
    """
    n, p = block.values, block.strength
    first, *between, last = block.scope
    if {first, last} <= seen:  # ends that differ say that the sum was drawn
        return p * (1 - 1 / n) + max(1 / n, (1 - p) * (1 - 1 / n))
    if set(between) <= seen:  # a sum of 0 says that the relation is true
        return 1 / n + (1 - 1 / n) * max(p, 1 - p)
    true = p + (1 - p) / n
    return max(true, 1 - true)
