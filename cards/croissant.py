"""croissant.json: files, hashes, fields and splits in the Croissant vocabulary (mlcommons.org/croissant, 1.0)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.schema import DatasetSchema

from .deduplicated import Table
from .descriptions import Description, meaning_of, title_of
from .responsible_ai import responsible_ai_fields
from .sources import SYMILE_URL, Licence
from .statistics.collect import used_splits

if TYPE_CHECKING:
    from datasets import Features

FILE_NAME = "croissant.json"
RECORDS = "default"

_CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
_CONFORMS_TO_RAI = "http://mlcommons.org/croissant/RAI/1.0"
_FILES = "shards"
_SPLITS = "splits"

# The vocabulary's standard context, as its specification prints it.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_ENCODINGS = {".parquet": "application/x-parquet", ".tar": "application/x-tar"}


def croissant_of(
    manifest: Manifest,
    schema: DatasetSchema,
    description: Description,
    licence: Licence,
    bibtex: str,
    tables: Sequence[Table] = (),
) -> dict[str, Any]:
    """Make the whole JSON document.

    Args:
        manifest: The manifest of the dataset.
        schema: Columns and modalities of a row.
        description: The dataset's description.
        licence: The licence of the whole dataset.
        bibtex: The entries to cite.
        tables: The kinds of tables of a dataset in the deduplicated layout.
    """
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": title_of(manifest),
        "description": description.summary,
        "conformsTo": [_CONFORMS_TO, _CONFORMS_TO_RAI],
        "citeAs": bibtex,
        "license": licence.link,
        "url": SYMILE_URL,
        "version": "1.0.0",
        "keywords": list(description.tags),
        "isLiveDataset": False,
        **responsible_ai_fields(manifest, description),
        "distribution": [_file_object(entry) for entry in (*manifest.shards(), *manifest.pool_files())],
    }
    if any(entry.path.endswith(".parquet") for entry in manifest.shards()):
        document["distribution"].append(
            {
                "@type": "cr:FileSet",
                "@id": _FILES,
                "description": "All Parquet shards; the part of a name before the dash is the split.",
                "encodingFormat": _ENCODINGS[".parquet"],
                "includes": "data/*.parquet",
            }
        )
        document["recordSet"] = [_splits(manifest), _records(manifest, schema, description, tables)]
    for table in tables[1:]:
        document["distribution"].append(
            {
                "@type": "cr:FileSet",
                "@id": f"{table.name}-files",
                "description": f"The tables of {table.name}, with each of them once.",
                "encodingFormat": _ENCODINGS[".parquet"],
                "includes": table.pattern,
            }
        )
        document["recordSet"].append(_media_records(table, schema, description))
    return document


def _file_object(entry: FileEntry) -> dict[str, Any]:
    suffix = entry.path[entry.path.rfind(".") :]
    return {
        "@type": "cr:FileObject",
        "@id": entry.path,
        "name": entry.path,
        "contentUrl": entry.path,
        "contentSize": f"{entry.bytes} B",
        "encodingFormat": _ENCODINGS.get(suffix, "application/octet-stream"),
        "sha256": entry.sha256,
    }


def _splits(manifest: Manifest) -> dict[str, Any]:
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


def _media_records(table: Table, schema: DatasetSchema, description: Description) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "description": f"The table of {table.name}; the tables of the splits refer to its rows.",
        "field": list(_fields(table.features, schema, description, table.name, f"{table.name}-files")),
    }


def _records(
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
        return {"repeated": True, "subField": parts}
    if isinstance(feature, List):
        return {"repeated": True, "dataType": _scalar(feature.feature), "source": _source(files, name)}
    if hasattr(feature, "shape"):  # ArrayXD
        return {"repeated": True, "dataType": _scalar(feature), "source": _source(files, name)}
    return {"dataType": _scalar(feature), "source": _source(files, name)}


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
