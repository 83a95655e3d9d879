"""What every figure of a card has: a file, a title and a caption."""

from __future__ import annotations

import re
from dataclasses import dataclass

from symile_data.format.safe_paths import file_name

FOLDER = "figures"

_OF_OTHERS = re.compile(
    "task|samples|splits|funnel|hours|measured|words|information|missing|.*_(?:sizes|durations|samples)|.*-column"
)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure: its path relative to the dataset, a title, and a sentence that says what it shows."""

    path: str
    title: str
    caption: str


def column_path(column: str, ending: str = "") -> str:
    """Return the path of a column's figure, relative to the dataset, which no other figure has.

    >>> column_path("photo", "_sizes"), column_path("../a b"), column_path("splits")
    ('figures/photo_sizes.png', 'figures/_a_b-2c2c791a.png', 'figures/splits-column.png')
    """
    taken = not ending and _OF_OTHERS.fullmatch(column) is not None
    return f"{FOLDER}/{file_name(column)}{'-column' if taken else ending}.png"
