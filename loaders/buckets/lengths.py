"""Measure audio by its header, row group by row group, as rows are arranged; each group is measured once."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from symile_data.errors import UsageError
from symile_data.format.media import UnfitMediumError, audio_header
from symile_data.format.schema import Modality
from symile_data.format.shards.arrow_numpy import null_mask, numbers, one_chunk

from ..decoders.base import StoredMedia, UndecodableError
from ..report import MEASURE, LoadClock
from ..shuffle import IntArray
from ..split import Split
from .order import FloatArray


class AudioLengths:
    """The lengths of the rows of a split in seconds, kept once they were measured.

    Args:
        split: The rows.
        modality: The modality of audio.
        column: A column of the split that has the lengths, so that no audio need be read; None where there is none.
        threads: Threads that read and measure.
        clock: Counts what that takes.

    Raises:
        UsageError: the column does not hold numbers.
    """

    def __init__(self, split: Split, modality: Modality, column: str | None, threads: int, clock: LoadClock) -> None:
        self._split, self._modality, self._column = split, modality, column
        self._threads, self._clock = threads, clock
        self._known: dict[int, FloatArray] = {}
        if column is not None:
            kind = split.schema.field(column).type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                raise UsageError("a column of lengths must hold numbers", where=split.location, got=f"{column}: {kind}")

    def __call__(self, rows: IntArray) -> FloatArray:
        """Return the (n,) lengths of (n,) rows; NaN where there is no audio or it cannot be decoded.

        Raises:
            DamageError: a shard cannot be read.
        """
        groups = np.searchsorted(self._split.group_starts, rows, side="right") - 1
        new = [group for group in np.unique(groups).tolist() if group not in self._known]
        if new:
            with ThreadPoolExecutor(self._threads, thread_name_prefix="measure") as pool:
                self._known.update(zip(new, pool.map(self._measure, new), strict=True))
        found = np.empty(len(rows))
        for group in np.unique(groups).tolist():
            here = groups == group
            found[here] = self._known[group][rows[here] - int(self._split.group_starts[group])]
        return found

    def _measure(self, group: int) -> FloatArray:
        """Return the (rows,) lengths of one row group."""
        name = self._column or self._modality.column
        with self._clock.stage(MEASURE):
            column = one_chunk(self._split.read([name], group)[name])
            self._clock.read(column.nbytes)
            return self._lengths(column)

    def _lengths(self, column: pa.Array) -> FloatArray:
        absent = null_mask(column)
        if self._column is not None:
            return np.where(absent, np.nan, numbers(column).astype(np.float64))
        stored, seconds = StoredMedia(column), np.full(len(column), np.nan)
        for row in np.flatnonzero(~absent).tolist():
            # What cannot be decoded is told, or passed over, when its turn comes.
            with contextlib.suppress(UnfitMediumError, UndecodableError):
                samples, rate_hz = audio_header(stored[row])
                seconds[row] = samples / rate_hz
        return seconds
