"""Columns and modalities of Symile-M3: those of the published release, with the same names and types, and more."""

from __future__ import annotations

from collections.abc import Sequence

from symile_data.format.schema import DatasetSchema, Modality
from symile_data.reliability import Reliability

from .keys import KEYS, TARGET_LANGUAGE
from .names import imagenet_classes

SAMPLE_RATE_HZ = 16_000
IMAGE_CLASS = "image_cls_id"  # the class of the image that is shown, where images can be misaligned

MODALITIES = (
    Modality(name="image", kind="image", column="image", null_columns=("image", "image_id"), id_column="image_id"),
    Modality(name="audio", kind="audio", column="audio", null_columns=("audio", "clip_id"), id_column="clip_id"),
    Modality(name="text", kind="text", column="text", null_columns=("text", "words", "target_text"), id_column=None),
)


def m3_modalities(keys: Sequence[str] = ()) -> tuple[Modality, ...]:
    """Return the modalities of a dataset with these keys beside the language of the audio."""
    return (*MODALITIES, *(KEYS[name].modality for name in keys))


_RELIABLE = Reliability()


def m3_schema(keys: Sequence[str] = (), values: int = 0, reliability: Reliability = _RELIABLE) -> DatasetSchema:
    """Return the typed columns and modalities; the first seven columns are those of the published release.

    Args:
        keys: Names of the keys beside the language of the audio; see `symile_data.datasets.m3.keys`.
        values: Number of values of a key, which is the length of the key `code`.
        reliability: Adds its columns for misaligned modalities, and `IMAGE_CLASS` where images are misaligned.
    """
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
    if keys:
        kinds = {
            "image": Image(),
            "audio": Audio(sampling_rate=SAMPLE_RATE_HZ),
            "vector": List(Value("float32"), length=values),
        }
        features[TARGET_LANGUAGE] = Value("string")
        for key in (KEYS[name] for name in keys):
            features |= {key.name: kinds[key.kind], key.label: Value("int8")}
            if key.media_id is not None:
                features[key.media_id] = Value("string")
            features[key.modality.mask] = Value("bool")
    modalities = m3_modalities(keys)
    for modality in modalities:
        features |= {column: Value(dtype) for column, dtype in reliability.columns_of(modality.name).items()}
    if "image" in reliability.misaligned:
        features[IMAGE_CLASS] = Value("int64")
    return DatasetSchema(features=Features(features), modalities=modalities)
