"""Columns and modalities of an XOR dataset: one fixed-size list of bits for each variable."""

from __future__ import annotations

from collections.abc import Sequence

from symile_data.format.schema import DatasetSchema, Modality


def xor_schema(names: Sequence[str], dims: int) -> DatasetSchema:
    """Return the typed columns of a dataset; bits are float32 0 and 1, ready for a linear layer.

    Args:
        names: Names of the variables.
        dims: Bits of each variable.
    """
    from datasets import Features, List, Value

    columns = {name: List(Value("float32"), length=dims) for name in names}
    masks = {f"{name}_missing": Value("bool") for name in names}
    modalities = tuple(
        Modality(name=name, kind="vector", column=name, null_columns=(name,), id_column=None) for name in names
    )
    return DatasetSchema(features=Features({"sample_id": Value("int64"), **columns, **masks}), modalities=modalities)
