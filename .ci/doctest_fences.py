"""An extension of griffe for `make docs`: examples in docstrings (lines after >>>) become code blocks."""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!\s*$).*\n?)*)+", re.MULTILINE)


class DoctestFences(griffe.Extension):
    """Put the examples of a docstring into fenced blocks, which the site highlights."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite an object's docstring."""
        if obj.docstring:
            obj.docstring.value = _EXAMPLE.sub(
                lambda match: f"```pycon\n{match.group().rstrip()}\n```\n", obj.docstring.value
            )
