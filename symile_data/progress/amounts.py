"""Write amounts as people read them: counts with their noun, bytes, times, rates and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MINUTE, _HOUR = 60, 3600


def counted(count: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun, which is singular for one.

    Args:
        count: The number.
        noun: The noun in the singular.
        plural: The noun in the plural, where that is not the singular with an s.

    >>> counted(1, "shard"), counted(2_000, "shard"), counted(0, "class", "classes")
    ('1 shard', '2,000 shards', '0 classes')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def size(value: float) -> str:
    """Write a number of bytes with the unit that leaves one to three digits before the point.

    >>> size(0), size(1), size(30_804), size(1_500_000), size(999_960)
    ('0 bytes', '1 byte', '30.8 kB', '1.5 MB', '1.0 MB')
    """
    if value < 1000:
        return counted(round(value), "byte")
    units = ["kB", "MB", "GB", "TB"]
    scaled = value / 1000
    while round(scaled, 1) >= 1000 and len(units) > 1:
        scaled, units = scaled / 1000, units[1:]
    return f"{scaled:,.1f} {units[0]}"


def duration(seconds: float) -> str:
    """Write a time in the unit that fits it, and in two units from an hour on.

    >>> duration(0.14), duration(12.3), duration(150), duration(7_500), duration(7_200)
    ('0.1 s', '12 s', '3 min', '2 h 5 min', '2 h')
    """
    if seconds < 1:
        return f"{seconds:.1f} s"
    if round(seconds) < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    minutes = int(seconds / _MINUTE + 0.5)
    if minutes < 2 * _MINUTE:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def rate(steps: float, seconds: float) -> str:
    """Write steps over a time as a rate: of a second, of a minute where that is more than one, else of an hour.

    >>> rate(240, 2), rate(30, 60), rate(5, 3600)
    ('120/s', '30/min', '5.0/h')
    """
    each_second = steps / seconds
    for unit, length in (("s", 1), ("min", _MINUTE), ("h", _HOUR)):
        value = each_second * length
        if value >= 1 or unit == "h":
            break
    return f"{value:,.0f}/{unit}" if value >= 10 else f"{value:.1f}/{unit}"


def setting(value: Any) -> str:
    """Write a setting of a build or config: lists without brackets, tables as name=value, and what is empty as a word.

    >>> setting({"train": 50, "test": 20}), setting(["el", "en"]), setting({}), setting(None), setting(False)
    ('train=50, test=20', 'el, en', 'none', 'none', 'no')
    """
    if value is None or (isinstance(value, Mapping | Sequence) and not value):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_inner(its)}" for name, its in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_inner(its) for its in value)
    return str(value)


def _inner(value: Any) -> str:
    """Write a value within a list or table; one that has several parts stands in brackets.

    >>> _inner({"a": [1, 2]}), _inner("x")
    ('(a=(1, 2))', 'x')
    """
    text = setting(value)
    return f"({text})" if isinstance(value, Mapping | list | tuple) and value else text
