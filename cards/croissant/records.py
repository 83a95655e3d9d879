"""The files, record sets and fields of croissant.json: what lies where, with which type and meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
_REPOSITORY = "repository"
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
    return {
        "@type": "cr:RecordSet",
        "@id": RECORDS,
        "description": description.summary,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{RECORDS}/split",
                "description": "The split, from the shard's name.",
                "dataType": "sc:Text",
                "source": {
                    "fileSet": {"@id": _FILES},
                    "extract": {"fileProperty": "fullpath"},
                    "transform": {"regex": f"^data/({'|'.join(used_splits(manifest))})-.*$"},
                },
            },
            *_fields(tables[0].features if tables else schema.features, schema, description, RECORDS, _FILES),
        ],
    }


def _fields(
    features: Features, schema: DatasetSchema, description: Description, records: str, files: str
) -> Iterator[dict[str, Any]]:
    for name, feature in features.items():
        field = {"@type": "cr:Field", "@id": f"{records}/{name}"}
        if meaning := meaning_of(name, description, schema.modalities):
            field["description"] = meaning
        yield {**field, **_typed(name, feature, records, files)}


def _typed(name: str, feature: Any, records: str, files: str) -> dict[str, Any]:
    """Return the data type and the source of one column."""
    from datasets import Audio, ClassLabel, Image, List

    if isinstance(feature, Image):
        return {"dataType": "sc:ImageObject", "source": _source(files, name, "bytes")}
    if isinstance(feature, Audio):
        # The field gives the encoded bytes, so that reading records needs no audio library.
        return {"dataType": "sc:AudioObject", "source": _source(files, name, "bytes")}
    if isinstance(feature, ClassLabel):
        return {"dataType": "sc:Integer", "source": _source(files, name)}
    if isinstance(feature, List) and isinstance(feature.feature, dict):
        parts = [
            {
                "@type": "cr:Field",
                "@id": f"{records}/{name}/{part}",
                "dataType": _scalar(inner),
                "source": _source(files, name, part),
            }
            for part, inner in feature.feature.items()
        ]
        return {**_array(feature.length), "subField": parts}
    if isinstance(feature, List):
        return {**_array(feature.length), "dataType": _scalar(feature.feature), "source": _source(files, name)}
    if hasattr(feature, "shape"):  # ArrayXD
        return {**_array(*feature.shape), "dataType": _scalar(feature), "source": _source(files, name)}
    return {"dataType": _scalar(feature), "source": _source(files, name)}


def _array(*shape: int | None) -> dict[str, Any]:
    """Describe an array; -1 is a length that differs from row to row.

    >>> _array(12, None)
    {'isArray': True, 'arrayShape': '12,-1'}
    """
    return {"isArray": True, "arrayShape": ",".join(str(-1 if size is None else size) for size in shape)}


def _source(files: str, column: str, part: str = "") -> dict[str, Any]:
    source: dict[str, Any] = {"fileSet": {"@id": files}, "extract": {"column": column}}
    if part:
        source["transform"] = {"jsonPath": part}
    return source


def _scalar(feature: Any) -> str:
    dtype = str(getattr(feature, "dtype", "string"))
    if dtype == "bool":
        return "sc:Boolean"
    if dtype.startswith(("int", "uint")):
        return "sc:Integer"
    if dtype.startswith("float"):
        return "sc:Float"
    return "sc:Text"
