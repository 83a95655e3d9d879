"""Bayes accuracies of a design in which modalities are misaligned, or one of them is noisy.

All blocks of a modality fail in the same rows, so each accuracy is a sum over which modalities are affected in a row.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from symile_data.errors import UsageError

from .alphabets import code_length
from .bayes import bayes_accuracy, symbol_accuracy
from .blocks import Block, Symbols
from .design import Design
from .relations import FloatArray, likelihood, symbols_of

MOST_MISALIGNED = 12  # modalities: the sum has 2 to this power terms
MOST_ROWS = 1 << 22  # different rows of the modalities that are read or predicted, to be enumerated


def misaligned_accuracy(
    design: Design,
    target: str,
    readers: Collection[str],
    rates: Mapping[str, float],
    block: str | None = None,
    *,
    known: bool = True,
) -> float:
    """Best possible accuracy of predicting what a modality shows where modalities are misaligned.

    For a reader who knows which modalities of a row are misaligned it is the sum over sets F of them of P(F) times the
    Bayes accuracy from the readers without F. A reader who does not know F reaches at most that; that accuracy is a sum
    over all rows that can be shown.

    Args:
        design: The design.
        target: The modality that is predicted, as it is shown.
        readers: The modalities that are read.
        rates: Modality -> rate at which it is misaligned; others are not.
        block: Name of a block of the target whose symbol alone is predicted; the whole value where not given. Only
            where the reader knows what is misaligned.
        known: Whether the reader knows it.

    Raises:
        UsageError: a name is unknown, the target is read, a rate is not a probability, more than 12 of these modalities
            are misaligned, or, for a reader who does not know, they have more than 4 million different rows or a block
            is given.

    >>> from .presets import PRESETS
    >>> misaligned_accuracy(PRESETS["xor"], "b", ["a", "c"], {"a": 0.5})
    0.515625
    """
    unknown = sorted(set(rates) - set(design.names))
    if unknown:
        raise UsageError("a rate is of no modality of the design", got=unknown[0])
    for name, rate in rates.items():
        _check_rate(name, rate)
    clean = bayes_accuracy(design, target, readers, block)
    named = [name for name in (target, *readers) if rates.get(name, 0.0)]
    if not named:
        return clean
    if len(named) > MOST_MISALIGNED:
        raise UsageError(f"more than {MOST_MISALIGNED} modalities are misaligned", got=len(named))
    if not known:
        if block is not None:
            raise UsageError("what a reader without flags tells of one block is not known", got=block)
        return _hidden(design, (*readers, target), named, rates)
    terms = []
    for chance, swapped in _flags(named, rates):
        left = [] if target in swapped else [name for name in readers if name not in swapped]
        terms.append(chance * bayes_accuracy(design, target, left, block))
    return math.fsum(terms)


def noisy_accuracy(
    design: Design, target: str, readers: Collection[str], noisy: str, rate: float, level: float
) -> float:
    """Best possible accuracy of predicting a modality's value where one reader's vectors are noisy.

    With q the rate, it is 1 - q times the Bayes accuracy, and q times a product over the target's blocks: where only
    the noisy modality informs about a block, or all others do together, the symbol that its flipped code most probably
    shows takes the symbol's place. The most probable value does not depend on whether the row is noisy, so a reader
    who knows it has the same accuracy.

    Args:
        design: The design.
        target: The modality that is predicted.
        readers: The modalities that are read, vectors.
        noisy: The one of them that is noisy.
        rate: Rate q of rows in which it is.
        level: Probability, from 0 to 0.5, that a place of the vector is flipped.

    Raises:
        UsageError: a name is unknown, `rate` or `level` is out of range, or a block of the relation `xor` is read in
            the noisy modality.

    >>> from .presets import PRESETS
    >>> noisy_accuracy(PRESETS["xnor"], "b", ["a", "c"], "a", 0.5, 0.5)
    0.515625
    """
    _check_rate(noisy, rate)
    if not 0.0 <= level <= 0.5:
        raise UsageError("the level is the probability that a place is flipped, from 0 to 0.5", got=level)
    if noisy not in readers:
        raise UsageError("the noisy modality is one of the readers", got=noisy)
    clean = bayes_accuracy(design, target, readers)
    others = set(readers) - {noisy}
    flipped = math.prod(_noisy_symbol(block, target, others, noisy, level) for block in design.scoped(target))
    return (1 - rate) * clean + rate * flipped


def _check_rate(name: str, rate: float) -> None:
    if not 0.0 <= rate <= 1.0:
        raise UsageError(f"the rate of {name} is not a probability", got=rate)


def _flags(named: Sequence[str], rates: Mapping[str, float]) -> Iterator[tuple[float, set[str]]]:
    """Yield each set of misaligned modalities with its probability."""
    for flags in itertools.product((False, True), repeat=len(named)):
        swapped = {name for name, flag in zip(named, flags, strict=True) if flag}
        yield math.prod(rates[name] if name in swapped else 1 - rates[name] for name in named), swapped


def _hidden(design: Design, names: Sequence[str], named: Sequence[str], rates: Mapping[str, float]) -> float:
    """Sum over the values of all but the last of some modalities the largest probability with a value of the last."""
    sizes = [design.values_of(name) for name in names]
    if math.prod(sizes) > MOST_ROWS:
        raise UsageError(f"these modalities have more than {MOST_ROWS:,} different rows", got=math.prod(sizes))
    numbers = np.indices(sizes).reshape(len(sizes), -1)
    rows = {name: symbols_of(name, design, number) for name, number in zip(names, numbers, strict=True)}
    law = np.zeros(numbers.shape[1])
    for chance, swapped in _flags(named, rates):
        alone = math.prod(1 / design.values_of(name) for name in swapped)
        law += chance * alone * _law(design, rows, [name for name in names if name not in swapped])
    return float(law.reshape(-1, sizes[-1]).max(axis=1).sum())


def _law(design: Design, rows: Mapping[str, Mapping[str, Symbols]], names: Sequence[str]) -> FloatArray:
    """(N,) the probability of what some modalities of each row show, which belong together."""
    count = len(next(iter(next(iter(rows.values())).values())))
    law, every = np.ones(count), np.arange(count)
    for block in design.blocks:
        seen: dict[str, Symbols] = {}
        for name in block.scope:
            if name in names:
                shares = likelihood(block, name, seen, count)
                symbols = rows[name][block.name]
                total = shares.sum(axis=1)  # 0 for symbols that cannot occur together, where the law is 0 already
                law *= np.divide(shares[every, symbols], total, out=np.zeros(count), where=total > 0)
                seen[name] = symbols
    return law


def _noisy_symbol(block: Block, target: str, others: set[str], noisy: str, level: float) -> float:
    """Best accuracy of the target's symbol in a block from others, and from a modality whose code is flipped."""
    blind, clean = (symbol_accuracy(block, target, {*others, *more}) for more in ((), (noisy,)))
    if clean == blind or noisy not in block.scope:
        return blind
    if block.relation == "xor":
        raise UsageError("the accuracy of a noisy modality in a block of the relation xor is not known", got=block.name)
    return block.strength * _decoded(block, level) + (1 - block.strength) / block.values


def _decoded(block: Block, level: float) -> float:
    """How often the most probable symbol of a block is right, given its flipped code.

    Bits decode as they are shown. Of a one-hot code any place that shows 1 is as probable as any other.
    """
    n, right = block.values, 1 - level
    if block.group == "xor":
        return float(right ** code_length(block))
    alone = (
        1.0 if level == 0 else (1 - right**n) / (n * level)
    )  # the mean of 1 / places that show 1, this one among them
    return right * alone + level * right ** (n - 1) / n
