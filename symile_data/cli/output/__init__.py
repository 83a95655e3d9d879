"""Print the results of the verbs. Names and notes are untrusted, so they never reach a terminal as control sequences or
markup.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from symile_data.errors import harmless, printable

if TYPE_CHECKING:
    from rich.text import Text


def say(text: str, *, error: bool = False) -> None:
    """Print one line, on stdout or stderr."""
    print(printable(text), file=sys.stderr if error else sys.stdout)


def say_text(text: str) -> None:
    """Print a document unchanged except for control characters."""
    print(harmless(text), end="")


def say_json(value: Any) -> None:
    """Print a JSON value on one line. Letters of all scripts stay; control characters are escaped."""
    print(_UNPRINTABLE.sub(_escaped, json.dumps(value, ensure_ascii=False)))


def cell(value: object) -> Text:
    """Make a table cell of text without markup."""
    from rich.text import Text

    return Text(printable(str(value)))


_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]
