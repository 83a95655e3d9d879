"""The fields of croissant.json for responsible use, in the RAI vocabulary (mlcommons.org/croissant/RAI, 1.0).

For every dataset its sources give the collection, the notes of its build the limitations, and what made its parts
whether they are synthetic. The bundled datasets add what holds for each build of theirs. What people state in the
manifest's `publication` takes the place of any of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symile_data.datasets import M3, MIMIC, PID, XOR
from symile_data.datasets.confidential import is_synthetic
from symile_data.format.disclosure import told
from symile_data.format.manifest import Manifest

from .descriptions import Description
from .sources.base import Source, kind_of

PREFIX = "rai:"
_FEATURES = "features"  # in the spec of data whose values were computed by models from another dataset

Statements = dict[str, list[str] | str]


def responsible_ai_fields(manifest: Manifest, description: Description) -> dict[str, Any]:
    """Return the fields of a dataset, with their prefix; unknown ones are left out."""
    sources = description.sources(manifest)
    stating = _KNOWN.get(manifest.identity.dataset)
    known = {} if stating is None else stating(manifest)
    limits = [*known.get("dataLimitations", []), *manifest.notes]
    biases = known.get("dataBiases", [])
    if known and _FEATURES in manifest.identity.spec:
        biases = [*biases, "Features have the biases of the models that computed them"]
    fields: dict[str, Any] = {
        "dataCollection": " ".join(f"{source.part}: {source.origin} ({source.licence})." for source in sources),
        **known,
        "dataLimitations": limits,
        "dataBiases": biases,
        "dataPreprocessingProtocol": [f"left out ({told(entry.count)}): {entry.reason}" for entry in manifest.dropped],
        "hasSyntheticData": has_synthetic_data(sources),
        **manifest.publication.rai,
    }
    return {f"{PREFIX}{name}": value for name, value in fields.items() if value or value is False}


def has_synthetic_data(sources: list[Source]) -> bool | None:
    """Tell whether a program made any part of a dataset; None where the sources do not say.

    >>> has_synthetic_data([Source(part="Speech", origin="", licence="", synthetic=True)]), has_synthetic_data([])
    (True, None)
    """
    made = [source.synthetic for source in sources]
    if any(made):
        return True
    return False if made and None not in made else None


def _m3(manifest: Manifest) -> Statements:
    images, audio = kind_of(manifest, "images"), kind_of(manifest, "audio")
    names = kind_of(manifest, "names", "translations")
    drawn, spoken = images == "sample", audio in ("espeak", "gtts")
    limits = [
        "The audio tells its language and nothing else",
        "A word stands for a class without context; some class names have several meanings",
    ]
    if drawn:
        limits.append("The images are drawings; results on them are not comparable with results on photographs")
    if spoken:
        limits.append("The speech is synthetic; models of human speech confuse its languages")
    biases = ["The classes are ImageNet's, chosen from English WordNet; they cover things, animals and plants unevenly"]
    if not drawn:
        biases.append("The photographs were collected by searches of the web and show some regions more than others")
    if spoken:
        biases.append("The voices speak one standard variety of each language")
    else:
        biases.append("The speakers are volunteers; ages, genders and accents are uneven")
    if names == "bundled":
        biases.append("The class names were written by a language model and not reviewed by native speakers")
    elif names == "release" or names in ("google", "mymemory"):
        biases.append("The class names were translated by a program")
    personal = [] if drawn else ["Photographs may show people, who did not agree to be there"]
    if not spoken:
        personal.append("Voices of people, who must not be identified; they tell language, and often gender and age")
    impact = "The data are for the comparison of methods; no decision about people can rest on them."
    if personal:
        impact += " They contain photographs or voices of people; models of them must not be used to identify anybody."
    return {
        "dataUseCases": [
            "Research on learning from three and more modalities that are informative only together",
            "Comparing training objectives with the exact best accuracy of every set of modalities",
        ],
        "dataLimitations": limits,
        "dataBiases": biases,
        "personalSensitiveInformation": personal or ["None: drawn images and synthetic speech"],
        "dataSocialImpact": impact,
    }


def _mimic(manifest: Manifest) -> Statements:
    if is_synthetic(manifest):
        return {
            "dataUseCases": ["Trials of code and methods for Symile-MIMIC without access to patients' data"],
            "dataLimitations": ["The records are invented and say nothing about patients or medicine"],
            "dataBiases": ["None: what the records show is drawn from a law that the card states"],
            "personalSensitiveInformation": ["None: the records are invented"],
            "dataSocialImpact": (
                "Everybody can write and test code for clinical data with them; they must not be taken for findings."
            ),
        }
    return {
        "dataUseCases": [
            "Research on learning from several clinical modalities: retrieving the X-ray of an admission from its "
            "electrocardiogram and blood tests, and predicting findings and labels of the stay"
        ],
        "dataLimitations": [
            "Not for clinical use: the cohort comes from one hospital, and no model of it was validated elsewhere",
            "The labels of findings were read from reports by a program and have errors",
            "A label of the stay may be known from what was measured late in it; the card says what each label leaks",
        ],
        "dataBiases": [
            "Which tests, tracings and images exist depends on the staff's judgement of the patient",
            *([] if manifest.identity.spec.get("allow_missing") else [_ILL]),
            "Age, gender and origin are those of the patients of one hospital in Boston",
        ],
        "personalSensitiveInformation": [
            "De-identified health records of patients: X-rays, electrocardiograms, blood tests, diagnoses, deaths",
            "Gender and age; dates are shifted",
        ],
        "dataSocialImpact": (
            "Models of such data may serve patients who resemble this cohort better than others, and retrieval across "
            "modalities could help to identify a patient. Access is therefore bound to PhysioNet's training and "
            "agreement, and nothing here may be used for the care of a patient."
        ),
    }


_ILL = "An admission is kept only if it has all modalities, so the cohort is more ill than the hospital's patients"


def _pid(_manifest: Manifest) -> Statements:
    return {
        "dataUseCases": ["Testing what an objective learns: every information term and Bayes accuracy is known"],
        "dataLimitations": ["Random symbols, shown by drawings, words or numbers; nothing about the world"],
        "dataBiases": ["None: symbols are uniform by construction"],
        "personalSensitiveInformation": ["None: all values are random draws"],
        "dataSocialImpact": _NO_IMPACT,
    }


def _xor(_manifest: Manifest) -> Statements:
    return {
        "dataUseCases": ["Testing objectives: pairs of variables tell nothing, all of them together do"],
        "dataLimitations": ["Random bits; nothing about the world"],
        "dataBiases": ["None: the bits are fair and independent by construction"],
        "personalSensitiveInformation": ["None: all values are random draws"],
        "dataSocialImpact": _NO_IMPACT,
    }


_NO_IMPACT = (
    "None known: the data are about nothing in the world. Exact reference values make claims about methods testable."
)

_KNOWN: Mapping[str, Callable[[Manifest], Statements]] = {
    M3: _m3,
    MIMIC: _mimic,
    PID: _pid,
    XOR: _xor,
}
