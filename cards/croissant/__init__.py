"""croissant.json: a dataset in the Croissant vocabulary (mlcommons.org/croissant, 1.1): files with hashes, fields,
splits, responsible use, provenance and conditions of use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symile_data.format.manifest import Manifest
from symile_data.format.schema import DatasetSchema

from ..citation import citations_of
from ..deduplicated import Table
from ..descriptions import Description, is_custom, title_of
from ..readme import languages_of
from ..responsible_ai import responsible_ai_fields
from ..sources import SYMILE_URL
from .context import CONTEXT
from .provenance import DERIVED_FROM, GENERATED_BY, derived_from, generated_by, usage_info
from .records import distribution, record_sets

FILE_NAME = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
NOT_STATED = "not stated"  # stands for a licence that nobody stated; readers warn where there is none

_CONFORMS_TO_RAI = "http://mlcommons.org/croissant/RAI/1.0"
_ORGANIZATION = "org:"


def croissant_of(
    manifest: Manifest, schema: DatasetSchema, description: Description, tables: Sequence[Table] = ()
) -> dict[str, Any]:
    """Make the whole JSON document. Creators, date of publication and whatever else no build can know come from
    `manifest.publication`, and are left out where nobody stated them.

    Args:
        manifest: The manifest of the dataset.
        schema: Columns and modalities of a row.
        description: The dataset's description.
        tables: The kinds of tables of a dataset in the deduplicated layout.
    """
    publication = manifest.publication
    document = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": title_of(manifest),
        "description": description.summary,
        "conformsTo": [CONFORMS_TO, _CONFORMS_TO_RAI],
        "citeAs": citations_of(manifest, description)[0],
        "license": _licences(manifest, description),
        "url": publication.url or ("" if is_custom(manifest) else SYMILE_URL),
        "creator": [_agent(name) for name in publication.creators],
        "datePublished": publication.published,
        "version": "1.0.0",
        "keywords": list(description.tags),
        "inLanguage": languages_of(manifest),
        "isLiveDataset": False,
        "usageInfo": usage_info(description.licence(manifest)),
        **responsible_ai_fields(manifest, description),
        DERIVED_FROM: derived_from(manifest, description),
        GENERATED_BY: generated_by(manifest),
        "distribution": distribution(manifest, tables),
        "recordSet": record_sets(manifest, schema, description, tables),
    }
    return {name: value for name, value in document.items() if value or value is False}


def _licences(manifest: Manifest, description: Description) -> list[str]:
    """Return the address of the dataset's licence, or the terms of its sources where they have no common licence."""
    licence = description.licence(manifest)
    if licence.is_known:
        return [licence.link]
    return list(dict.fromkeys(source.licence for source in description.sources(manifest))) or [NOT_STATED]


def _agent(name: str) -> dict[str, str]:
    organization = name.startswith(_ORGANIZATION)
    return {"@type": "sc:Organization" if organization else "sc:Person", "name": name.removeprefix(_ORGANIZATION)}
