"""What to cite for a dataset: BibTeX entries of the paper, of the sources, or of the dataset itself."""

from __future__ import annotations

import re

from symile_data.format.manifest import Manifest

from .descriptions import Description, is_custom, title_of
from .markdown import render
from .sources import citations


def citations_of(manifest: Manifest, description: Description) -> list[str]:
    """Return distinct BibTeX entries, the most important first.

    Whoever states an entry of the dataset has it at the head. Otherwise a custom dataset gets one of its own, and so
    does a bundled one behind the paper's, once people state who made it, when it was published or where. The entries
    of a bundled dataset's sources follow.
    """
    publication = manifest.publication
    stated = [publication.citation] if publication.citation else []
    if is_custom(manifest):
        return stated or [_dataset_entry(manifest)]
    paper, *others = citations(description.sources(manifest))
    published = bool(publication.creators or publication.published or publication.url)
    own = [_dataset_entry(manifest)] if published and not stated else []
    return list(dict.fromkeys([*stated, paper, *own, *others]))


def with_citations(card: str, manifest: Manifest, description: Description) -> str:
    """Return the text of a card with its citations, which are its last section, written anew."""
    others, _, _ = card.partition("\n## Citation\n")
    return others.rstrip("\n") + "\n\n" + render("_citation.md", citations=citations_of(manifest, description))


def _dataset_entry(manifest: Manifest) -> str:
    """Return a BibTeX entry of the dataset, with creators, year and address where people state them."""
    publication, identity = manifest.publication, manifest.identity
    version = identity.versions.get("symile-data", "")
    fields = {
        "title": _plain(title_of(manifest)),
        "author": " and ".join(_author(name) for name in publication.creators),
        "year": publication.published[:4],
        "url": publication.url,
        "note": f"Written by symile-data {version}".rstrip() + f", fingerprint {identity.fingerprint[:12]}",
    }
    key = re.sub(r"\W+", "-", identity.dataset).strip("-") or "dataset"
    lines = [f"  {name:<6} = {{{value}}}" for name, value in fields.items() if value]
    return f"@misc{{{key},\n" + ",\n".join(lines) + "\n}"


def _author(name: str) -> str:
    """Write a creator as BibTeX takes it: an organization in braces, which keep its words together.

    >>> _author("org:A Lab and Sons"), _author("Ada Lovelace")
    ('{A Lab and Sons}', 'Ada Lovelace')
    """
    plain = _plain(name.removeprefix("org:"))
    return f"{{{plain}}}" if name.startswith("org:") else plain


def _plain(text: str) -> str:
    r"""Write a name in one line without what BibTeX or a code block would take for markup.

    >>> _plain("a\n{\\frac}`b & c_d")
    'a frac b \\& c\\_d'
    """
    return re.sub(r"[&%#_$]", r"\\\g<0>", " ".join(re.sub(r"[{}\\`~^]", " ", text).split()))
