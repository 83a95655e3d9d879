"""Find what a dataset's croissant.json lacks of what the NeurIPS datasets track asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symile_data.errors import DamageError, no_directory
from symile_data.format.typed_json import read_json

from . import CONFORMS_TO, FILE_NAME, NOT_STATED

# Required by Croissant 1.1 of every dataset, with the citation, which it recommends.
CORE = (
    "name",
    "description",
    "license",
    "url",
    "creator",
    "datePublished",
    "citeAs",
    "distribution",
)
# Asked for by the datasets track besides.
RESPONSIBLE = (
    "rai:dataLimitations",
    "rai:dataBiases",
    "rai:personalSensitiveInformation",
    "rai:dataUseCases",
    "rai:dataSocialImpact",
    "rai:hasSyntheticData",
    "prov:wasDerivedFrom",
    "prov:wasGeneratedBy",
)
VERSION = "conformsTo"  # another version of the vocabulary, or none


def missing_fields(directory: Path) -> list[str]:
    """Return the names of the fields that are missing, in the order of `CORE` and `RESPONSIBLE`; `VERSION` first where
    the document is of another version of Croissant, as those of older versions of this package are.

    Raises:
        DamageError: there is no croissant.json that can be read.
    """
    path = directory / FILE_NAME
    try:
        document = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        if not directory.is_dir():
            raise no_directory(directory, DamageError) from None
        raise DamageError("the dataset has no croissant.json", where=directory, do="write its card first") from None
    except (OSError, ValueError) as error:
        raise DamageError("croissant.json cannot be read", where=path, got=error, do="write the card anew") from None
    if not isinstance(document, Mapping):
        raise DamageError("croissant.json is no object", where=path, do="write the card anew")
    old = [] if CONFORMS_TO in _listed(document.get(VERSION)) else [VERSION]
    return old + [name for name in (*CORE, *RESPONSIBLE) if not _is_stated(document.get(name))]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_stated(value: Any) -> bool:
    return value is False or (bool(value) and _listed(value) != [NOT_STATED])
