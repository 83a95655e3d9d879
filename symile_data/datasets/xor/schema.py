"""Columns and modalities of an XOR dataset: one fixed-size list of bits for each variable."""

from __future__ import annotations

from collections.abc import Sequence

from symile_data.format.schema import DatasetSchema, Modality
from symile_data.reliability import Reliability

VECTOR = "vector"  # the kind of every variable

_RELIABLE = Reliability()


def xor_schema(names: Sequence[str], dims: int, reliability: Reliability = _RELIABLE) -> DatasetSchema:
    """Return the typed columns of a dataset; bits are float32 0 and 1, ready for a linear layer.

    Args:
        names: Names of the variables.
        dims: Bits of each variable.
        reliability: Adds its columns for misaligned and noisy variables.
    """
    from datasets import Features, List, Value

    columns = {name: List(Value("float32"), length=dims) for name in names}
    masks = {f"{name}_missing": Value("bool") for name in names}
    modalities = tuple(
        Modality(name=name, kind=VECTOR, column=name, null_columns=(name,), id_column=None) for name in names
    )
    flags = {column: Value(dtype) for name in names for column, dtype in reliability.columns_of(name).items()}
    features = Features({"sample_id": Value("int64"), **columns, **masks, **flags})
    return DatasetSchema(features=features, modalities=modalities)
