"""Read JSON from untrusted files within limits, and turn it into typed records.

`read_json` and `parse_json` bound size and depth and refuse NaN, infinities and lone surrogates. `record` builds a
frozen dataclass from an object and checks every value against its annotation. `differences` compares two objects.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from symile_data.errors import UsageError, choose_similar
from symile_data.files import open_regular

MOST_BYTES = 64 << 20  # a manifest of 33 million rows in shards of 1,000 has about 10 MB
MOST_DEPTH = 64
_HASH = re.compile("[0-9a-f]{32,}")

_Record = TypeVar("_Record")
# Types of settings -> words for them, in the language of the file.
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "an object": "a table"}


class RecordError(TypeError):
    """An object that does not fit its dataclass; the message speaks of JSON and of types.

    Args:
        message: What is wrong.
        what: The same of a config, in the words of its file; `got` and `do` are as in `SymileDataError`.
        got: What was received.
        do: What to do about it.
    """

    def __init__(self, message: str, what: str, got: str, do: str | None = None) -> None:
        super().__init__(message)
        self.what, self.got, self.do = what, got, do

    def of_config(self, where: str) -> UsageError:
        """Return the error of a config, given by its name or path."""
        return UsageError(self.what, where=where, got=self.got, do=self.do)


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Read a UTF-8 text file with its newlines unchanged.

    Raises:
        OSError: the file cannot be opened, or is no regular file.
        ValueError: the file is larger than `most_bytes` or no UTF-8.
    """
    with open_regular(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"more than {most_bytes >> 20} MiB")
    return data.decode("utf-8")


def with_part(value: Mapping[str, Any], path: Sequence[str], part: Any) -> dict[str, Any]:
    """Return nested tables with another part at a path; tables on the way to it are copied, and made where absent.

    >>> with_part({"lr": 0.1, "pretrain": {"lr": 0.2, "epochs": 3}}, ["pretrain", "epochs"], 1)
    {'lr': 0.1, 'pretrain': {'lr': 0.2, 'epochs': 1}}
    """
    first, *rest = path
    inner = value.get(first)
    return {**value, first: with_part(inner if isinstance(inner, Mapping) else {}, rest, part) if rest else part}


def read_json(path: Path) -> Any:
    """Read the value in a JSON file.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is no JSON, or exceeds the limits.
    """
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    r"""Parse a JSON text.

    Raises:
        ValueError: the text is no JSON, is nested deeper than `MOST_DEPTH`, or has a number that is not finite or a
            string that is no valid text.

    >>> parse_json('{"a": [1, null]}')
    {'a': [1, None]}
    """
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"nested deeper than {MOST_DEPTH} levels") from None
    _check_depth(value)
    if "\\ud" in text.lower():
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def record(kind: type[_Record], value: Any, at: str = "") -> _Record:
    """Make a dataclass from a JSON object.

    Args:
        kind: A dataclass whose annotations are JSON types, lists, tuples, mappings with text keys, literals, unions
            and dataclasses.
        value: The object.
        at: The path of the object within the JSON, for messages.

    Raises:
        RecordError: a field is missing, unknown or of a wrong type; a TypeError.

    >>> from symile_data.format.schema import Modality
    >>> record(Modality, {"name": "a", "kind": "text", "column": 3, "null_columns": []})
    Traceback (most recent call last):
    symile_data.format.typed_json.RecordError: column is int, not str
    """
    if not isinstance(value, Mapping):
        raise _wrong(at or kind.__name__, value, "an object")
    hints, prefix = _hints(cast(Any, kind)), f"{at}." if at else ""
    for name in value:
        if name not in hints:
            do = choose_similar(name, sorted(hints))
            raise RecordError(f"{prefix}{name} is unknown", "the config has an unknown setting", f"{prefix}{name}", do)
    if lacking := [name for name in _required(cast(Any, kind)) if name not in value]:
        raise _lacking(at, ", ".join(lacking))
    parts = {name: typed(hints[name], part, f"{prefix}{name}") for name, part in value.items()}
    return kind(**parts)


def typed(kind: Any, value: Any, at: str) -> Any:
    """Convert a JSON value to the type of the annotation `kind`, with lists as tuples and objects as dataclasses.

    Raises:
        TypeError: the value is of another type.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        return _one_of(arguments, value, at)
    if origin is Literal:  # the class itself checks the value, with a better sentence
        return _one_of(tuple(dict.fromkeys(map(type, arguments))), value, at)
    if isinstance(kind, type) and is_dataclass(kind):
        return record(kind, value, at)
    if origin in (list, tuple, Sequence):
        if not isinstance(value, list | tuple):
            raise _wrong(at, value, "a list")
        items = [typed(arguments[0], item, f"{at}[{index}]") for index, item in enumerate(value)]
        return tuple(items) if origin is tuple else items
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(at, value, "an object")
        return {key: typed(arguments[1], part, f"{at}.{key}") for key, part in value.items()}
    accepted: tuple[type, ...] = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise _wrong(at, value, getattr(kind, "__name__", str(kind)))
    return value


def _one_of(kinds: tuple[Any, ...], value: Any, at: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    wrong: TypeError | None = None
    for kind in kinds:
        if kind is not NoneType:
            try:
                return typed(kind, value, at)
            except TypeError as error:
                wrong = wrong or error
    raise wrong or _wrong(at, value, "nothing")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _wrong(at: str, value: Any, expected: str) -> RecordError:
    message = f"{at} is {type(value).__name__}, not {expected}"
    return RecordError(message, f"{at} must be {_WORDS.get(expected, expected)}", repr(value))


def _lacking(at: str, names: str) -> RecordError:
    table = f"the table [{at}] of the config" if at else "the config"
    do = f"set them too, or nothing of [{at}]" if at else "set them"
    return RecordError(f"{at} lacks {names}".strip(), f"{table} lacks settings", f"no {names}", do)


@cache
def _required(kind: Any) -> list[str]:
    return [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            part
            for item in level
            if isinstance(item, dict | list)
            for part in (item.values() if isinstance(item, dict) else item)
            if isinstance(part, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"nested deeper than {MOST_DEPTH} levels")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"a number beyond all bounds ({text[:20]})")
    return number


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def differences(mine: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List the differences of two nested mappings as "name: mine, not other". Settings of the spec come first, since
    users choose them; hashes come last, since they only follow.

    >>> differences({"spec": {"seed": 1}, "format": 2}, {"spec": {"seed": 0}, "format": 1})
    ['spec.seed: 1, not 0', 'format: 2, not 1']
    """
    found: list[str] = []
    for key in sorted(set(mine) | set(other), key=lambda key: (key != "spec", key)):
        a, b = mine.get(key), other.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}: {a!r}, not {b!r}")
    return sorted(found, key=lambda difference: _HASH.search(difference) is not None)
