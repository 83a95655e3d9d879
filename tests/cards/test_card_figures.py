from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import Audio, Features, Value
from datasets import Image as ImageColumn
from matplotlib.figure import Figure
from PIL import Image
from tiny_datasets import Tiny, xor_tiny

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.cards import write_card
from symile_data.cards.descriptions import description_of
from symile_data.cards.figures.contact_sheet import caption_of, draw_words
from symile_data.cards.figures.draw import draw_figures
from symile_data.cards.figures.information import draw_information
from symile_data.cards.figures.media import draw_durations
from symile_data.cards.figures.task import draw_task
from symile_data.cards.samples import COUNT, Word, choose_samples
from symile_data.cards.statistics.quantiles import quantiles
from symile_data.datasets.m3.languages import language_label
from symile_data.datasets.pid import PRESETS
from symile_data.datasets.pid.terms import terms_of
from symile_data.format.schema import Modality
from symile_data.format.verify import verify
from symile_data.loaders import open_split
from symile_data.plotting import style


def test_the_same_dataset_gives_the_same_bytes(documented: Tiny, copied: Tiny) -> None:
    written = write_card(copied.directory, copied.manifest, copied.schema)
    assert len(written) == len(set(written))
    for path in written:
        first = documented.directory / path.relative_to(copied.directory)
        assert path.read_bytes() == first.read_bytes(), path.name


def test_images_name_no_software_or_date(documented: Tiny) -> None:
    paths = sorted(documented.directory.glob("figures/*.png"))
    assert len(paths) == 9
    for path in paths:
        with Image.open(path) as image:
            assert not set(image.info) - {"dpi"}
            assert abs(image.width - style.WIDTH * style.DPI) <= 1
            assert np.asarray(image.convert("L")).std() > 1  # not blank


def test_a_figure_no_longer_drawn_is_removed(copied: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symile_data.cards.draw_figures", lambda *_: [])
    stale = copied.directory / "figures" / "old.png"
    stale.write_bytes(b"")
    copied.card()
    assert not stale.exists()


def test_missingness_is_drawn_only_where_there_is_any(tmp_path: Path) -> None:
    tiny = xor_tiny(tmp_path)
    tiny.card()
    assert sorted(path.name for path in tmp_path.glob("figures/*")) == ["missing.png", "splits.png", "task.png"]
    statistics = {"rows": {"train": 3}, "missing": {"train": {"rates": {"a": 0.0}, "patterns": {"": 3}}}}
    assert [drawing.path for drawing in draw_figures(tmp_path, statistics, [], description_of(tiny.manifest))] == [
        "figures/splits.png"
    ]


def test_samples_are_complete_and_differ_in_language_and_class(documented: Tiny) -> None:
    samples = choose_samples(documented.directory, documented.manifest, documented.schema)
    assert 1 < len(samples) <= COUNT
    assert len({sample.cls for sample in samples}) == len(samples)
    rows = {row["sample_id"]: row for row in documented.rows["train"]}
    for sample in samples:
        row = rows[sample.sample_id]
        assert (sample.text, sample.lang, sample.cls) == (row["text"], row["lang"], row["cls"])
        assert [word.english for word in sample.words if word.text == sample.target_text] == [sample.cls]
    assert [sample.complete for sample in samples] == sorted((s.complete for s in samples), reverse=True)


def test_a_sheet_of_incomplete_and_broken_rows_can_be_drawn(copied: Tiny) -> None:
    samples = choose_samples(copied.directory, copied.manifest, copied.schema)
    bare = [replace(sample, image=None, audio=None, text=None, words=()) for sample in samples]
    bare[0] = replace(samples[0], image=b"no image", audio=b"no audio")
    statistics = {"rows": {"train": 3}}
    drawings = draw_figures(copied.directory, statistics, bare, description_of(copied.manifest))
    assert [drawing.path for drawing in drawings[:2]] == ["figures/task.png", "figures/samples.png"]


def test_the_figure_of_the_task_frames_the_image_of_its_first_row(documented: Tiny, tmp_path: Path) -> None:
    samples = choose_samples(documented.directory, documented.manifest, documented.schema)
    about, modalities = description_of(documented.manifest), documented.schema.modalities
    (drawing,) = draw_task(tmp_path, samples, about, modalities)
    with Image.open(tmp_path / drawing.path) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=int)
    red = np.abs(pixels - [0xD5, 0x5E, 0x00]).sum(axis=2) < 12
    right = red[:, round(0.62 * red.shape[1]) :]
    assert right.sum(axis=0).max() > 0.2 * red.shape[0]  # a side of the frame
    assert str(len(samples[0].words)) in drawing.caption
    assert "image" in drawing.caption


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 1), (3, 1), (9, 1)])
def test_the_task_of_other_datasets_is_drawn_as_boxes(tmp_path: Path, count: int, expected: int) -> None:
    tiny = xor_tiny(tmp_path)
    about = replace(description_of(tiny.manifest), target="m1")
    modalities = tuple(
        Modality(name=f"m{place}", kind="vector", column=f"m{place}", null_columns=(f"m{place}",))
        for place in range(count)
    )
    drawings = draw_task(tmp_path, [], about, modalities)
    assert len(drawings) == expected
    if drawings:
        assert drawings[0].caption.startswith("The task: find m1 of a row")


def test_a_word_without_a_font_is_shown_in_english() -> None:
    unwritable = Word(text="\U00013000", lang="xx", english="lion")  # a hieroglyph; no font here or in matplotlib
    assert caption_of(unwritable) == "(lion)"
    assert caption_of(Word(text="λιοντάρι", lang="el", english="lion")).endswith("λιοντάρι (lion)")
    assert caption_of(Word(text="lion", lang="en", english="lion")) == "lion"


def test_a_word_of_unknown_class_and_language_is_drawn_as_it_is(documented: Tiny) -> None:
    sample = choose_samples(documented.directory, documented.manifest, documented.schema)[0]
    words = (*sample.words, Word(text="zebroid", lang=None, english=""))
    with style.page(2, "words") as (_, axes):
        draw_words(axes, replace(sample, words=words), 0, 0, 3, label=language_label)
        assert [text.get_text() for text in axes.texts][-2:] == ["?", "zebroid"]


def test_figures_search_the_fonts_of_all_that_they_write(tmp_path: Path) -> None:
    """Without the fonts of the columns, values and modalities of other scripts, their letters would be boxes."""
    about = description_of(xor_tiny(tmp_path).manifest)
    statistics = {
        "rows": {"train": 3, "テスト": 1},
        "categories": {"ドラム": {"train": {"ライオン": 2, "사자": 1}, "テスト": {"ليمون": 1}}},
        "missing": {"train": {"rates": {"เสียง": 0.5}, "patterns": {"": 2, "เสียง": 1}}},
    }
    modalities = tuple(
        Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in ("เสียง", "నిమ్మకాయ")
    )

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of a glyph that no font has
        assert len(draw_figures(tmp_path, statistics, [], about, modalities)) == 4


def test_the_legend_of_a_design_names_the_parts_that_occur(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, _: drawn.append(figure))
    for preset in ("xor", "mixed"):
        draw_information(tmp_path / "information.png", terms_of(PRESETS[preset]))
    legends = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in drawn]
    assert legends[0] == ["synergistic"]
    assert legends[1] == ["redundant", "unique to the first", "unique to the second", "synergistic", "private"]


@pytest.mark.parametrize(("groups", "labels"), [({}, []), ({"a": 1.0, "b": 3.0}, ["all", "a", "b"])])
def test_durations_stand_apart_from_the_edges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: dict[str, float], labels: list[str]
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, _: drawn.append(figure))
    every = {name: quantiles([value, value]) for name, value in groups.items()}
    media = {"measured": 4, "seconds": quantiles([3.0, 3.0]), "seconds_by": {"group": every}}
    draw_durations(tmp_path, "tone", media)
    (axes,) = drawn[0].axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == labels
    assert axes.get_xlim() == pytest.approx((0, 3.0 * 1.06))


def test_flags_of_the_table_of_unreliable_values_have_no_figures(tmp_path: Path) -> None:
    about = description_of(xor_tiny(tmp_path).manifest)
    both = {"train": {"False": 2, "True": 1}}
    statistics = {"rows": {"train": 3}, "categories": dict.fromkeys(("a_noisy", "a_misaligned", "is_noisy"), both)}
    modality = Modality(name="a", kind="vector", column="a", null_columns=("a",))
    paths = [drawing.path for drawing in draw_figures(tmp_path, statistics, [], about, (modality,))]
    assert paths == ["figures/splits.png", "figures/is_noisy.png"]


def test_figures_of_columns_of_any_name_lie_in_their_folder_each_in_a_file_of_its_own(tmp_path: Path) -> None:
    """`card` also runs on datasets from strangers, and a column's name must not choose where a file is written."""
    labels = [
        "../../outside",
        "/absolute",
        "a\\b",
        "c\nd",
        "e f",
        "splits",
        "photo_sizes",
        "größe",
        "x" * 250,
        ".hidden",
    ]
    features = {"photo": ImageColumn(), "note": Value("string"), **{name: Value("bool") for name in labels}}
    features |= {"../sound": Audio(sampling_rate=16_000), "..": ImageColumn()}
    rows = [
        {
            **dict.fromkeys(labels, number % 2 == 0),
            "photo": np.zeros((4, 4), dtype=np.uint8),
            "..": np.zeros((4, 4), dtype=np.uint8),
            "../sound": {"array": np.zeros(800), "sampling_rate": 16_000},
            "note": "a",
        }
        for number in range(4)
    ]
    out = tmp_path / "folder" / "dataset"
    modalities = {"photo": "image", "note": "text", "../sound": "audio", "..": "image"}
    write_dataset(
        out,
        name="mine",
        schema=own_schema(Features(features), modalities),
        splits={"train": rows},
        spec={},
        write_card=write_card,
    )
    assert list(verify(out)) == [] and list(open_split(out, "train").columns)[:2] == ["photo", "note"]
    assert {path.name for path in tmp_path.iterdir()} == {"folder"} and len(list((tmp_path / "folder").iterdir())) == 1
    drawn = [path.relative_to(out).as_posix() for path in out.rglob("*.png")]
    assert len(drawn) == len(labels) + 3 + 2  # of each label and medium, of the task and the splits
    card = (out / "README.md").read_text(encoding="utf-8")
    assert all(f"]({path})" in card and path.startswith("figures/") and path.count("/") == 1 for path in drawn)
    assert {"figures/größe.png", "figures/photo_sizes.png", "figures/splits.png"} <= set(drawn)
