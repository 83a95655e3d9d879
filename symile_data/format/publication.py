"""What people state of a dataset, as manifest.json keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any


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
    """

    creators: tuple[str, ...] = ()
    published: str = ""
    url: str = ""
    licence: str = ""
    citation: str = ""
    summary: str = ""
    derived_from: tuple[dict[str, str], ...] = ()
    rai: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what is stated; {} where nothing is."""
        return {name: value for name, value in asdict(self).items() if value}

    def inherited(self) -> Publication:
        """Return what also holds for a dataset that is made of this one: all but who published it, when and where."""
        return replace(self, creators=(), published="", url="")
