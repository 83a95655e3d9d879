"""Names that come from outside the package: registered by a call, or declared by installed packages as entry points."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from symile_data.errors import UsageError

_T = TypeVar("_T")


def load(reference: Any) -> Any:
    """Import what a reference "module:attribute" names; any other object is returned as it is.

    >>> load("math:pi") is load(load("math:pi"))
    True
    """
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


class Registry(Generic[_T]):
    """Names with what they stand for, beside those that the package bundles.

    Args:
        group: Group of entry points, each of which names an object of the registered type as "module:attribute".
        noun: What is registered, for errors ("kind of modality").
        kind: The registered type.
        bundled: Names that cannot be taken.
    """

    def __init__(self, group: str, noun: str, kind: type[_T], bundled: Collection[str]) -> None:
        self._group, self._noun, self._kind, self._bundled = group, noun, kind, bundled
        self._registered: dict[str, _T] = {}

    def register(self, name: str, value: _T) -> None:
        """Add a name for this process; registering an equal value again changes nothing.

        Raises:
            UsageError: the name is taken, or is not a lower-case letter followed by such letters, digits, - and _.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            raise UsageError(
                f"the name of a {self._noun} is a lower-case letter followed by such letters, digits, - and _",
                got=repr(name),
                do="choose another name",
            )
        if name in self._bundled or self._registered.get(name, value) != value or name in self._installed:
            raise UsageError(f"there is a {self._noun} of this name already", got=repr(name), do="choose another name")
        self._registered[name] = value

    def find(self, name: str) -> _T | None:
        """Return what a name from outside the package stands for, or None. An entry point is imported only here.

        Raises:
            UsageError: an entry point names an object of another type.
        """
        if name in self._registered or name in self._bundled or name not in self._installed:
            return self._registered.get(name)
        point = self._installed[name]
        found = point.load()
        if not isinstance(found, self._kind):
            raise UsageError(
                f"an entry point of the group {self._group} names no {self._kind.__name__}",
                where=point.value,
                got=type(found).__name__,
                do="correct it in the package that declares it",
            )
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._registered, *self._installed} - set(self._bundled)))

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        """The entry points of installed packages; their modules are not imported yet."""
        return {point.name: point for point in entry_points(group=self._group)}
