"""The files, record sets and fields of croissant.json: what lies where, with which type and meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.schema import DatasetSchema

from ..deduplicated import Table
from ..descriptions import Description, meaning_of
from ..statistics.collect import used_splits

if TYPE_CHECKING:
    from datasets import Features

RECORDS = "default"

_FILES = "shards"
_SPLITS = "splits"
_SPLIT = "split"  # the field of the rows that says their split
_REPOSITORY = "repository"
_SCALARS: dict[str, str | tuple[str, ...]] = {
    "sc:Boolean": "bool",
    "sc:Integer": ("int", "uint"),
    "sc:Float": ("float", "decimal"),
    "sc:Date": "date",
    "sc:DateTime": "timestamp",
    "sc:Time": "time",  # after timestamp, which begins so too
}
_SPACE = re.compile(r"\s|%20")
_HUB = "https://huggingface.co/datasets/"

_ENCODINGS = {".parquet": "application/x-parquet", ".tar": "application/x-tar"}


def distribution(manifest: Manifest, tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Describe every file with rows or media by size and hash, and the sets of Parquet files that belong together.

    Addresses are relative to the dataset's directory. Of a dataset that is published on the Hub they are the Hub's, and
    the sets are part of its git repository, so that the document alone leads to the rows.
    """
    page = manifest.publication.url if manifest.publication.url.startswith(_HUB) else ""
    described = [_file_object(entry, page) for entry in (*manifest.shards(), *manifest.pool_files())]
    if any(entry.path.endswith(".parquet") for entry in manifest.shards()):
        described += [_repository(page)] if page else []
        about = "All Parquet shards; the part of a name before the dash is the split."
        described.append(_file_set(_FILES, about, "data/*.parquet", page))
    for table in tables[1:]:
        about = f"The tables of {table.name}, with each of them once."
        described.append(_file_set(f"{table.name}-files", about, table.pattern, page))
    return described


def record_sets(
    manifest: Manifest, schema: DatasetSchema, description: Description, tables: Sequence[Table]
) -> list[dict[str, Any]]:
    """Describe the splits, the rows and the tables of media; [] for tars, whose members no record set can name."""
    if not any(entry.path.endswith(".parquet") for entry in manifest.shards()):
        return []
    media = [_media_set(table, schema, description) for table in tables[1:]]
    return [_splits_set(manifest), _row_set(manifest, schema, description, tables), *media]


def _repository(page: str) -> dict[str, Any]:
    """Describe the git repository of a dataset on the Hub as the Hub's own documents do."""
    return {
        "@type": "cr:FileObject",
        "@id": _REPOSITORY,
        "name": _REPOSITORY,
        "description": "The Hub's git repository of the dataset.",
        "contentUrl": page,
        "encodingFormat": "git+https",
        # A repository has no hash, which readers ask of every file; the Hub names the open question in its place.
        "sha256": "https://github.com/mlcommons/croissant/issues/80",
    }


def _file_set(name: str, about: str, pattern: str, page: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "description": about,
        **({"containedIn": {"@id": _REPOSITORY}} if page else {}),
        "encodingFormat": _ENCODINGS[".parquet"],
        "includes": pattern,
    }


def _file_object(entry: FileEntry, page: str) -> dict[str, Any]:
    suffix = entry.path[entry.path.rfind(".") :]
    return {
        "@type": "cr:FileObject",
        "@id": entry.path,
        "name": entry.path,
        "contentUrl": f"{page}/resolve/main/{entry.path}" if page else entry.path,
        "contentSize": f"{entry.bytes} B",
        "encodingFormat": _ENCODINGS.get(suffix, "application/octet-stream"),
        "sha256": entry.sha256,
    }


def _splits_set(manifest: Manifest) -> dict[str, Any]:
    standard = {"train": "TrainingSplit", "validation": "ValidationSplit", "test": "TestSplit"}
    return {
        "@type": "cr:RecordSet",
        "@id": _SPLITS,
        "dataType": "cr:Split",
        "key": {"@id": f"{_SPLITS}/name"},
        "field": [
            {"@type": "cr:Field", "@id": f"{_SPLITS}/name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": f"{_SPLITS}/url", "dataType": "sc:URL"},
            {"@type": "cr:Field", "@id": f"{_SPLITS}/rows", "dataType": "sc:Integer"},
        ],
        "data": [
            {
                f"{_SPLITS}/name": split,
                f"{_SPLITS}/url": f"http://mlcommons.org/croissant/{standard.get(split, 'Split')}",
                f"{_SPLITS}/rows": manifest.splits[split],
            }
            for split in used_splits(manifest)
        ],
    }


def _media_set(table: Table, schema: DatasetSchema, description: Description) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "description": f"The table of {table.name}; the tables of the splits refer to its rows.",
        "field": list(_fields(table.features, schema, description, table.name, f"{table.name}-files")),
    }


def _row_set(
    manifest: Manifest, schema: DatasetSchema, description: Description, tables: Sequence[Table]
) -> dict[str, Any]:
    columns = tables[0].features if tables else schema.features
    return {
        "@type": "cr:RecordSet",
        "@id": RECORDS,
        "description": description.summary,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{RECORDS}/{_SPLIT}",
                "description": "The split, from the shard's name.",
                "dataType": "sc:Text",
                "source": {
                    "fileSet": {"@id": _FILES},
                    "extract": {"fileProperty": "fullpath"},
                    "transform": {"regex": f"^data/({'|'.join(used_splits(manifest))})-.*$"},
                },
            },
            *_fields(columns, schema, description, RECORDS, _FILES, (_SPLIT,)),
        ],
    }


def _fields(
    features: Features,
    schema: DatasetSchema,
    description: Description,
    records: str,
    files: str,
    taken: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    for (name, feature), ending in zip(features.items(), _endings(features, taken), strict=True):
        if str(getattr(feature, "dtype", "")).startswith("duration"):
            continue  # Croissant has no type for it, and readers fail on another one
        field = {"@type": "cr:Field", "@id": f"{records}/{ending}"}
        if ending != name:
            field["name"] = name
        if meaning := meaning_of(name, description, schema.modalities):
            field["description"] = meaning
        yield {**field, **_typed(name, feature, field["@id"], files)}


def _endings(columns: Iterable[str], taken: Sequence[str]) -> list[str]:
    """Return the ends of the columns' ids. An id has no white space, not even escaped, and stands for one field.

    >>> _endings(["a b", "a_b", "split"], ["split"])
    ['a_b_', 'a_b', 'split_']
    """
    names = list(columns)
    used = {*taken, *names}
    endings = []
    for name in names:
        ending = _SPACE.sub("_", name)
        while ending in (used if ending != name else taken):
            ending += "_"
        used.add(ending)
        endings.append(ending)
    return endings


def _typed(name: str, feature: Any, field_id: str, files: str) -> dict[str, Any]:
    """Return the data type and the source of one column."""
    from datasets import Audio, ClassLabel, Image, List

    if isinstance(feature, Image):
        return {"dataType": "sc:ImageObject", "source": _source(files, name, "bytes")}
    if isinstance(feature, Audio):
        # The field gives the encoded bytes, so that reading records needs no audio library.
        return {"dataType": "sc:AudioObject", "source": _source(files, name, "bytes")}
    if isinstance(feature, ClassLabel):
        return {"dataType": "sc:Integer", "source": _source(files, name)}
    if isinstance(feature, dict):
        return {"subField": _parts(name, feature, field_id, files)}
    if isinstance(feature, List) and isinstance(feature.feature, dict):
        return {**_array(feature.length), "subField": _parts(name, feature.feature, field_id, files)}
    if isinstance(feature, List) and isinstance(feature.feature, Image | Audio):
        # Readers take an array of objects for one object; of a repeated field they take each value alone.
        return {"repeated": True, **_typed(name, feature.feature, field_id, files)}
    if isinstance(feature, List):
        return {**_array(feature.length), "dataType": _scalar(feature.feature), "source": _source(files, name)}
    if hasattr(feature, "shape"):  # ArrayXD
        return {**_array(*feature.shape), "dataType": _scalar(feature), "source": _source(files, name)}
    return {"dataType": _scalar(feature), "source": _source(files, name)}


def _parts(name: str, features: Mapping[str, Any], field_id: str, files: str) -> list[dict[str, Any]]:
    """Describe the parts of a struct, or of each struct of a list."""
    return [
        {
            "@type": "cr:Field",
            "@id": f"{field_id}/{ending}",
            "dataType": _scalar(getattr(inner, "feature", inner)),
            "source": _source(files, name, part),
        }
        for (part, inner), ending in zip(features.items(), _endings(features, ()), strict=True)
    ]


def _array(*shape: int | None) -> dict[str, Any]:
    """Describe an array; -1 is a length that differs from row to row.

    >>> _array(12, None)
    {'isArray': True, 'arrayShape': '12,-1'}
    """
    return {"isArray": True, "arrayShape": ",".join(str(-1 if size is None else size) for size in shape)}


def _source(files: str, column: str, part: str = "") -> dict[str, Any]:
    source: dict[str, Any] = {"fileSet": {"@id": files}, "extract": {"column": column}}
    if part:
        source["transform"] = {"jsonPath": part if part.isidentifier() else f"'{part}'"}
    return source


def _scalar(feature: Any) -> str:
    dtype = str(getattr(feature, "dtype", "string"))
    return next((kind for kind, starts in _SCALARS.items() if dtype.startswith(starts)), "sc:Text")
