"""What every figure of a card has: a file, a title and a caption."""

from __future__ import annotations

from dataclasses import dataclass

FOLDER = "figures"


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure: its path relative to the dataset, a title, and a sentence that says what it shows."""

    path: str
    title: str
    caption: str
