"""What every figure of a card has: a file, a title and a caption."""

from __future__ import annotations

import re
from dataclasses import dataclass

from symile_data.files import digest

FOLDER = "figures"

_PLAIN = re.compile(r"\w[\w.-]*")
_MOST_BYTES = 100  # of a plain name; file systems take 255, endings included
_OF_OTHERS = re.compile(
    "task|samples|splits|funnel|hours|measured|words|information|missing|.*_(?:sizes|durations|samples)"
)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure: its path relative to the dataset, a title, and a sentence that says what it shows."""

    path: str
    title: str
    caption: str


def column_path(column: str, ending: str = "") -> str:
    """Return the path of a column's figure, relative to the dataset: the column's name, if it is a plain name of a file
    that no other figure has; else its letters and digits with a hash. So no name leads out of the folder.

    >>> column_path("photo", "_sizes"), column_path("../a b"), column_path("splits")
    ('figures/photo_sizes.png', 'figures/_a_b-2c2c791a.png', 'figures/splits-6e835555.png')
    """
    taken = not ending and _OF_OTHERS.fullmatch(column) is not None
    if _PLAIN.fullmatch(column) and len(column.encode()) <= _MOST_BYTES and not taken:
        return f"{FOLDER}/{column}{ending}.png"
    plain = re.sub(r"\W+", "_", column)[:20]
    return f"{FOLDER}/{plain}-{digest(column)[:8]}{ending}.png"
