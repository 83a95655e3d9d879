"""Parts of the package that need an extra say so, instead of leaving the import of a package to fail."""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from importlib import metadata

from .errors import MissingPackageError

DISTRIBUTION = "symile-data"
DEVELOPMENT = ("dev", "docs")  # extras that no user of the data needs


@contextlib.contextmanager
def needs_extra(extra: str, needed_for: str) -> Iterator[None]:
    """Around the imports of packages that an extra brings.

    Args:
        extra: Its name.
        needed_for: What cannot be used without it.

    Raises:
        MissingPackageError: a package that is imported inside is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == __package__:
            raise
        raise MissingPackageError(error.name.partition(".")[0], extra, needed_for) from None


def check_extra(extra: str, needed_for: str, *modules: str) -> None:
    """The same for modules that are imported later, or not at all: they are looked for.

    Raises:
        MissingPackageError: one is not installed.
    """
    with needs_extra(extra, needed_for):
        for module in modules:
            if importlib.util.find_spec(module) is None:
                raise ModuleNotFoundError(name=module)


def extra_of(module: str) -> str | None:
    """The first extra that brings a module, or None for one that no extra brings.

    >>> extra_of("torch"), extra_of("gtts.lang"), extra_of("no_such_module")
    ('train', 'online', None)
    """
    wanted = _normal(module.partition(".")[0])
    for extra, packages in packages_by_extra(metadata.requires(DISTRIBUTION) or []).items():
        if extra and wanted in map(_normal, packages):
            return extra
    return None


def packages_by_extra(requirements: list[str]) -> Mapping[str, list[str]]:
    """Names of packages by the extra that asks for them, "" for those always needed.

    Args:
        requirements: As a distribution's metadata has them.

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


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
