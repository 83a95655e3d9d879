"""Readers with ideal encoders reach the Bayes accuracies of random designs, on rows as builds draw and write them.

An ideal encoder tells every symbol of the vector that it is given; the reader then names the most probable value of the
target. Its accuracy on N rows is within three standard deviations, sqrt(a (1 - a) / N), of the exact one.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from pid_enumeration import random_designs

from symile_data.builders.pid.draw import draw_rows
from symile_data.builders.pid.spec import PidSpec
from symile_data.datasets.pid import Design
from symile_data.datasets.pid.alphabets import code_length, code_table, vectors
from symile_data.datasets.pid.bayes import bayes_accuracy
from symile_data.datasets.pid.relations import likelihood

ROWS = 20_000
DESIGNS = list(random_designs(21, 20))

Symbols = dict[str, npt.NDArray[np.int64]]


def encoded(modality: str, design: Design, written: npt.NDArray[np.float32]) -> Symbols:
    """Block -> (N,) symbols that vectors show, by comparison with the code of every symbol."""
    found, start = {}, 0
    for block in design.scoped(modality):
        stop = start + code_length(block)
        distances = np.abs(written[:, None, start:stop] - code_table(block)[None]).sum(axis=2)
        found[block.name], start = distances.argmin(axis=1), stop
    return found


@pytest.mark.parametrize("number", range(len(DESIGNS)))
def test_ideal_encoders_reach_bayes_accuracy(number: int) -> None:
    design = DESIGNS[number]
    drawn = draw_rows(PidSpec(design=design, rows={"train": ROWS}, seed=number), "train", 0, ROWS).symbols
    seen = {name: encoded(name, design, vectors(name, design, drawn[name])) for name in design.names}
    for target in design.names:
        others = [name for name in design.names if name != target]
        for readers in itertools.chain(itertools.combinations(others, 1), [tuple(others)]):
            right = np.ones(ROWS, dtype=bool)
            for block in design.scoped(target):
                told = {name: seen[name][block.name] for name in readers if name in block.scope}
                right &= likelihood(block, target, told, ROWS).argmax(axis=1) == drawn[target][block.name]
            exact = bayes_accuracy(design, target, readers)
            sigma = math.sqrt(exact * (1 - exact) / ROWS)
            assert abs(right.mean() - exact) <= 3 * sigma, (target, readers, right.mean(), exact)
