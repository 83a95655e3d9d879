"""Category columns that a card shows together, such as the findings of X-rays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CategoryGroup:
    """Category columns that say the same of different things, such as findings, and that one figure shows.

    Args:
        prefix: Start of the columns' names.
        title: Title of the figure.
        caption: Caption of the figure.
        values: Value -> its name in the figure.
        null: Name of null in the figure.
        of: The modality that the columns describe; without it they are null.
        null_at_once: Whether every column is null in the same rows.
    """

    prefix: str
    title: str
    caption: str
    values: Mapping[str, str]
    null: str
    of: str = ""
    null_at_once: bool = False
