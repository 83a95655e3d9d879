"""Columns and modalities of Symile-M3: those of the published release, with the same names and types, and more."""

from __future__ import annotations

from symile_data.format.schema import DatasetSchema, Modality

from .names import imagenet_classes

SAMPLE_RATE_HZ = 16_000

MODALITIES = (
    Modality(name="image", kind="image", column="image", null_columns=("image", "image_id"), id_column="image_id"),
    Modality(name="audio", kind="audio", column="audio", null_columns=("audio", "clip_id"), id_column="clip_id"),
    Modality(name="text", kind="text", column="text", null_columns=("text", "words", "target_text"), id_column=None),
)


def m3_schema() -> DatasetSchema:
    """Return the typed columns and modalities; the first seven columns are those of the published release."""
    from datasets import Audio, ClassLabel, Features, Image, List, Value

    _, english = imagenet_classes()
    features = Features(
        {
            "lang": Value("string"),
            "audio": Audio(sampling_rate=SAMPLE_RATE_HZ),
            "image": Image(),
            "text": Value("string"),
            "cls": Value("string"),
            "cls_id": ClassLabel(names=list(english)),
            "target_text": Value("string"),
            "sample_id": Value("int64"),
            "wnid": Value("string"),
            "words": List({"text": Value("string"), "lang": Value("string"), "cls_id": Value("int32")}),
            "image_id": Value("string"),
            "clip_id": Value("string"),
            "image_missing": Value("bool"),
            "audio_missing": Value("bool"),
            "text_missing": Value("bool"),
        }
    )
    return DatasetSchema(features=features, modalities=MODALITIES)
