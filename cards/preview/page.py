"""Make the page of a preview: a dataset's title and numbers, and a card with panels and labels for each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from symile_data.datasets.m3.keys import TARGET_LANGUAGE
from symile_data.datasets.m3.languages import LANGUAGE_NAMES, language_label
from symile_data.errors import harmless
from symile_data.format.manifest import Manifest
from symile_data.format.schema import Modality
from symile_data.plotting.fonts import css_families, font_faces
from symile_data.progress.amounts import size

from ..descriptions import description_of, title_of
from ..sharing import restriction_of
from .panels import Panel, panel_of
from .rows import Row

_HUES = 10  # number of colours for languages; each language is also named beside its word
_LEAD_LABELS = ("lang", TARGET_LANGUAGE, "target_text")  # columns that are always shown, where the dataset has them
_FONTS = "/* fonts */"  # where the fonts go, once the letters of the page are known


@dataclass(frozen=True, kw_only=True)
class Card:
    """One row as the page shows it.

    Args:
        name: "sample" and its id.
        title: Name of its class, or `name` again.
        panels: One panel for each modality.
        unreliable: What is not the row's own value, in words: misaligned and noisy modalities.
        lead: (column, value) of the columns in `_LEAD_LABELS`.
        labels: The same of all other columns with one small value, which the page folds.
    """

    name: str
    title: str
    panels: list[Panel]
    unreliable: list[str]
    lead: list[tuple[str, str]]
    labels: list[tuple[str, str]]


def page_of(manifest: Manifest, split: str, rows: list[Row], *, cut: bool = False) -> str:
    """Return the HTML of the whole page, which loads nothing from elsewhere.

    Args:
        manifest: The dataset's manifest.
        split: Name of the split.
        rows: The rows that are shown.
        cut: Whether more rows were asked for than one page may hold; the page says so.
    """
    restriction = restriction_of(manifest)
    cards = [card_of(row, manifest.modalities) for row in rows]
    page = _render(
        fonts=_FONTS,
        title=title_of(manifest),
        summary=description_of(manifest).summary,
        licence=description_of(manifest).licence(manifest).label,
        restriction=restriction.reason if restriction else "",
        fingerprint=manifest.identity.fingerprint[:12],
        splits=manifest.splits,
        split=split,
        modalities=manifest.modalities,
        cards=cards,
        hues=_hues(cards),
        cut=cut,
    )
    return page.replace(_FONTS, f"{font_faces([page])}\n{css_families()}", 1)


def card_of(row: Row, modalities: tuple[Modality, ...]) -> Card:
    """Collect the panels and labels of one row."""
    panels = [panel_of(row, modality) for modality in modalities]
    labels = dict(_labels(row, modalities))
    return Card(
        name=f"sample {row.id}",
        title=labels.get("cls", f"sample {row.id}"),
        panels=panels,
        unreliable=[words for modality in modalities for words in _unreliable(row, modality.name)],
        lead=[(name, labels[name]) for name in _LEAD_LABELS if name in labels],
        labels=[(name, value) for name, value in labels.items() if name not in _LEAD_LABELS],
    )


def _unreliable(row: Row, modality: str) -> Iterator[str]:
    """Say what the columns of `symile_data.reliability` tell of a modality, where a dataset has them."""
    columns = set(row.table.column_names)
    flag, donor, noisy = (f"{modality}_{ending}" for ending in ("misaligned", "donor", "noisy"))
    if {flag, donor} <= columns and row.value(flag):
        yield f"{modality} is that of sample {row.value(donor)}"
    if noisy in columns and row.value(noisy):
        yield f"{modality} has noise"


def _labels(row: Row, modalities: tuple[Modality, ...]) -> list[tuple[str, str]]:
    """Return the columns with one number or string that are neither a modality's value nor a mask, without nulls."""
    taken = {"sample_id", *(name for modality in modalities for name in (modality.column, modality.mask))}
    found = []
    for name in row.table.column_names:
        value = None if name in taken else row.value(name)
        if isinstance(value, bool | int | float | str):
            meaning = row.class_name(name, value) if isinstance(value, int) else ""
            shown = language_label(str(value)) if name in ("lang", TARGET_LANGUAGE) else _shown(value)
            found.append((name, f"{value} ({meaning})" if meaning else shown))
    return found


def _shown(value: float | str) -> str:
    return f"{value:.6g}" if isinstance(value, float) else f"{value}"


def _hues(cards: list[Card]) -> dict[str, int]:
    """Return language -> hue in degrees, for the languages of all words."""
    words = [word for card in cards for panel in card.panels for word in panel.values.get("words", ())]
    languages = sorted({word["lang"] for word in words if word["lang"] is not None})
    return {language: (index * 360 // _HUES + 8) % 360 for index, language in enumerate(languages)}


def _harmless(value: Any) -> Any:
    """Escape characters in names, words and labels that would reorder the page's text."""
    return harmless(value) if type(value) is str else value  # macros return markup of already escaped values


def _render(**values: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("symile_data.cards", "templates"),
        autoescape=True,
        finalize=_harmless,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["size"] = size
    environment.filters["language"] = lambda code: LANGUAGE_NAMES.get(code, code)
    return environment.get_template("preview.html").render(**values)
