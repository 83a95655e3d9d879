"""Where a dataset comes from and how it was made (PROV-O), and on what conditions it may be used (DUO, ODRL), in the
form that the Croissant specification 1.1 gives them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from symile_data.format.manifest import WRITER_KEY, Manifest

from ..descriptions import Description, is_custom
from ..sources import Licence, Source
from ..sources.mimic import CREDENTIALED_LICENCE

DERIVED_FROM, GENERATED_BY = "prov:wasDerivedFrom", "prov:wasGeneratedBy"
NAMESPACES = {
    "prov": "http://www.w3.org/ns/prov#",
    "duo": "http://purl.obolibrary.org/obo/DUO_",
    "odrl": "http://www.w3.org/ns/odrl/2/",
}

_ENCODED = "encoded"  # in the sources of features: the fingerprint of the dataset that was encoded
_HASH = re.compile("[0-9a-f]{32,}")
_REVISIONS = ("revision", "version", "release", "config")  # what names a state of a source and is no hash


def derived_from(manifest: Manifest, description: Description) -> list[dict[str, Any]]:
    """Return one entity for each source, with its licence and with the hashes and revisions that the manifest records
    of it.
    """
    entities = [_entity(source, manifest) for source in description.sources(manifest)]
    if isinstance(encoded := manifest.identity.sources.get(_ENCODED), str):
        entities += _encoded(manifest, encoded, description.licence(manifest).label)
    return entities


def _encoded(manifest: Manifest, fingerprint: str, licence: str) -> Iterator[dict[str, Any]]:
    """Yield the dataset whose values were encoded, and the models that encoded them."""
    yield {
        "@type": "prov:Entity",
        "prov:label": "The dataset whose values were encoded",
        "license": licence,
        "identifier": [_property("fingerprint", fingerprint)],
    }
    models = manifest.identity.spec.get("features", {}).get("models", {})
    for modality, model in models.items():
        yield {
            "@type": "prov:Entity",
            "prov:label": f"Model of {modality}: {model['model']}",
            "license": "that of the model",
            "identifier": [_property("weights", model["weights"])],
        }


def _entity(source: Source, manifest: Manifest) -> dict[str, Any]:
    recorded = {key: manifest.identity.sources[key] for key in source.keys if key in manifest.identity.sources}
    identifiers = list(_identifiers(recorded))
    return {
        "@type": "prov:Entity",
        "prov:label": f"{source.part}: {source.origin}",
        "license": source.licence,
        **({"url": source.url} if source.url else {}),
        **({"creditText": source.attribution} if source.attribution else {}),
        **({"identifier": identifiers} if identifiers else {}),
    }


def _identifiers(value: Mapping[str, Any], path: str = "") -> Iterator[dict[str, str]]:
    """Yield the hashes and revisions in what a manifest records of sources. Counts, which may be small counts of
    patients, are never among them.
    """
    for name, part in value.items():
        at = f"{path}.{name}" if path else name
        if isinstance(part, Mapping):
            yield from _identifiers(part, at)
        elif isinstance(part, str) and part and (name in _REVISIONS or _HASH.fullmatch(part)):
            yield _property(at, part)


def _property(name: str, value: str | int) -> dict[str, Any]:
    return {"@type": "PropertyValue", "propertyID": name, "value": value}


def generated_by(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the activity that made a dataset: its command, seed and fingerprint, and the packages that decided its
    bytes.
    """
    identity = manifest.identity
    seed = identity.spec.get("seed")
    agents = [
        {"@type": "prov:SoftwareAgent", "prov:label": package, "softwareVersion": version}
        for package, version in identity.versions.items()
        if package != WRITER_KEY
    ]
    return [
        {
            "@type": "prov:Activity",
            "prov:label": manifest.command or f"symile_data writes the dataset {identity.dataset}",
            "description": _REPEATABLE[is_custom(manifest)],
            "identifier": [
                _property("fingerprint", identity.fingerprint),
                *([_property("seed", seed)] if isinstance(seed, int) else []),
            ],
            **({"prov:wasAssociatedWith": agents} if agents else {}),
        }
    ]


# Whether a dataset is custom -> what its activity does.
_REPEATABLE = {
    False: "The same command with the same sources, versions and seed gives the same shards.",
    True: "A program of the authors gives the rows, which write_dataset stores exactly.",
}


def usage_info(licence: Licence) -> list[dict[str, Any]]:
    """Return the conditions of use of patients' data under PhysioNet's credentialed licence; [] for other licences.

    The terms are those of the licence that vocabularies know: scientific research only, by users who were approved,
    who share access with nobody. The licence itself has more.
    """
    if licence.name != CREDENTIALED_LICENCE:
        return []
    return [
        _term("0000042", "general research use"),
        _term("0000026", "user specific restriction"),
        {
            "@type": ["CreativeWork", "odrl:Offer"],
            "name": "PhysioNet Credentialed Health Data License 1.5.0",
            "url": licence.url,
            "odrl:permission": {"@type": "odrl:Permission", "odrl:action": {"@id": "duo:0000042"}},
            "odrl:prohibition": {"@type": "odrl:Prohibition", "odrl:action": {"@id": "odrl:distribute"}},
        },
    ]


def _term(code: str, name: str) -> dict[str, str]:
    return {"@type": "DefinedTerm", "name": name, "termCode": f"DUO_{code}", "url": f"duo:{code}"}
