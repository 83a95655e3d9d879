"""What people state of a dataset and no build can know: creators, date, licence of custom data, responsible use.

It is given to `symile-data card` and `push` or to `write_dataset`, kept in the manifest as its `publication`, and shown
by the card. A build never takes it from a clock or an account, so equal builds stay equal.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from symile_data.errors import SourceError, UsageError, choose_similar
from symile_data.format.manifest import Manifest
from symile_data.format.publication import Publication, check_statements
from symile_data.format.typed_json import read_text, record

from .descriptions import is_custom

_OF_CUSTOM_DATA = ("licence", "summary", "derived_from")
_MOST_BYTES = 1 << 20


def read_statements(path: Path) -> Publication:
    """Read a TOML file with the fields of `Publication` as its keys and tables.

    Raises:
        SourceError: the file cannot be read, is no TOML, or has a field that is unknown or of a wrong type.
    """
    try:
        value = _plain(tomllib.loads(read_text(path, _MOST_BYTES)))
        known = list(asdict(Publication()))
        unknown = [name for name in value if name not in known]
        if unknown:
            advice = choose_similar(unknown[0], known)
            raise SourceError("the statements have an unknown field", where=path, got=unknown[0], do=advice)
        return record(Publication, value)
    except OSError as error:
        raise SourceError("the statements cannot be read", where=path, got=error.strerror) from error
    except (ValueError, TypeError) as error:
        raise SourceError(
            "the statements are no TOML file of known fields",
            where=path,
            got=error,
            do=f"give {', '.join(asdict(Publication()))}",
        ) from None


def _plain(value: Any) -> Any:
    """Write dates, which TOML has without quotes, as texts."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, date) else value


def with_publication(manifest: Manifest, stated: Publication) -> Manifest:
    """Return the manifest with what is stated in place of what it says; what is not stated stays.

    Raises:
        UsageError: a statement has no fitting form, or its dataset does not take it.
    """
    known = manifest.publication
    found = {name: value for name, value in vars(stated).items() if value}
    publication = replace(known, **{**found, "rai": {**known.rai, **stated.rai}})
    changed = replace(manifest, publication=publication)
    check_publication(changed)
    return changed


def check_publication(manifest: Manifest) -> None:
    """Refuse statements that a card could not show.

    Raises:
        UsageError: a statement has no fitting form, or its dataset does not take it.
    """
    publication = manifest.publication
    check_statements(publication)
    if not is_custom(manifest) and (given := [name for name in _OF_CUSTOM_DATA if getattr(publication, name)]):
        raise UsageError(
            f"statements that follow from the sources of {manifest.identity.dataset} cannot be given",
            got=", ".join(given),
            do="leave them out",
        )
