"""The card's figures of modalities whose kind comes from outside the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from symile_data.format.manifest import Manifest
from symile_data.plotting import style

from ..preview.own_kinds import drawing_function
from ..preview.rows import choose_rows
from .drawing import Drawing, column_path

_SEARCHED, _SHOWN = 24, 3  # rows
_HEIGHT = 1.8  # inches


def draw_own_kinds(directory: Path, manifest: Manifest) -> Iterator[Drawing]:
    """Draw a few values of each modality of a registered kind, from the first split that has rows."""
    shown = {m.name: (m, draw) for m in manifest.modalities if (draw := drawing_function(m.kind)) is not None}
    split = next((split for split, count in manifest.splits.items() if count), None)
    if not shown or split is None:
        return
    rows = choose_rows(directory, manifest, split, _SEARCHED)
    for name, (modality, draw) in shown.items():
        present = [row for row in rows if not row.value(modality.mask) and row.value(modality.column) is not None]
        if not present:
            continue
        path = column_path(name, "_samples")
        with style.figure(_HEIGHT, 1, _SHOWN) as (drawn, axes):
            for panel, row in zip(axes, present, strict=False):
                draw(panel, row.value(modality.column))
                panel.set_title(f"row {row.id}")
            for panel in axes[len(present) :]:
                panel.set_axis_off()
            style.save(drawn, directory / path)
        yield Drawing(path=path, title=f"Samples of {name}", caption=f"Values of {name} ({modality.kind}) of {split}.")
