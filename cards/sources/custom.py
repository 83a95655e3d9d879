"""The sources of custom datasets: what people state of them in the manifest's `publication`."""

from __future__ import annotations

from symile_data.format.manifest import Manifest

from .base import Licence, Source


def custom_sources(manifest: Manifest) -> list[Source]:
    """Return the sources that people state; whether they are synthetic is stated apart, for the whole dataset."""
    return [
        Source(
            part="Source",
            origin=source["name"],
            licence=source.get("licence", "not stated"),
            url=source.get("url", ""),
        )
        for source in manifest.publication.derived_from
    ]


def custom_licence(manifest: Manifest) -> Licence:
    """Return the licence that people state as an SPDX identifier or an address; else a reference to the card."""
    stated = manifest.publication.licence
    if not stated:
        return Licence(identifier="other", name="see-the-sources-of-this-dataset", url="README.md")
    if stated.startswith("https:"):
        return Licence(identifier="other", name="terms-at-the-link", url=stated)
    return Licence(identifier=stated.lower(), spdx=stated)
