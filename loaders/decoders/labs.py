"""Decode laboratory values: percentiles of the training split, with or without imputation and indicators.

**Direction of the indicators: 1 is observed, 0 is missing**, as in the tensors of the published release (which calls
them `labs_missingness`, and whose README says the reverse). The dataset's own masks are the other way round: `True`
in `labs_missing` and in a batch's `missing` is absent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.arguments import check_argument, check_fields
from symile_data.errors import UsageError
from symile_data.format.schema import Modality

from ..split import Split
from .base import Array, Decoder, Layout, fixed_lists, layout_of

MIDDLE = 0.5  # the percentile that carries no information


@dataclass(frozen=True, kw_only=True)
class LabsSettings:
    """The L labs of an admission become (L,) float32 percentiles in [0, 1], NaN where one was not measured; or the
    (2 L,) float32 vector of the paper: L percentiles without gaps, then L indicators (1 observed, 0 missing).

    Args:
        fill: Value that replaces a percentile that was not measured: one number for all labs (0.5 carries no
            information), or one for each lab, such as the paper's, which `mean_percentiles` of the training split
            gives. None keeps NaN and leaves imputation and indicators to the encoder.
    """

    fill: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        given = () if self.fill is None else np.atleast_1d(self.fill)
        wrong = [value for value in given if not 0.0 <= value <= 1.0]
        if wrong:
            raise UsageError("a percentile is a number from 0 to 1", got=wrong[0], do="correct LabsSettings(fill=...)")


def decode_labs(stored: npt.NDArray[np.float32], settings: LabsSettings) -> npt.NDArray[np.float32]:
    """Decode the labs of one admission, or of several.

    Args:
        stored: (..., L) percentiles, NaN where not measured.
        settings: Whether and how to fill those.

    Returns:
        (..., L) or (..., 2 L) float32.

    >>> decode_labs(np.array([0.25, np.nan], dtype=np.float32), LabsSettings(fill=0.5)).tolist()
    [0.25, 0.5, 1.0, 0.0]
    """
    if settings.fill is None:
        return stored
    observed = ~np.isnan(stored)
    filled = np.where(observed, stored, np.asarray(settings.fill, dtype=np.float32))
    return np.concatenate([filled, observed], axis=-1).astype(np.float32)


def mean_percentiles(train: Split, modality: str = "labs") -> tuple[float, ...]:
    """Compute the mean percentile of each lab over the rows of the training split that have it; 0.5 where none has.

    Args:
        train: The training split, also when the labs of another split are to be filled.
        modality: Name of the modality.

    Returns:
        L means in [0, 1].

    Raises:
        UsageError: the split is another one, or has no such labs.
        DamageError: a shard cannot be read.
    """
    check_argument("modality", modality, str)
    if train.name != "train":
        raise UsageError("means for imputing are taken from the training split", got=f"split {train.name}")
    columns = [_column(known) for known in train.modalities if known.name == modality and known.kind == "labs"]
    if not columns:
        raise UsageError("this split has no such labs", where=train.location, got=modality)
    values = fixed_lists(train.read_all(columns)[columns[0]].combine_chunks()).astype(np.float64)
    observed = ~np.isnan(values)
    sums, counts = np.where(observed, values, 0.0).sum(axis=0), observed.sum(axis=0)
    return tuple(np.where(counts > 0, sums / np.maximum(counts, 1), MIDDLE).tolist())


def _column(modality: Modality) -> str:
    return f"{modality.column}_percentile"


def _layout(settings: LabsSettings, kind: pa.DataType) -> Layout:
    if not pa.types.is_fixed_size_list(kind) or not pa.types.is_floating(kind.value_type):
        raise UsageError("a column of labs must be a fixed-size list of numbers", got=kind)
    labs = int(kind.list_size)
    if isinstance(settings.fill, tuple) and len(settings.fill) != labs:
        raise UsageError("LabsSettings needs one fill for each lab", got=f"{len(settings.fill)} numbers, {labs} labs")
    return layout_of((labs if settings.fill is None else 2 * labs,), np.float32)


def _values(column: pa.Array) -> Array:
    return fixed_lists(column).astype(np.float32, copy=False)


DECODER = Decoder(
    settings=LabsSettings, layout=_layout, values=_values, decode=decode_labs, column=_column, batched=True
)
