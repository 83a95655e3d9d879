"""The figure at the top of a card: what is given in a row, and what the task is to find."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.datasets.m3.languages import language_label
from symile_data.format.schema import Modality
from symile_data.plotting import style

from ..descriptions import Description
from ..samples import Sample
from .contact_sheet import CAPTION, HEADING, LINE, draw_heading, draw_thumbnail, draw_wave, draw_words, thumbnail_of
from .drawing import FOLDER, Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CANDIDATES = 4  # images among which the one of the row is found
_MOST_BOXES = 6  # modalities that are drawn, the target among them

# Inches
_BOX = 0.5  # height of a modality's box
_WAVE = 0.6  # least height of the waveform
_LEAST = 2.0  # least height of the figure with a row
_GAP = 0.08  # between images
_LABEL = 1.5  # width of a language's name


def draw_task(
    directory: Path, samples: list[Sample], about: Description, modalities: tuple[Modality, ...]
) -> list[Drawing]:
    """Draw the task with a row of the dataset where there are samples of Symile-M3, else as boxes.

    Returns:
        The figure; none where the dataset has fewer than two modalities.
    """
    path = f"{FOLDER}/task.png"
    complete = [sample for sample in samples if sample.complete]
    if complete:
        _draw_sample(directory / path, complete)
        caption = _caption_of(complete[0])
    elif len(modalities) > 1:
        names = [modality.name for modality in modalities]
        target = about.target if about.target in names else ""
        _draw_boxes(directory / path, modalities, target)
        caption = (
            f"The task: find {target or 'any one modality'} of a row among those of other rows, given all its other "
            "modalities."
        )
    else:
        return []
    return [Drawing(path=path, title="The task", caption=caption)]


def _caption_of(sample: Sample) -> str:
    key = "the language that the audio and the keys name" if sample.target_lang else "the language of the audio"
    return (
        f"The task, with one row: the text has {len(sample.words)} words, and the one in {key} names the class of the "
        "image to be found."
    )


def _draw_sample(path: Path, samples: list[Sample]) -> None:
    """Draw audio and words of the first sample on the left, and on the right its image framed among those of others."""
    sample = samples[0]
    text = HEADING + LINE * len(sample.words)
    height = max(HEADING + _WAVE + CAPTION + text, _LEAST)
    wave = height - HEADING - CAPTION - text
    side = (height - HEADING - 2 * _GAP) / 2
    given = style.WIDTH - 2 * style.EDGE - 2 * side - 3 * _GAP
    with style.page(height + style.EDGE, "Find the image from the other modalities of its row") as (drawn, axes):
        left = style.EDGE
        draw_heading(axes, "Given: the audio" + (" and the keys" if sample.target_lang else ""), left, 0)
        draw_wave(axes, sample, left, HEADING, given, wave)
        if sample.target_lang:
            named = f"audio and keys together name {language_label(sample.target_lang)}"
            at = HEADING + wave + CAPTION / 2
            axes.text(left + given, at, named, fontsize=7.5, ha="right", va="center_baseline")
        draw_heading(axes, "Given: the text", left, height - text)
        words = height - text + HEADING
        draw_words(axes, sample, left, words, given, label=language_label, label_width=_LABEL)
        _draw_candidates(axes, samples[:_CANDIDATES], left + given + 2 * _GAP, side)
        style.save(drawn, path)


def _draw_candidates(axes: Axes, samples: list[Sample], left: float, side: float) -> None:
    """Draw the images of some samples in two columns; that of the first is framed and stands second."""
    from matplotlib.patches import Rectangle

    draw_heading(axes, "To find: the image", left, 0)
    for place, sample in enumerate([*samples[1:2], samples[0], *samples[2:]]):
        x, y = left + place % 2 * (side + _GAP), HEADING + _GAP + place // 2 * (side + _GAP)
        thumbnail = thumbnail_of(sample.image, side)
        draw_thumbnail(axes, thumbnail, x, y, side)
        if sample is samples[0]:
            axes.add_patch(Rectangle((x, y), *thumbnail.size(side), fill=False, edgecolor=style.RED, linewidth=2.5))


def _draw_boxes(path: Path, modalities: tuple[Modality, ...], target: str) -> None:
    """Draw a box for each modality that is given, joined by plus signs, and an arrow to the one to find."""
    to_find = next((modality for modality in modalities if modality.name == target), modalities[-1])
    given = [modality for modality in modalities if modality is not to_find]
    left_out = max(len(given) - _MOST_BOXES + 1, 0)
    given = given[: _MOST_BOXES - 1]
    title = (
        f"Find {to_find.name} from the other modalities of its row" if target else "Find each modality from the others"
    )
    with style.figure(_BOX + 0.35, title=title) as (drawn, (axes,)):
        signs = [*("+" * (len(given) - 1)), "→"]
        for place, (modality, sign) in enumerate(zip(given, signs, strict=True)):
            _draw_box(axes, place, modality, style.BLUE)
            more = f"+ {left_out} more " if left_out and sign == "→" else ""
            axes.text(place + 0.5, 0, more + sign, ha="center", va="center", fontsize=11, color=style.MUTED)
        _draw_box(axes, len(given), to_find, style.RED)
        axes.set(xlim=(-0.5, len(given) + 0.5), ylim=(-0.6, 0.6))
        axes.set_axis_off()
        style.save(drawn, path)


def _draw_box(axes: Axes, place: int, modality: Modality, colour: str) -> None:
    box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": colour, "linewidth": 1.4}
    label = modality.name if modality.name == modality.kind else f"{modality.name}\n({modality.kind})"
    axes.text(place, 0, label, ha="center", va="center", bbox=box)
