"""Report a missing optional package with the command that installs it, instead of a failed import."""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from importlib import metadata

from .errors import MissingPackageError

DISTRIBUTION = "symile-data"
DEVELOPMENT = ("dev", "docs", "notebook")  # extras for developers only


@contextlib.contextmanager
def needs_extra(extra: str, needed_for: str) -> Iterator[None]:
    """Turn a failed import within the block into an error that names the extra to install.

    Args:
        extra: Name of the extra.
        needed_for: The feature that needs it.

    Raises:
        MissingPackageError: a package that is imported within the block is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == __package__:
            raise
        raise MissingPackageError(error.name.partition(".")[0], extra, needed_for) from None


def check_extra(extra: str, needed_for: str, *modules: str) -> None:
    """Check that modules of an extra are installed, without importing them.

    Raises:
        MissingPackageError: modules are not installed; all of them are named.
    """
    lacking = [module for module in modules if importlib.util.find_spec(module) is None]
    if lacking:
        raise MissingPackageError(" and ".join(lacking), extra, needed_for)


def extra_of(module: str) -> str | None:
    """Return the first extra that contains a module, or None if none does.

    >>> extra_of("torch"), extra_of("gtts.lang"), extra_of("no_such_module")
    ('train', 'online', None)
    """
    wanted = _normal(module.partition(".")[0])
    for extra, packages in packages_by_extra(metadata.requires(DISTRIBUTION) or []).items():
        if extra and wanted in map(_normal, packages):
            return extra
    return None


def packages_by_extra(requirements: list[str]) -> Mapping[str, list[str]]:
    """Group the names of required packages by extra; "" holds those that are always required.

    Args:
        requirements: Requirement strings of a distribution's metadata.

    >>> packages_by_extra(["numpy>=2", 'torch>=2.6; extra == "train"', 'pytest; extra == "dev"'])
    {'': ['numpy'], 'train': ['torch']}
    """
    found: dict[str, list[str]] = {"": []}
    for requirement in requirements:
        name = re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]
        extra = re.search(r"extra\s*==\s*[\"']([^\"']+)", requirement)
        key = extra.group(1) if extra else ""
        if key not in DEVELOPMENT and name != DISTRIBUTION:
            found.setdefault(key, []).append(name)
    return found


def requirements_of(extra: str, listed: list[str] | None = None) -> list[str]:
    """Return what pip installs for an extra, with the extras that it contains, sorted and without markers.

    Args:
        extra: Name of the extra, or several with commas between; "" for what is always required.
        listed: Requirement strings of a distribution's metadata; None for those of this package.

    >>> requirements_of("m3", ['soxr; extra == "speech"', 'symile-data[speech]; extra == "m3"', 'x; extra == "m3"'])
    ['soxr', 'x']
    """
    every = metadata.requires(DISTRIBUTION) or [] if listed is None else listed
    found: set[str] = set()
    for requirement in every:
        wanted, _, marker = requirement.partition(";")
        named = re.search(r"extra\s*==\s*[\"']([^\"']+)", marker)
        if (named[1] if named else "") not in extra.split(","):
            continue
        inner = re.fullmatch(rf"{DISTRIBUTION}\[([\w,-]+)\]", wanted.strip())
        if inner:
            found.update(*(requirements_of(name, every) for name in inner[1].split(",")))
        else:
            found.add(wanted.strip())
    return sorted(found)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
