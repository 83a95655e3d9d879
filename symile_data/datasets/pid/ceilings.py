"""How far retrieval among a split's rows can get: Bayes accuracy among the values that occur in the split.

A row of the split is a candidate for every row of it, so a reader who knows which values occur can leave out all
others. Where some values do not occur, accuracy exceeds the rates of `bayes`. The ceiling is the mean over rows of the
largest posterior probability of a value that occurs, given the symbols that the readers show.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from .blocks import Symbols
from .design import Design
from .relations import likelihood, symbols_of, value_numbers

ONE_OTHER, ALL_OTHERS = "one_other", "all_others"
REFERENCES = (ALL_OTHERS, ONE_OTHER)  # what accuracies are compared with, in this order

_CELLS = 1 << 22  # rows times values handled at a time
_MOST_SETS = 4  # modalities up to which every set of readers is asked

Rows = Mapping[str, Mapping[str, Symbols]]  # modality -> block -> (N,) symbols


def named_ceilings(design: Design, rows: Rows, target: str, block: str | None = None) -> dict[str, float]:
    """The ceilings of readers of all other modalities together, and of the best reader of one.

    Args:
        design: The design.
        rows: Symbols of the rows, which are also the candidates.
        target: The modality that is retrieved.
        block: The block by whose symbol a candidate is right; the whole value where not given.
    """
    others = [name for name in design.names if name != target]
    return {
        ALL_OTHERS: retrieval_ceiling(design, rows, target, others, block),
        ONE_OTHER: max(retrieval_ceiling(design, rows, target, [name], block) for name in others),
    }


def subset_ceilings(design: Design, rows: Rows) -> dict[str, dict[str, float]]:
    """The ceiling of every target by its value, from every set of others: target -> "a+c" -> accuracy.

    Of more than four modalities only the sets of one and of all others are asked.
    """
    found: dict[str, dict[str, float]] = {}
    for target in design.names:
        others = [name for name in design.names if name != target]
        small = len(design.names) <= _MOST_SETS
        sizes = range(1, len(others) + 1) if small else sorted({1, len(others)})
        sets = itertools.chain.from_iterable(itertools.combinations(others, size) for size in sizes)
        found[target] = {"+".join(readers): retrieval_ceiling(design, rows, target, readers) for readers in sets}
    return found


def retrieval_ceiling(
    design: Design, rows: Rows, target: str, readers: Collection[str], block: str | None = None
) -> float:
    """Best expected accuracy of retrieving the target among the given rows.

    Args:
        design: The design.
        rows: Symbols of the rows, which are also the candidates.
        target: The modality that is retrieved.
        readers: Other modalities, which are read; with none, the values that occur are equally probable.
        block: The block by whose symbol a candidate is right; the whole value where not given.

    Returns:
        A share from 0 to 1; NaN without rows.
    """
    present = np.unique(value_numbers(target, design, rows[target]))
    candidates = symbols_of(target, design, present)
    count = len(next(iter(rows[target].values())))
    step = max(_CELLS // max(len(present), 1), 1)
    best = []
    for start in range(0, count, step):
        part = slice(start, start + step)
        shares = _posterior(design, rows, target, readers, candidates, part)
        if block is not None:  # candidates of equal symbols are right together
            numbers = np.unique(candidates[block])
            shares = np.stack([shares[:, candidates[block] == number].sum(axis=1) for number in numbers], axis=1)
        best.append(shares.max(axis=1))
    return float(np.concatenate(best).mean()) if best else float("nan")


def _posterior(
    design: Design,
    rows: Rows,
    target: str,
    readers: Collection[str],
    candidates: Mapping[str, Symbols],
    part: slice,
) -> npt.NDArray[np.float64]:
    """(N, P) float64: probability of each value that occurs, given what the readers show."""
    count = len(next(iter(rows[target].values()))[part])
    weights = np.ones((count, len(next(iter(candidates.values())))))
    for block in design.scoped(target):
        seen = {name: rows[name][block.name][part] for name in readers if name in block.scope}
        weights *= likelihood(block, target, seen, count)[:, candidates[block.name]]
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
