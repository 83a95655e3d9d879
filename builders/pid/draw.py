"""Draw the symbols of rows: a function of the seed, the split and the row alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from symile_data.datasets.pid.blocks import Block, Symbols
from symile_data.rng import FloatArray, Stream, below

from .spec import PidSpec


@dataclass(frozen=True)
class DrawnRows:
    """The symbols of N rows.

    Args:
        symbols: Modality -> block -> (N,) int64 symbols.
        drawn: Block -> (N,) bool, the hidden draw.
    """

    symbols: dict[str, dict[str, Symbols]]
    drawn: dict[str, npt.NDArray[np.bool_]]


def draw_rows(spec: PidSpec, split: str, start: int, stop: int) -> DrawnRows:
    """Draw the symbols of rows `start` to `stop - 1`.

    Every block has a stream of its own, named after it: a block that is added leaves the others as they were.
    """
    return _drawn(spec, split, lambda stream, width: stream.rows(start, stop, width))


def draw_rows_at(spec: PidSpec, split: str, rows: npt.NDArray[np.int64]) -> DrawnRows:
    """Draw the symbols of (N,) scattered rows, equal to those of `draw_rows`."""
    return _drawn(spec, split, lambda stream, width: stream.at(rows, width))


def _drawn(spec: PidSpec, split: str, uniforms: Callable[[Stream, int], FloatArray]) -> DrawnRows:
    symbols: dict[str, dict[str, Symbols]] = {name: {} for name in spec.design.names}
    drawn = {}
    for block in spec.design.blocks:
        width = len(block.scope)
        uniform = uniforms(Stream(spec.seed, f"pid/{split}/{block.name}"), width + 1)
        drawn[block.name] = uniform[:, width] < block.strength
        columns = _related(block, list(below(uniform[:, :width].T, block.values)), drawn[block.name])
        for name, column in zip(block.scope, columns, strict=True):
            symbols[name][block.name] = column
    return DrawnRows(symbols, drawn)


def _related(block: Block, free: list[Symbols], drawn: npt.NDArray[np.bool_]) -> list[Symbols]:
    """Let the relation hold where it is drawn; `free` are independent uniform symbols."""
    if block.relation == "redundant":
        return [free[0], *(np.where(drawn, free[0], own) for own in free[1:])]
    if block.relation == "synergistic":
        return [*free[:-1], np.where(drawn, block.negative(block.add(*free[:-1])), free[-1])]
    if block.relation == "xor":
        return [*free[:-1], np.where(drawn, block.add(*free[:-1]), free[0])]
    return free


def draw_variants(spec: PidSpec, split: str, modality: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(N,) int64: which of the images or sounds of its value each of some rows shows."""
    uniform = Stream(spec.seed, f"pid/{split}/{modality}/variant").at(rows, 1)[:, 0]
    return below(uniform, spec.variants(split, modality))
