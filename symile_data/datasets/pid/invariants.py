"""The rules that every row of a PID dataset keeps, for `symile-data verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.format.id_set import IdSet, sample_ids
from symile_data.format.manifest import Manifest
from symile_data.noise import FloatArray, with_flips
from symile_data.reliability import Reliability

from .alphabets import texts, vectors
from .blocks import Block, Symbols
from .design import MEDIA, Design, symbol_column
from .parse import design_of
from .relations import BoolArray, allowed, holds, symbols_of, value_numbers


class PidInvariants:
    """Check the relation of every block, the flags, the numbers of values, and what vectors, texts and ids show.

    Args:
        manifest: Manifest of the dataset.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._design: Design = design_of(manifest.identity.spec["design"])
        self._seed = manifest.identity.spec["seed"]
        self._features = {modality.name for modality in manifest.modalities if modality.kind == "features"}
        self._reliability = Reliability.of(manifest.identity.spec)
        self._sample_ids = IdSet()
        self._kept: dict[tuple[str, str], list[pa.Table]] = {}  # split, modality -> values of misaligned rows
        self._numbers: dict[tuple[str, str], list[tuple[Symbols, Symbols]]] = {}  # -> ids and values of all rows

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
        own = ~_flags(table, f"{name}_missing")
        if name in self._reliability.misaligned:
            swapped = _flags(table, f"{name}_misaligned") & own
            own &= ~swapped
            flag = [f"{name}_noisy"] if name in self._reliability.noisy else []
            shown = [name, f"{name}_id"] if self._design.modalities[name] in MEDIA else [name]
            columns = ["sample_id", f"{name}_donor", *shown[-1:], *flag]
            self._kept.setdefault((split, name), []).append(table.select(columns).filter(pa.array(swapped)))
            self._numbers.setdefault((split, name), []).append((sample_ids(table), numbers))
        if own.any():
            rows = table.filter(pa.array(own))
            yield from self._shown_problems(split, name, {b: s[own] for b, s in symbols.items()}, rows, "its symbols")

    def _shown_problems(
        self, split: str, name: str, symbols: Mapping[str, Symbols], rows: pa.Table, whose: str
    ) -> Iterator[str]:
        """Compare what rows show in a modality with symbols."""
        kind = self._design.modalities[name]
        if name in self._features and kind not in MEDIA:
            return
        if kind == "vector":
            found = np.stack(rows[name].to_numpy())
            differs = (found != self._expected(name, symbols, rows)).any(axis=1)
        elif kind == "text":
            differs = _unequal(rows[name], pa.array(texts(name, self._design, symbols)))
        else:
            numbers = value_numbers(name, self._design, symbols)
            begun = [f"{name}-{split}-{number}-" for number in numbers.tolist()]
            ids = rows[f"{name}_id"].to_pylist()
            differs = np.array([not str(one).startswith(start) for one, start in zip(ids, begun, strict=True)])
        what = f"{name}_id names no {kind} of {whose}" if kind in MEDIA else f"{name} does not show {whose}"
        yield from _at(rows, differs, what)

    def _expected(self, name: str, symbols: Mapping[str, Symbols], rows: pa.Table) -> FloatArray:
        values = vectors(name, self._design, symbols)
        if name in self._reliability.noisy:
            noisy, level = _flags(rows, f"{name}_noisy"), self._reliability.noise_level(name, "vector")
            values[noisy] = with_flips(values[noisy], self._seed, sample_ids(rows)[noisy], name, level)
        return values

    @property
    def disjoint_media(self) -> bool:
        """Splits share no image and no sound."""
        return any(kind in MEDIA for kind in self._design.modalities.values())

    @property
    def reads_media(self) -> bool:
        """Whether a rule looks into the bytes of images and audio."""
        return False

    def check_media(self, table: pa.Table) -> Iterator[str]:
        """Yield nothing: `check` compares the ids of images and sounds with the symbols of their rows."""
        yield from ()

    def finish(self) -> Iterator[str]:
        """Yield the misaligned rows that do not show the symbols of their donors."""
        for (split, name), tables in self._kept.items():
            rows = pa.concat_tables(tables)
            ids, numbers = (np.concatenate(column) for column in zip(*self._numbers[split, name], strict=True))
            order = np.argsort(ids, kind="stable")
            donors = _integers(rows, f"{name}_donor")
            at = order[np.searchsorted(ids[order], donors).clip(max=len(ids) - 1)]
            strange = ids[at] != donors
            for clause in _at(rows, strange, f"{name}_donor is no row of {split}"):
                yield f"{split}: {clause}"
            known = rows.filter(pa.array(~strange))
            symbols = symbols_of(name, self._design, numbers[at[~strange]])
            for clause in (
                self._shown_problems(split, name, symbols, known, "the symbols of its donor") if len(known) else ()
            ):
                yield f"{split}: {clause}"


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
