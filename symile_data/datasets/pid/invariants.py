"""The rules that every row of a PID dataset keeps, for `symile-data verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.format.id_set import IdSet, sample_ids
from symile_data.format.manifest import Manifest

from .alphabets import texts, vectors
from .blocks import Block, Symbols
from .design import MEDIA, Design, symbol_column
from .parse import design_of
from .relations import BoolArray, allowed, holds, value_numbers


class PidInvariants:
    """Check the relation of every block, the flags, the numbers of values, and what vectors, texts and ids show.

    Args:
        manifest: Manifest of the dataset.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._design: Design = design_of(manifest.identity.spec["design"])
        self._sample_ids = IdSet()

    def check(self, split: str, table: pa.Table) -> Iterator[str]:
        """Yield the problems of the rows of one shard."""
        design = self._design
        if self._sample_ids.add(sample_ids(table)).any():
            yield f"a sample_id occurs twice in {split} or in an earlier shard"
        symbols = {
            name: {block.name: _integers(table, symbol_column(name, block)) for block in design.scoped(name)}
            for name in design.names
        }
        outside = [
            symbol_column(name, block)
            for name in design.names
            for block in design.scoped(name)
            if not _within(symbols[name][block.name], block.values)
        ]
        yield from (f"a symbol of {column} is outside the block's values" for column in outside)
        if outside:
            return
        for block in design.blocks:
            own = {name: symbols[name][block.name] for name in block.scope}
            yield from self._block_problems(block, own, table)
        for name in design.names:
            yield from self._modality_problems(split, name, symbols[name], table)

    def _block_problems(self, block: Block, own: Mapping[str, Symbols], table: pa.Table) -> Iterator[str]:
        told, drawn = (_flags(table, f"{block.name}{ending}") for ending in ("_holds", "_drawn"))
        shown = "+".join(block.scope)
        yield from _at(table, told != holds(block, own), f"{block.name}_holds is not true of {shown}")
        wrong = ~allowed(block, own, drawn)
        yield from _at(table, wrong, f"the symbols of {shown} are none that block {block.name} allows")

    def _modality_problems(
        self, split: str, name: str, symbols: Mapping[str, Symbols], table: pa.Table
    ) -> Iterator[str]:
        numbers = value_numbers(name, self._design, symbols)
        wrong = _integers(table, f"{name}_value") != numbers
        yield from _at(table, wrong, f"{name}_value is not the number of its symbols")
        present = ~_flags(table, f"{name}_missing")
        kind = self._design.modalities[name]
        if kind == "vector":
            expected = vectors(name, self._design, symbols)
            found = np.full(expected.shape, np.nan, dtype=np.float32)
            if present.any():
                found[present] = np.stack(table[name].filter(pa.array(present)).to_numpy(zero_copy_only=False))
            differs = (found != expected).any(axis=1)
        elif kind == "text":
            expected_texts = pa.array(texts(name, self._design, symbols))
            differs = _unequal(table[name], expected_texts)
        else:
            begun = [f"{name}-{split}-{number}-" for number in numbers.tolist()]
            ids = table[f"{name}_id"].to_pylist()
            differs = np.array([not str(one).startswith(start) for one, start in zip(ids, begun, strict=True)])
        what = f"{name}_id names no {kind} of its symbols" if kind in MEDIA else f"{name} does not show its symbols"
        yield from _at(table, differs & present, what)

    @property
    def disjoint_media(self) -> bool:
        """Splits share no image and no sound."""
        return any(kind in MEDIA for kind in self._design.modalities.values())

    def check_media(self, table: pa.Table) -> Iterator[str]:
        """Yield nothing: `check` compares the ids of images and sounds with the symbols of their rows."""
        yield from ()

    def finish(self) -> Iterator[str]:
        """Yield nothing: `check` already compares the ids of all shards."""
        yield from ()


def _integers(table: pa.Table, column: str) -> Symbols:
    return np.asarray(table[column].cast(pa.int64()).to_numpy())


def _flags(table: pa.Table, column: str) -> BoolArray:
    return np.asarray(pc.fill_null(table[column], False).to_numpy()).astype(bool)


def _within(symbols: Symbols, values: int) -> bool:
    return bool(((symbols >= 0) & (symbols < values)).all())


def _unequal(column: pa.ChunkedArray, expected: pa.Array) -> BoolArray:
    return np.asarray(pc.fill_null(pc.not_equal(column, expected), True).to_numpy()).astype(bool)


def _at(table: pa.Table, wrong: BoolArray, what: str) -> Iterator[str]:
    """A clause about the first row in which something is wrong."""
    places = np.flatnonzero(wrong)
    if len(places):
        yield f"sample {table['sample_id'][int(places[0])].as_py()}: {what}"
