"""Columns and modalities of a PID dataset.

By modality: its value, `<m>_missing`, the id of an image or audio, its symbol in each of its blocks `<m>_<block>` and
the number of its tuple `<m>_value`. By block: `<block>_holds`, whether the relation is true of the row's symbols, and
`<block>_drawn`, the hidden draw. Symbols, values and both flags are labels: they are there in every row.
"""

from __future__ import annotations

from typing import Any

from symile_data.format.schema import DatasetSchema, Modality
from symile_data.reliability import Reliability

from .alphabets import places_of, vector_length
from .design import MEDIA, Design, columns_of, symbol_column

SAMPLE_RATE_HZ = 16_000


_RELIABLE = Reliability()


def pid_schema(design: Design, reliability: Reliability = _RELIABLE) -> DatasetSchema:
    """Return the typed columns of a dataset of this design.

    Args:
        design: The design.
        reliability: Adds its columns for misaligned and noisy modalities.
    """
    from datasets import Audio, Features, Image, List, Value

    columns: dict[str, Any] = {"sample_id": Value("int64")}
    for name, kind in design.modalities.items():
        value = {
            "vector": lambda name=name: List(Value("float32"), length=vector_length(name, design)),
            "image": Image,
            "audio": lambda: Audio(sampling_rate=SAMPLE_RATE_HZ),
            "text": lambda: Value("string"),
        }[kind]()
        types = {name: value, f"{name}_missing": Value("bool"), f"{name}_value": Value("int64")}
        types |= {f"{name}_id": Value("string")}
        types |= {symbol_column(name, block): Value("int16") for block in design.scoped(name)}
        columns |= {column: types[column] for column in columns_of(name, design)}
    flags = (f"{block.name}{ending}" for block in design.blocks for ending in ("_holds", "_drawn"))
    columns |= {flag: Value("bool") for flag in flags}
    for name in design.names:
        columns |= {column: Value(dtype) for column, dtype in reliability.columns_of(name).items()}
    return DatasetSchema(features=Features(columns), modalities=pid_modalities(design))


def pid_modalities(design: Design) -> tuple[Modality, ...]:
    """The modalities of a dataset of this design."""
    return tuple(
        Modality(
            name=name,
            kind=kind,
            column=name,
            null_columns=(name, f"{name}_id") if kind in MEDIA else (name,),
            id_column=f"{name}_id" if kind in MEDIA else None,
            details={"places": places_of(name, design)} if kind == "vector" else {},
        )
        for name, kind in design.modalities.items()
    )
