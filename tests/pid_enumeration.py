"""A slow, obvious reference for PID data: the whole joint law of a design as a table of rows and probabilities, and
every quantity as a sum over it. Written from the definition of the relations, apart from the closed forms.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from symile_data.datasets.pid import Block, Design

Row = tuple[tuple[int, ...], ...]  # a tuple of symbols for each modality
Law = dict[Row, float]


def added(block: Block, symbols: Sequence[int]) -> int:
    """The sum of symbols in the block's group, one at a time."""
    total = 0
    for symbol in symbols:
        total = total ^ symbol if block.group == "xor" else (total + symbol) % block.values
    return total


def block_law(block: Block) -> dict[tuple[int, ...], float]:
    """Probability of every tuple of symbols of a block, by walking through both outcomes of the hidden draw."""
    n, p, size = block.values, block.strength, len(block.scope)
    law: dict[tuple[int, ...], float] = defaultdict(float)
    every = list(itertools.product(range(n), repeat=size))
    if block.relation == "redundant":
        holding = [symbols for symbols in every if len(set(symbols)) == 1]
        failing = every
    elif block.relation == "synergistic":
        holding = [symbols for symbols in every if added(block, symbols) == 0]
        failing = every
    elif block.relation == "xor":
        holding = [symbols for symbols in every if symbols[-1] == added(block, symbols[:-1])]
        failing = [symbols for symbols in every if symbols[-1] == symbols[0]]
    else:
        holding = failing = every
    for weight, outcomes in ((p, holding), (1 - p, failing)):
        for symbols in outcomes:
            law[symbols] += weight / len(outcomes)
    return {symbols: weight for symbols, weight in law.items() if weight > 0}


def joint_law(design: Design) -> Law:
    """Probability of every row of a design that can occur."""
    law: Law = {tuple(() for _ in design.names): 1.0}
    for block in design.blocks:
        wider: Law = defaultdict(float)
        for row, weight in law.items():
            for symbols, share in block_law(block).items():
                parts = dict(zip(block.scope, symbols, strict=True))
                new = tuple(
                    own + ((parts[name],) if name in parts else ()) for name, own in zip(design.names, row, strict=True)
                )
                wider[new] += weight * share
        law = wider
    return law


def marginal(law: Law, places: Sequence[int]) -> dict[Row, float]:
    """Law of some modalities."""
    found: dict[Row, float] = defaultdict(float)
    for row, weight in law.items():
        found[tuple(row[place] for place in places)] += weight
    return found


def entropy(law: Law, places: Sequence[int]) -> float:
    """Entropy of some modalities, in nats."""
    return -math.fsum(weight * math.log(weight) for weight in marginal(law, places).values())


def best_accuracy(law: Law, target: int, readers: Sequence[int]) -> float:
    """How often the most probable value of the target, given what the readers show, is right."""
    best: dict[Row, float] = defaultdict(float)
    for row, weight in marginal(law, [*readers, target]).items():
        best[row[:-1]] = max(best[row[:-1]], weight)
    return math.fsum(best.values())


def random_designs(seed: int, count: int, most_rows: int = 3_000) -> Iterator[Design]:
    """Designs of 2 to 5 modalities and 1 to 4 blocks, small enough to be enumerated; strength 0 and 1 occur often."""
    rng = np.random.default_rng(seed)
    while count:
        names = tuple("abcde"[: int(rng.integers(2, 6))])
        blocks = [_random_block(rng, names) for _ in range(int(rng.integers(1, 5)))]
        for name in names:  # a modality needs a block
            if not any(name in block.scope for block in blocks):
                blocks.append(Block(relation="private", scope=(name,), values=2))
        if math.prod(block.values ** len(block.scope) for block in blocks) <= most_rows:
            yield Design(modalities=dict.fromkeys(names, "vector"), blocks=tuple(blocks))
            count -= 1


def _random_block(rng: np.random.Generator, names: tuple[str, ...]) -> Block:
    least = {"redundant": 2, "synergistic": 3, "private": 1, "xor": 3}
    relation = str(rng.choice([name for name, size in least.items() if size <= len(names)]))
    size = 1 if relation == "private" else int(rng.integers(least[relation], len(names) + 1))
    values = int(rng.integers(2, 5))
    strength = 1.0 if relation == "private" else float(rng.choice([0, 1, rng.random(), rng.random()]))
    group = str(rng.choice(["xor", "cyclic"])) if values != 3 and relation in ("synergistic", "xor") else ""
    scope = tuple(names[place] for place in rng.permutation(len(names))[:size])
    return Block(relation=relation, scope=scope, values=values, strength=strength, group=group)
