"""Describe datasets for their cards: one row for each dataset with its title, tags and meanings of columns, and the
functions that tell its sources and licence (`sources`).

Numbers do not belong here; they come from the manifest and the statistics. A dataset without a row gets the plain card.
A new dataset needs a row in `DESCRIPTIONS` and a template of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from symile_data.datasets import M3, MIMIC, PID, XOR
from symile_data.datasets.confidential import is_synthetic
from symile_data.datasets.m3.keys import KEYS, TARGET_LANGUAGE, Key, keys_of_spec
from symile_data.datasets.mimic.stays import LEAKS
from symile_data.datasets.xor.information import (
    bayes_accuracy,
    conditional_information,
    pair_information,
    total_correlation,
)
from symile_data.format.manifest import Manifest
from symile_data.format.schema import Modality
from symile_data.reliability import Reliability

from .groups import CategoryGroup
from .mimic import MIMIC_COLUMNS, MIMIC_GROUPS
from .pid import design_title, pid_meaning
from .sources import (
    Licence,
    Source,
    custom_licence,
    custom_sources,
    m3_licence,
    m3_sources,
    mimic_licence,
    mimic_sources,
    pid_licence,
    pid_sources,
    xor_sources,
)
from .unreliable import unreliable_meaning

Sources = Callable[[Manifest], list[Source]]
Licensing = Callable[[Manifest], Licence]


@dataclass(frozen=True, kw_only=True)
class Description:
    """The description of one dataset.

    Args:
        title: Title of the card, with fields of the manifest's spec in braces ("{words}").
        summary: One sentence, which is also the description in croissant.json.
        template: Name of the file in `templates/`.
        tasks: The Hub's task categories.
        tags: The Hub's free tags.
        sources: Function that returns the sources of a build.
        licence: Function that returns the licence of a build.
        columns: Column -> its meaning.
        categories: String columns with few values, which are counted; class labels, bools and small integers are
            always counted.
        durations_by: Column by which audio durations are shown.
        derived: Function that returns values for the template, derived from the manifest.
        groups: Category columns that one figure shows together.
        hours: Columns of hours since admission, with what happened then.
        plain_lists: Lists of numbers whose mean says nothing.
        meaning: (column, modalities) -> meaning of a column that is named after a modality; "" for any other.
        target: The modality that the dataset's task is to find from the others; "" where it may be any.
        changes: The maintainers' log: version of this package -> what changed in the datasets it builds.
    """

    title: str
    summary: str
    template: str
    tasks: tuple[str, ...]
    tags: tuple[str, ...]
    sources: Sources
    licence: Licensing
    columns: Mapping[str, str] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    durations_by: str = ""
    derived: Callable[[Manifest], Mapping[str, Any]] = lambda _: {}
    groups: tuple[CategoryGroup, ...] = ()
    hours: Mapping[str, str] = field(default_factory=dict)
    plain_lists: tuple[str, ...] = ()
    meaning: Callable[[str, tuple[Modality, ...]], str] = lambda *_: ""
    target: str = ""
    changes: Mapping[str, str] = field(default_factory=dict)

    def group_of(self, column: str) -> CategoryGroup | None:
        """Return the group of a category column; None for a column that stands alone."""
        return next((group for group in self.groups if column.startswith(group.prefix)), None)


def description_of(manifest: Manifest) -> Description:
    """Return the description of a dataset, or the plain one with the summary that people state."""
    found = _reliable_description(manifest)
    if is_custom(manifest) and manifest.publication.summary:
        found = replace(found, summary=manifest.publication.summary)
    settings = Reliability.of(manifest.identity.spec)
    if not settings:
        return found

    def meaning(column: str, modalities: tuple[Modality, ...]) -> str:
        return unreliable_meaning(column, modalities, settings) or found.meaning(column, modalities)

    return replace(found, meaning=meaning)


def is_custom(manifest: Manifest) -> bool:
    """Whether a dataset is none of those that this package builds, so that only people know its licence and sources."""
    return manifest.identity.dataset not in DESCRIPTIONS


def _reliable_description(manifest: Manifest) -> Description:
    description = DESCRIPTIONS.get(manifest.identity.dataset, _PLAIN)
    if manifest.identity.dataset == M3 and (keys := keys_of_spec(manifest.identity.spec)):
        names = ["an image", "a speech recording", "a text of several words", *(f"the key {key.name}" for key in keys)]
        return replace(
            description,
            title=f"{description.title} with {len(keys) + 1} keys",
            columns={
                **description.columns,
                "target_text": f"the one word of `text` that names the class, in the language `{TARGET_LANGUAGE}`",
            },
            summary=(
                f"Rows of {', '.join(names[:-1])} and {names[-1]}. Only the spoken language, the other keys and the"
                " text together name the image's class: no modality can be left out."
            ),
        )
    return description


def title_of(manifest: Manifest) -> str:
    """Return the title of the card."""
    spec = manifest.identity.spec
    languages = spec.get("languages")
    values = {
        "dataset": manifest.identity.dataset,
        "languages": len(languages) if isinstance(languages, list) else "?",
        "sample": " sample" if is_synthetic(manifest) else "",
        "design": design_title(spec),
    }
    title = description_of(manifest).title.format(**values)
    return f"{title}, features" if encoded_modalities(manifest.modalities) else title


def encoded_modalities(modalities: tuple[Modality, ...]) -> list[Modality]:
    """Return the modalities whose values are features that models computed."""
    return [modality for modality in modalities if modality.kind == "features"]


def meaning_of(column: str, description: Description, modalities: tuple[Modality, ...]) -> str:
    """Return the meaning of a column, from the dataset's description or from the column's role in a modality.

    >>> meaning_of("x_missing", _PLAIN, (Modality(name="x", kind="vector", column="x", null_columns=("x",)),))
    'True where x is absent'
    """
    for modality in encoded_modalities(modalities):
        if column == modality.column:
            of, model = modality.details.get("of", modality.name), modality.details.get("model", "a model")
            return f"features: numbers that {model} computed from the {of}"
    if column in description.columns or column in _COMMON:
        return description.columns.get(column) or _COMMON[column]
    if found := description.meaning(column, modalities):
        return found
    for modality in modalities:
        if column == modality.mask:
            return f"True where {modality.name} is absent"
        if column == modality.column:
            kind = "" if modality.name == modality.kind else f" ({modality.kind})"
            return f"the modality {modality.name}{kind}"
        if column in modality.null_columns:
            return f"belongs to {modality.name}"
    return ""


def hub_language(code: str) -> str:
    """Return the language code that the Hub accepts: the primary subtag.

    >>> hub_language("zh-CN")
    'zh'
    """
    return code.split("-")[0]


def _xor_terms(manifest: Manifest) -> dict[str, Any]:
    """Return information terms in nats and Bayes-optimal accuracies, for the variables of a build."""
    p_hat, dims = manifest.identity.spec["p_hat"], manifest.identity.spec["dims"]
    names = [modality.name for modality in manifest.modalities]
    return {
        "first": names[0],
        "between": names[1:-1],
        "last": names[-1],
        "total": total_correlation(p_hat, dims),
        "pair": pair_information(p_hat, dims),
        "conditional": conditional_information(p_hat, dims),
        "accuracy_between": bayes_accuracy(p_hat, dims),
        "accuracy_ends": bayes_accuracy(p_hat, dims, between=False),
        "random_candidate": 2.0**-dims,
    }


_COMMON = {"sample_id": "number of the row, unique in the dataset; all random draws of the row depend on it"}


def _key_columns(key: Key) -> dict[str, str]:
    """Return the meanings of the columns of a key of Symile-M3."""
    columns = {key.name: key.meaning, key.label: f"the value of {key.name}; a label, present in every row"}
    if key.media_id is not None:
        columns[key.media_id] = f"name of the {key.kind} of {key.name}; equal ids are equal files"
        columns[f"{key.name}_row"] = f"row of the {key.kind} in the table of {key.name}s, counted through its files"
    return columns


_PLAIN = Description(
    title="{dataset}",
    summary="A dataset of several modalities per sample, in the format of symile-data.",
    template="_base.md",
    tasks=("feature-extraction",),
    tags=("multimodal", "contrastive-learning"),
    sources=custom_sources,
    licence=custom_licence,
)

DESCRIPTIONS = {
    M3: Description(
        title="Symile-M3-{languages}",
        summary=(
            "Triples of an image, a speech recording and a text of several words in several languages. Only the "
            "spoken language and the text together name the image's class: no pair of modalities tells it."
        ),
        template="symile-m3.md",
        target="image",
        tasks=("zero-shot-image-classification", "feature-extraction"),
        tags=("multimodal", "contrastive-learning", "symile", "image", "audio", "text", "multilingual"),
        sources=m3_sources,
        licence=m3_licence,
        columns={
            "lang": "language of the audio; a label, present in every row",
            "audio": "the speech: FLAC or another container, mono; it tells only its language",
            "image": "the image, JPEG",
            "text": "the words, joined by `_`, in random order",
            "cls": "English name of the image's class; a label, present in every row",
            "cls_id": "the class, 0 to 999 in ILSVRC order; a label, present in every row",
            "target_text": "the one word of `text` that names the class, in the language of the audio",
            "wnid": "WordNet id of the class",
            "words": "each word of `text`, in order, with its language and class",
            "image_id": "file of the image in its source; equal ids are equal images",
            "clip_id": "name of the recording; equal ids are equal recordings",
            "image_row": "row of the image in its table of images, counted through the table's files",
            "clip_row": "row of the recording in its table of audio, counted through the table's files",
            TARGET_LANGUAGE: "language of the word that names the class: the sum of all keys; a label",
            **{column: meaning for key in KEYS.values() for column, meaning in _key_columns(key).items()},
        },
        categories=("lang", TARGET_LANGUAGE),
        durations_by="lang",
        changes={
            "0.2.0": "330 class names fit the images better; Arabic is spoken from vowelled text; the silence around"
            " the speech has one distribution in all languages; in disjoint mode the target words stand at every"
            " position equally often.",
            "0.1.0": "First version; class names and sentences of all ten languages reviewed twice.",
        },
    ),
    MIMIC: Description(
        title="Symile-MIMIC{sample}",
        summary="Hospital admissions with a chest X-ray, a 12-lead electrocardiogram and 50 blood tests each.",
        template="symile-mimic.md",
        target="cxr",
        tasks=("feature-extraction",),
        tags=("multimodal", "contrastive-learning", "symile", "medical", "chest-x-ray", "ecg", "laboratory"),
        sources=mimic_sources,
        licence=mimic_licence,
        columns=MIMIC_COLUMNS,
        categories=("view_position", "gender"),
        groups=MIMIC_GROUPS,
        derived=lambda _: {"leaks": LEAKS},
        hours={
            "ecg_hours": "Electrocardiograms",
            "labs_hours": "Blood tests (each of the 50)",
            "cxr_hours": "Chest X-rays",
        },
        plain_lists=("labs", "labs_percentile", "labs_missing", "labs_hours"),
        changes={
            "0.2.0": "New columns: time of admission and labels of the stay. Tables are read by declared keys and typed"
            " cells; DICOM files are rendered correctly or left out under a named reason.",
            "0.1.0": "First version; the differences from the public pipeline are listed above.",
        },
    ),
    PID: Description(
        title="PID data{design}",
        summary=(
            "Modalities whose redundant, unique and synergistic information is set by a design and known exactly, with"
            " the Bayes accuracy of every modality from every set of others."
        ),
        template="pid.md",
        tasks=("feature-extraction",),
        tags=("multimodal", "contrastive-learning", "synthetic", "partial-information-decomposition"),
        sources=pid_sources,
        licence=pid_licence,
        meaning=pid_meaning,
        changes={"0.2.0": "First version."},
    ),
    XOR: Description(
        title="Binary XOR",
        summary="Vectors of random bits, the last of which may be the XOR of the others: no pair tells the third.",
        template="xor.md",
        tasks=("feature-extraction",),
        tags=("multimodal", "contrastive-learning", "symile", "synthetic"),
        sources=xor_sources,
        licence=lambda _: Licence(identifier="apache-2.0"),
        derived=_xor_terms,
        changes={"0.1.0": "First version."},
    ),
}
