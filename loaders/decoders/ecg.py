"""Decode electrocardiograms, which are stored as int16 lead after lead, to one array for each record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.arguments import check_fields
from symile_data.errors import UsageError

from .base import Array, Decoder, Layout, UndecodableError, fixed_lists, layout_of


@dataclass(frozen=True, kw_only=True)
class EcgSettings:
    """Records become (leads, samples) float32 between -1 and 1.

    Args:
        leads: Number of leads, which follow one another in a stored list.
        scale: True brings the smallest value over all leads of a record to -1 and the largest to 1, as in the paper
            (its code, `process_and_save_tensors.py`; there time comes first: (1, 5000, 12)). A record without any
            change becomes zeros, where the paper's code divides by zero. False keeps the stored int16, half the
            memory.
    """

    leads: int = 12
    scale: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.leads < 1:
            raise UsageError("an ECG needs at least one lead", got=self.leads)


def decode_ecg(stored: npt.NDArray[np.int16], settings: EcgSettings) -> Array:
    """Decode one record.

    Args:
        stored: (leads * samples,) int16, lead-major.
        settings: Number of leads, and whether to scale.

    Returns:
        (leads, samples) float32 in [-1, 1], or int16.

    Raises:
        UndecodableError: a sample of the record is null.

    >>> decode_ecg(np.array([0, 5, 10, 0], dtype=np.int16), EcgSettings(leads=2)).tolist()
    [[-1.0, 0.0], [1.0, -1.0]]
    """
    if np.isnan(stored).any():  # false for whole numbers
        raise UndecodableError("a record with samples that are null")
    record = stored.astype(np.int16, copy=False).reshape(settings.leads, -1)
    if not settings.scale:
        return record
    low, high = int(record.min()), int(record.max())
    if low == high:
        return np.zeros(record.shape, dtype=np.float32)
    # In double precision and then rounded, as the paper's code does it.
    scaled: Array = (2 * ((record - np.float64(low)) / (high - low)) - 1).astype(np.float32)
    return scaled


def _layout(settings: EcgSettings, kind: pa.DataType) -> Layout:
    if not pa.types.is_fixed_size_list(kind) or not pa.types.is_integer(kind.value_type):
        raise UsageError("an ECG column must be a fixed-size list of whole numbers", got=kind)
    if kind.list_size % settings.leads:
        raise UsageError(
            "the leads of an ECG cannot be of one length",
            got=f"{kind.list_size} samples, {settings.leads} leads",
            do="give EcgSettings the number of leads that are stored",
        )
    shape = (settings.leads, kind.list_size // settings.leads)
    return layout_of(shape, np.float32 if settings.scale else np.int16)


DECODER: Decoder = Decoder(settings=EcgSettings, layout=_layout, values=fixed_lists, decode=decode_ecg)
