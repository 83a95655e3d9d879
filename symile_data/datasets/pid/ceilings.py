"""How far retrieval among a split's rows can get: Bayes accuracy among the values that occur in the split.

A row of the split is a candidate for every row of it, so a reader who knows which values occur can leave out all
others. Where some values do not occur, accuracy exceeds the rates of `bayes`. The ceiling is the mean over rows of the
largest posterior probability of a value that occurs, given the symbols that the readers show.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from .blocks import Symbols
from .design import Design
from .relations import likelihood, symbols_of, value_numbers

_CELLS = 1 << 22  # rows times values handled at a time

Rows = Mapping[str, Mapping[str, Symbols]]  # modality -> block -> (N,) symbols


def retrieval_ceiling(design: Design, rows: Rows, target: str, readers: Collection[str]) -> float:
    """Best expected accuracy of retrieving the target by its value among the given rows.

    Args:
        design: The design.
        rows: Symbols of the rows, which are also the candidates.
        target: The modality that is retrieved.
        readers: Other modalities, which are read; with none, the values that occur are equally probable.

    Returns:
        A share from 0 to 1; NaN without rows.
    """
    present = np.unique(value_numbers(target, design, rows[target]))
    candidates = symbols_of(target, design, present)
    count = len(next(iter(rows[target].values())))
    step = max(_CELLS // max(len(present), 1), 1)
    best = [
        _largest_share(design, rows, target, readers, candidates, slice(start, start + step))
        for start in range(0, count, step)
    ]
    return float(np.concatenate(best).mean()) if best else float("nan")


def _largest_share(
    design: Design,
    rows: Rows,
    target: str,
    readers: Collection[str],
    candidates: Mapping[str, Symbols],
    part: slice,
) -> npt.NDArray[np.float64]:
    count = len(next(iter(rows[target].values()))[part])
    shares = np.ones((count, len(next(iter(candidates.values())))))
    for block in design.scoped(target):
        seen = {name: rows[name][block.name][part] for name in readers if name in block.scope}
        shares *= likelihood(block, target, seen, count)[:, candidates[block.name]]
    return np.asarray(shares.max(axis=1) / shares.sum(axis=1))
