"""What people state of a dataset and no build can know: creators, date, licence of custom data, responsible use.

It is given to `symile-data card` and `push` or to `write_dataset`, kept in the manifest as its `publication`, and shown
by the card. A build never takes it from a clock or an account, so equal builds stay equal.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from symile_data.errors import SourceError, UsageError, choose_similar, harmless
from symile_data.format.manifest import Manifest
from symile_data.format.publication import Publication
from symile_data.format.typed_json import read_text, record

from .descriptions import is_custom

# Terms of the Croissant RAI vocabulary by their values: one text, one or several texts, true or false.
TEXT = (
    "annotationsPerItem",
    "dataCollection",
    "dataCollectionMissingData",
    "dataCollectionRawData",
    "dataImputationProtocol",
    "dataManipulationProtocol",
    "dataReleaseMaintenancePlan",
    "dataSocialImpact",
)
TEXTS = (
    "annotatorDemographics",
    "dataAnnotationAnalysis",
    "dataAnnotationPlatform",
    "dataAnnotationProtocol",
    "dataBiases",
    "dataCollectionType",
    "dataLimitations",
    "dataPreprocessingProtocol",
    "dataUseCases",
    "machineAnnotationTools",
    "personalSensitiveInformation",
)
FLAG = "hasSyntheticData"

_OF_CUSTOM_DATA = ("licence", "summary", "derived_from")
_MOST_BYTES = 1 << 20
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_ADDRESS = re.compile(r"https?://\S+")
_PARTS = ("name", "url", "licence")


def read_statements(path: Path) -> Publication:
    """Read a TOML file with the fields of `Publication` as its keys and tables.

    Raises:
        SourceError: the file cannot be read, is no TOML, or has a field that is unknown or of a wrong type.
    """
    try:
        value = _plain(tomllib.loads(read_text(path, _MOST_BYTES)))
        known = list(asdict(Publication()))
        unknown = [name for name in value if name not in known]
        if unknown:
            advice = choose_similar(unknown[0], known)
            raise SourceError("the statements have an unknown field", where=path, got=unknown[0], do=advice)
        return record(Publication, value)
    except OSError as error:
        raise SourceError("the statements cannot be read", where=path, got=error.strerror) from error
    except (ValueError, TypeError) as error:
        raise SourceError(
            "the statements are no TOML file of known fields",
            where=path,
            got=error,
            do=f"give {', '.join(asdict(Publication()))}",
        ) from None


def _plain(value: Any) -> Any:
    """Write dates, which TOML has without quotes, as texts."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, date) else value


def with_publication(manifest: Manifest, stated: Publication) -> Manifest:
    """Return the manifest with what is stated in place of what it says; what is not stated stays.

    Raises:
        UsageError: a statement has no fitting form, or its dataset does not take it.
    """
    known = manifest.publication
    found = {name: value for name, value in vars(stated).items() if value}
    publication = replace(known, **{**found, "rai": {**known.rai, **stated.rai}})
    changed = replace(manifest, publication=publication)
    check_publication(changed)
    return changed


def check_publication(manifest: Manifest) -> None:
    """Refuse statements that a card could not show.

    Raises:
        UsageError: a statement has no fitting form, or its dataset does not take it.
    """
    publication = manifest.publication
    if publication == Publication():
        return
    for name in publication.creators:
        if not name.removeprefix("org:").strip() or "\n" in name or harmless(name) != name:
            raise UsageError("a creator is a name in one line", got=repr(name), do="for an organization write org:NAME")
    if publication.published and not _is_date(publication.published):
        raise UsageError("the date of publication is YYYY-MM-DD", got=repr(publication.published))
    if publication.url and not _ADDRESS.fullmatch(publication.url):
        raise UsageError("the page of a dataset is a web address", got=repr(publication.url))
    if publication.citation and (not publication.citation.startswith("@") or "```" in publication.citation):
        raise UsageError("a citation is a BibTeX entry", got=repr(publication.citation[:40]), do="begin it with @")
    if not is_custom(manifest) and (given := [name for name in _OF_CUSTOM_DATA if getattr(publication, name)]):
        raise UsageError(
            f"statements that follow from the sources of {manifest.identity.dataset} cannot be given",
            got=", ".join(given),
            do="leave them out",
        )
    licence = publication.licence
    if licence and not (_SPDX.fullmatch(licence) or (licence.startswith("https:") and _ADDRESS.fullmatch(licence))):
        raise UsageError("a licence is an SPDX identifier, such as CC-BY-4.0, or an https address", got=repr(licence))
    for source in publication.derived_from:
        if not source.get("name") or not set(source) <= set(_PARTS):
            raise UsageError("a source has a name, and perhaps url and licence", got=", ".join(source))
    for term, value in publication.rai.items():
        _check_term(term, value)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _check_term(term: str, value: object) -> None:
    texts = isinstance(value, list | tuple) and bool(value) and all(isinstance(part, str) and part for part in value)
    text = isinstance(value, str) and bool(value)
    fits, needed = {
        **dict.fromkeys(TEXT, (text, "a text")),
        **dict.fromkeys(TEXTS, (text or texts, "a list of texts")),
        FLAG: (isinstance(value, bool), "true or false"),
    }.get(term, (False, ""))
    if not needed:
        raise UsageError(
            "this is no term of the Croissant RAI vocabulary", got=term, do=f"choose {', '.join((*TEXT, *TEXTS, FLAG))}"
        )
    if not fits:
        raise UsageError(f"{term} is {needed}", got=repr(value))
