"""Write README.md, the dataset card: YAML front matter that `datasets` and the Hub read, and text from a template.

The front matter lists every split's files and the type of every column, so `load_dataset(DIRECTORY)` has nothing to
guess; very many class names stand in a file of their own (`hub_info`). The template is filled with the manifest, the
statistics and the dataset's description.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symile_data.errors import harmless
from symile_data.format.manifest import Manifest
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.tar_layout import members_of

from .citation import citations_of
from .deduplicated import Table
from .descriptions import Description, encoded_modalities, hub_language, is_custom, meaning_of, title_of
from .figures.drawing import Drawing
from .hub_info import has_many_names, infos_of, is_tar
from .markdown import render
from .responsible_ai import PREFIX, responsible_ai_fields
from .samples import Sample
from .sources import Licence
from .sources.mimic import CREDENTIALED_LICENCE
from .statistics.collect import Statistics, used_splits
from .unreliable import unreliable_part

FILE_NAME = "README.md"

MOST_FILES = 60  # most shards that the card lists; croissant.json and manifest.json list all

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
)


def readme_of(
    manifest: Manifest,
    schema: DatasetSchema,
    description: Description,
    statistics: Statistics,
    drawings: list[Drawing],
    samples: list[Sample],
    tables: Sequence[Table] = (),
) -> str:
    """Return the text of the whole file."""
    import yaml
    from huggingface_hub import DatasetCardData

    sources, licence = description.sources(manifest), description.licence(manifest)
    front = DatasetCardData(**front_matter(manifest, schema, description, licence, tables))
    data_files = [*manifest.shards(), *manifest.pool_files()]
    text = render(
        description.template,
        title=title_of(manifest),
        description=description,
        manifest=manifest,
        spec=manifest.identity.spec,
        statistics=statistics,
        drawings=drawings,
        sample=next((sample for sample in samples if sample.complete), None),
        splits=used_splits(manifest),
        columns=[
            {"name": name, "type": type_of(feature), "meaning": meaning_of(name, description, schema.modalities)}
            for name, feature in schema.features.items()
        ],
        modalities=schema.modalities,
        audio_columns=_columns_of(schema, "Audio"),
        members=_members(schema) if is_tar(manifest) else [],
        numbered=_numbered(manifest),
        image_columns=_columns_of(schema, "Image"),
        sources=sources,
        licence=licence,
        encoded=[modality.name for modality in encoded_modalities(schema.modalities)],
        custom=is_custom(manifest),
        credentialed=licence.name == CREDENTIALED_LICENCE,
        citations=citations_of(manifest, description),
        derived=description.derived(manifest),
        limits=[*manifest.notes, *_listed(manifest.publication.rai.get("dataLimitations", []))],
        responsible=_responsible(manifest, description),
        unreliable=unreliable_part(manifest, statistics),
        tables=tables,
        pools=() if manifest.pooled is None else manifest.pooled.pools,
        shards=data_files[:MOST_FILES],
        shards_left_out=max(len(data_files) - MOST_FILES, 0),
    )
    matter = front.to_yaml(line_break=chr(10))
    if matter != harmless(matter):  # such characters are written as escapes, which YAML reads back
        matter = yaml.safe_dump(yaml.safe_load(matter), sort_keys=False).rstrip("\n")
    return f"---\n{matter}\n---\n\n{text}"


def front_matter(
    manifest: Manifest, schema: DatasetSchema, description: Description, licence: Licence, tables: Sequence[Table] = ()
) -> dict[str, Any]:
    """Collect what stands in the YAML at the head of the card, in the Hub's terms."""
    splits = used_splits(manifest)
    matter: dict[str, Any] = {
        "pretty_name": title_of(manifest),
        "license": licence.identifier,
        "license_name": licence.name or None,
        "license_link": licence.url or None,
        "language": languages_of(manifest) or None,
        "task_categories": list(description.tasks),
        "tags": list(description.tags),
        "size_categories": [size_category(sum(manifest.splits.values()))],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": _pattern(manifest, split)} for split in splits],
            }
        ],
    }
    if tables:
        matter["configs"] = _configurations(tables)
    infos = infos_of(manifest, schema, tables)
    if not has_many_names(infos):
        named = [{"config_name": info.name, **info.to_yaml()} for info in infos]
        matter["dataset_info"] = named if tables else infos[0].to_yaml()
    return {key: value for key, value in matter.items() if value is not None}


def _configurations(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Return one configuration for each kind of tables; `load_dataset` without a name uses the first."""
    return [
        {
            "config_name": table.name,
            **({"default": True} if table is tables[0] else {}),
            "data_files": [
                {"split": split, "path": f"{Path(entries[0].path).parent}/{split}-*.parquet"}
                for split, entries in table.files.items()
            ],
        }
        for table in tables
    ]


def languages_of(manifest: Manifest) -> list[str]:
    """Return the languages of a dataset as distinct codes that the Hub accepts, in the spec's order."""
    languages = manifest.identity.spec.get("languages")
    return list(dict.fromkeys(hub_language(str(code)) for code in languages)) if isinstance(languages, list) else []


def size_category(rows: int) -> str:
    """Return the Hub's name for a number of rows.

    >>> size_category(999), size_category(11_000_000)
    ('n<1K', '10M<n<100M')
    """
    return next((name for limit, name in _SIZES if rows < limit), "n>1B")


def type_of(feature: Any) -> str:
    """Describe a column's type in a few words.

    >>> from datasets import List, Value
    >>> type_of(List(Value("float32"), length=50))
    'list of 50 float32'
    """
    from datasets import Audio, ClassLabel, Image, List, Value

    if isinstance(feature, Value):
        return str(feature.dtype)
    if isinstance(feature, ClassLabel):
        return f"ClassLabel ({feature.num_classes} names)"
    if isinstance(feature, Audio):
        return f"Audio ({feature.sampling_rate} Hz)" if feature.sampling_rate else "Audio"
    if isinstance(feature, Image):
        return "Image"
    if isinstance(feature, List):
        count = f" {feature.length}" if feature.length > 0 else ""
        return f"list of{count} {type_of(feature.feature)}"
    if isinstance(feature, dict):
        return "{" + ", ".join(f"{name}: {type_of(inner)}" for name, inner in feature.items()) + "}"
    shape = getattr(feature, "shape", None)
    return f"array {'x'.join(map(str, shape))} {feature.dtype}" if shape else type(feature).__name__


def _responsible(manifest: Manifest, description: Description) -> dict[str, list[str]]:
    """Return what the card says of responsible use, by title; limits have a section of their own."""
    titles = {
        "dataUseCases": "Meant for",
        "dataBiases": "Biases",
        "personalSensitiveInformation": "Personal information",
        "dataSocialImpact": "Impact",
    }
    fields = responsible_ai_fields(manifest, description)
    stated = {title: fields.get(f"{PREFIX}{term}", []) for term, title in titles.items()}
    return {title: _listed(texts) for title, texts in stated.items() if texts}


def _listed(texts: str | Sequence[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)


def _columns_of(schema: DatasetSchema, kind: str) -> list[str]:
    return [name for name, feature in schema.features.items() if type(feature).__name__ == kind]


def _members(schema: DatasetSchema) -> list[dict[str, str]]:
    """Return suffix, contents and kind of each member of a row in a tar shard."""
    return [
        {
            "suffix": member.suffix,
            "column": member.column or "",
            "holds": f"`{member.column}`" if member.column else "all other columns, including the masks",
            "kind": type(schema.features[member.column]).__name__ if member.column else "",
        }
        for member in members_of(schema.arrow, schema.modalities)
    ]


def _numbered(manifest: Manifest) -> str:
    """Return the names of the first split's shards in the brace notation of WebDataset."""
    split = next(iter(used_splits(manifest)))
    shards = manifest.shards(split)
    return shards[0].path.replace(f"{split}-00000", f"{split}-{{00000..{len(shards) - 1:05d}}}", 1)


def _pattern(manifest: Manifest, split: str) -> str:
    suffix = Path(manifest.shards(split)[0].path).suffix
    return f"data/{split}-*{suffix}"
