"""The figure at the top of a card: what is given in a row, and what the task is to find."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.datasets.m3.languages import language_label
from symile_data.format.schema import Modality
from symile_data.plotting import style

from ..descriptions import Description
from ..samples import Sample
from .contact_sheet import draw_image, draw_wave, draw_words
from .drawing import FOLDER, Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

_CANDIDATES = 4  # images among which the one of the row is found
_MOST_BOXES = 6  # modalities that are drawn, the target among them
_BOX = 0.5  # height of a modality's box in inches


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
    """Draw audio and words of the first sample, and its image framed among those of others."""
    sample = samples[0]
    lines = len(sample.words)
    with style.in_style():
        drawn = style.sheet(style.WIDTH, max(2.5, 1.0 + 0.165 * lines))
        given, found = drawn.subfigures(1, 2, squeeze=False, width_ratios=[1.55, 1])[0]
        audio, words = given.subplots(1, 2, width_ratios=[0.8, 1])
        draw_wave(audio, sample)
        audio.set_title("Given: the audio" if sample.target_lang is None else "Given: audio and keys")
        if sample.target_lang is not None:
            audio.text(0, 1, f"keys and audio name {language_label(sample.target_lang)}", transform=audio.transAxes)
        draw_words(words, sample, lines, style.WIDTH * 0.22)
        words.set_title("Given: the text")
        _draw_candidates(found, samples[:_CANDIDATES])
        for axes in (audio, words):
            axes.set_axis_off()
        style.save(drawn, path)


def _draw_candidates(figure: SubFigure, samples: list[Sample]) -> None:
    """Draw the images of some samples in two columns; that of the first is framed and stands second."""
    figure.suptitle("To find: the image", x=0.02, ha="left", fontsize=9)
    shown = [*samples[1:2], samples[0], *samples[2:]]
    grid = figure.subplots(-(-len(shown) // 2), 2, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes, sample in zip(grid.flat, shown, strict=False):
        draw_image(axes, sample.image)
        if sample is samples[0]:
            axes.spines[:].set(visible=True, color=style.RED, linewidth=2.5)


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
