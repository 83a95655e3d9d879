"""Columns and modalities of an XOR dataset: one fixed-size list of bits for each variable."""

from __future__ import annotations

from symile_data.schema import DatasetSchema, Modality

from .spec import XorSpec


def xor_schema(spec: XorSpec) -> DatasetSchema:
    """Typed columns of a build; bits are float32 0 and 1, ready for a linear layer."""
    from datasets import Features, List, Value

    columns = {name: List(Value("float32"), length=spec.dims) for name in spec.names}
    masks = {f"{name}_missing": Value("bool") for name in spec.names}
    modalities = tuple(Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in spec.names)
    return DatasetSchema(features=Features({"sample_id": Value("int64"), **columns, **masks}), modalities=modalities)
