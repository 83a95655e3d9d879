"""Refuse arguments of wrong types with a sentence, before they fail somewhere inside.

`check_call` compares the arguments of a function with its annotations, `check_fields` the fields of a dataclass of
settings, `check_argument` one argument, and `check_rows` looks at the numbers of rows of a build. Whole numbers of
numpy count as int and its other numbers as float; a truth value is no number.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import UsageError

PLACE = str | Path  # a path or an address
MOST_ROWS = 10**12  # rows of one split; the draws and ids of more rows would overflow their integers
_WORDS: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    PathLike: "a path",
    types.NoneType: "None",
}


def check_argument(name: str, value: object, kind: Any, do: str | None = None) -> None:
    """Refuse an argument of another type than an annotation says, or an empty path.

    Args:
        name: Name of the argument, for the message.
        value: What was given.
        kind: Type, union, literal, or a sequence or mapping of these; whatever else fits any annotation.
        do: Advice in place of none.

    Raises:
        UsageError: it does not fit; the message names the argument, what was given and what is allowed.

    >>> check_argument("threads", "2", int)
    Traceback (most recent call last):
    symile_data.errors.UsageError: `threads` is a whole number; got '2'.
    """
    if not _fits(value, kind):
        raise UsageError(f"`{name}` is {_told(kind)}", got=_shown(value), do=do)
    if isinstance(value, str) and not value and Path in {kind, *get_args(kind)}:
        raise UsageError(f"`{name}` is an empty path", got="''", do="name a directory, or leave it out")


def check_rows(rows: Mapping[str, int]) -> None:
    """Refuse numbers of rows that no build can have.

    Args:
        rows: Split -> number of rows.

    Raises:
        UsageError: a number is below 0 or above `MOST_ROWS`, or there are no training rows.
    """
    for split, count in rows.items():
        if not 0 <= count <= MOST_ROWS:
            raise UsageError(f"`rows[{split!r}]` is a number from 0 to {MOST_ROWS:,}", got=count)
    if not rows.get("train"):
        raise UsageError("a dataset needs training rows", got="`rows['train']=0`")


def check_call(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse arguments of other types than a function's annotations say; to be called first, with its `locals()`.

    Raises:
        UsageError: see `check_argument`.
    """
    for name, kind in _hints(function).items():
        if name in given:
            check_argument(name, given[name], kind)


def check_fields(settings: Any) -> None:
    """Refuse fields of a dataclass whose values are of other types than their annotations say.

    Raises:
        UsageError: see `check_argument`.
    """
    for name, kind in field_types(type(settings)).items():
        check_argument(name, getattr(settings, name), kind)


def field_types(kind: type) -> dict[str, Any]:
    """Return the evaluated annotations of a dataclass, by field."""
    hints = _hints(kind)
    return {item.name: hints[item.name] for item in fields(kind)}


@cache
def _hints(annotated: Any) -> dict[str, Any]:
    if isinstance(annotated, type):
        return get_type_hints(annotated)
    told = {name: kind for name, kind in annotated.__annotations__.items() if name != "return"}
    return get_type_hints(types.SimpleNamespace(__annotations__=told), annotated.__globals__)


def _fits(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any or getattr(kind, "_is_protocol", False):
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, tuple({type(one) for one in inner}))  # the class itself lists the choices
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            _fits(key, inner[0]) and _fits(part, inner[1]) for key, part in value.items()
        )
    if isinstance(origin, type) and issubclass(origin, Sequence):
        whole = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return whole and all(_fits(item, inner[0]) for item in value)
    if kind is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    return not isinstance(kind, type) or origin is not None or isinstance(value, kind)


def _told(kind: Any) -> str:
    return " or ".join(dict.fromkeys(_parts(kind)))


def _parts(kind: Any) -> Iterator[str]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        for one in sorted(inner, key=lambda one: one is types.NoneType):
            yield from _parts(one)
    elif origin is Literal:
        yield f"one of {', '.join(map(repr, inner))}"
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield "a table" if inner[1] is Any else f"a table of {_many(inner[1])} by name"
    elif isinstance(origin, type) and issubclass(origin, Sequence):
        yield f"a list of {_many(inner[0])}"
    elif origin is not None:
        yield "a function" if origin is Callable else str(kind)
    else:
        name = kind.__name__ if isinstance(kind, type) else str(kind)
        yield _WORDS.get(kind, f"{'an' if name[0] in 'AEIOU' else 'a'} {name}")


def _many(kind: Any) -> str:
    """Name several values of a kind.

    >>> _many(int), _many(str | Path), _many(Mapping[str, str]), _many(Sequence[int])
    ('whole numbers', 'texts or paths', 'tables of texts by name', 'lists of whole numbers')
    """
    told = dict.fromkeys(_parts(kind))
    return " or ".join(_PLURAL.sub(r"\1s", one) for one in told)


def _shown(value: object) -> str:
    plain = value is None or isinstance(value, str | bytes | bool | int | float | list | tuple | dict)
    shown = repr(value) if plain else f"a value of type {type(value).__name__}"
    return shown if len(shown) <= _MOST else f"{shown[:_MOST]}..."


_PLURAL = re.compile(r"^an? (table\b|list\b|.*)")  # tables and lists are followed by what they are of
_MOST = 200  # letters of a value in a message
