"""The sources of each part of a dataset: origins, licences, attributions, citations.

For each dataset one function returns its `Source`s and one its `Licence`, from what the manifest records of a build.
"""

from .base import SYMILE_URL, Licence, Source, citations
from .custom import custom_licence, custom_sources
from .m3 import m3_licence, m3_sources
from .mimic import mimic_licence, mimic_sources
from .synthetic import pid_licence, pid_sources, xor_sources

__all__ = [
    "SYMILE_URL",
    "Licence",
    "Source",
    "citations",
    "custom_licence",
    "custom_sources",
    "m3_licence",
    "m3_sources",
    "mimic_licence",
    "mimic_sources",
    "pid_licence",
    "pid_sources",
    "xor_sources",
]
