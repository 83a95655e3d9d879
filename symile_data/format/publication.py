"""What people state of a dataset, as manifest.json keeps it, and the forms that statements have."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

from symile_data.arguments import check_fields
from symile_data.errors import UsageError, harmless

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

_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_ADDRESS = re.compile(r"https?://\S+")
_PARTS = ("name", "url", "licence")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What people state of a dataset and no build can know. It is for the card and no part of the fingerprint.

    Args:
        creators: Names of persons; "org:NAME" is an organization.
        published: Date of the publication as YYYY-MM-DD.
        url: Page of the dataset.
        licence: SPDX identifier or address of the licence of a custom dataset; that of others follows from its sources.
        citation: BibTeX entry of the dataset.
        summary: What a custom dataset is, in a sentence or more.
        derived_from: Sources of a custom dataset: "name" and perhaps "url" and "licence" of each.
        rai: Term of the Croissant RAI vocabulary, such as "dataBiases", -> text, texts, or bool for "hasSyntheticData".

    Raises:
        UsageError: a field is of another type, such as one text in the place of several creators.
    """

    creators: tuple[str, ...] = ()
    published: str = ""
    url: str = ""
    licence: str = ""
    citation: str = ""
    summary: str = ""
    derived_from: tuple[dict[str, str], ...] = ()
    rai: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)

    def to_json(self) -> dict[str, Any]:
        """Return what is stated; {} where nothing is."""
        return {name: value for name, value in asdict(self).items() if value}

    def inherited(self) -> Publication:
        """Return what also holds for a dataset that is made of this one: all but who published it, when and where."""
        return replace(self, creators=(), published="", url="")


def check_statements(publication: Publication) -> None:
    """Refuse statements that a card could not show.

    Raises:
        UsageError: a statement has no fitting form.
    """
    for name in publication.creators:
        if not name.removeprefix("org:").strip() or "\n" in name or harmless(name) != name:
            raise UsageError("a creator is a name in one line", got=repr(name), do="for an organization write org:NAME")
    if publication.published and not _is_date(publication.published):
        raise UsageError("the date of publication is YYYY-MM-DD", got=repr(publication.published))
    if publication.url and not _ADDRESS.fullmatch(publication.url):
        raise UsageError("the page of a dataset is a web address", got=repr(publication.url))
    if publication.citation and (not publication.citation.startswith("@") or "```" in publication.citation):
        raise UsageError("a citation is a BibTeX entry", got=repr(publication.citation[:40]), do="begin it with @")
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
