"""The fields of croissant.json for responsible use, in the RAI vocabulary (mlcommons.org/croissant/RAI, 1.0).

For every dataset the sources in its description give its collection, and the notes of its build its limitations.
`_KNOWN` has further fields of some datasets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symile_data.format.disclosure import told
from symile_data.format.manifest import Manifest

from .descriptions import Description

_KNOWN: Mapping[str, Mapping[str, list[str]]] = {
    "symile-m3": {
        "rai:dataUseCases": ["Research on learning from three and more modalities that are informative only together"],
        "rai:dataLimitations": [
            "The audio tells its language and nothing else",
            "A word stands for a class without context; some class names have several meanings",
        ],
        "rai:dataBiases": [
            "The classes are ImageNet's, chosen from English WordNet; they cover things, animals and plants unevenly",
            "Where speech is synthetic, its voices speak one standard variety of each language",
        ],
        "rai:personalSensitiveInformation": [
            "None in sample images and synthetic speech; people, where photographs or recordings were sources"
        ],
    },
    "pid": {
        "rai:dataUseCases": ["Testing what an objective learns: every information term and Bayes accuracy is known"],
        "rai:dataLimitations": ["Random symbols, shown by drawings, words or numbers; nothing about the world"],
        "rai:dataBiases": ["None: symbols are uniform by construction"],
        "rai:personalSensitiveInformation": ["None"],
    },
    "xor": {
        "rai:dataUseCases": ["Testing objectives: pairs of variables tell nothing, all of them together do"],
        "rai:dataLimitations": ["Random bits; nothing about the world"],
        "rai:dataBiases": ["None: the bits are fair and independent by construction"],
        "rai:personalSensitiveInformation": ["None"],
    },
}


def responsible_ai_fields(manifest: Manifest, description: Description) -> dict[str, Any]:
    """Return the fields of a dataset; unknown ones are left out."""
    sources = [f"{source.part}: {source.origin} ({source.licence})" for source in description.sources(manifest)]
    known = _KNOWN.get(manifest.identity.dataset, {})
    limits = [*known.get("rai:dataLimitations", []), *manifest.notes]
    dropped = [f"left out ({told(entry.count)}): {entry.reason}" for entry in manifest.dropped]
    fields = {
        "rai:dataCollection": " ".join(f"{source}." for source in sources),
        **known,
        "rai:dataLimitations": limits,
        "rai:dataPreprocessingProtocol": dropped,
    }
    return {name: value for name, value in fields.items() if value}
