"""Symile-M3 with misaligned and noisy modalities: what rows show, what verify sees, and words that are redrawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import build, contents, problems, rewrite, rows_of, spec

from symile_data.cards import write_card
from symile_data.datasets.m3.unreliable import misaligned_accuracy
from symile_data.errors import UsageError
from symile_data.loaders import BatchLoader, Variation, open_split
from symile_data.reliability import Reliability

pytestmark = pytest.mark.usefixtures("no_figures")

ROWS = {"train": 40, "validation": 6, "test": 6}
RATES = Reliability(misaligned={"image": 0.5, "audio": 0.4, "text": 0.5})
OWN = {
    "image": ("image", "image_id"),
    "audio": ("audio", "clip_id"),
    "text": ("text", "words", "target_text"),
}


@pytest.fixture(scope="module")
def directory(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build in which every modality is misaligned; tests leave its rows as they are."""
    out = tmp_path_factory.mktemp("m3") / "swapped"
    build(tree, out, rows=ROWS, reliability=RATES, missing={"audio": 0.2}, write_card=write_card)
    return out


def test_the_card_has_the_accuracy_that_is_left(directory: Path) -> None:
    classes = len({row["cls_id"] for row in rows_of(directory, "train")})
    expected = misaligned_accuracy(2, classes, 0.5, 0.5, [0.4])
    card = (directory / "README.md").read_text()
    assert f"| the class of image among {classes}, from all others | {expected:.4f} | {expected:.4f} |" in card
    assert "| audio | another row's value | 0.4 |" in card


def test_rows_show_the_values_of_their_donors(tree: Path, tmp_path: Path, directory: Path) -> None:
    build(tree, tmp_path / "clean", rows=ROWS)
    assert problems(directory) == []
    clean = {row["sample_id"]: row for split in ROWS for row in rows_of(tmp_path / "clean", split)}
    counts = dict.fromkeys(OWN, 0)
    for split in ROWS:
        for row in rows_of(directory, split):
            plain = clean[row["sample_id"]]
            assert [row[name] for name in ("cls_id", "lang", "wnid")] == [
                plain[name] for name in ("cls_id", "lang", "wnid")
            ]
            for name, columns in OWN.items():
                swapped = row[f"{name}_misaligned"]
                assert swapped == (row[f"{name}_donor"] >= 0)
                assert not (swapped and (split == "test" or row[f"{name}_missing"]))
                shown = clean[row[f"{name}_donor"]] if swapped else plain
                if not row[f"{name}_missing"]:
                    assert [row[column] for column in columns] == [shown[column] for column in columns]
                if name == "image":
                    assert row["image_cls_id"] == shown["cls_id"]
                counts[name] += swapped
    assert min(counts.values()) > 8


def test_redrawn_words_follow_the_donor_of_the_text(directory: Path) -> None:
    split = open_split(directory, "train")
    variation = Variation(redraw_words=True, value_labels={"cls_id": "text"})
    loader = BatchLoader(split, 40, shuffle=False, variation=variation, columns=["target_text", "text_misaligned"])
    batch: dict[str, Any] = next(iter(loader))
    assert batch["text_misaligned"].any()
    for text, target in zip(batch["text"], batch["target_text"], strict=True):
        assert target in text.split("_")


def test_verify_compares_a_text_with_that_of_its_donor(tree: Path, tmp_path: Path, directory: Path) -> None:
    copy = tmp_path / "copy"
    build(tree, copy, rows=ROWS, reliability=RATES, missing={"audio": 0.2})
    rows = rows_of(copy, "train")
    by_id = {row["sample_id"]: row for row in rows}
    intact = [row for row in rows if not row["text_misaligned"]]
    row = next(row for row in rows if row["text_misaligned"] and not by_id[row["text_donor"]]["text_misaligned"])
    other = next(one for one in intact if one["text"] != row["text"])
    row |= {column: other[column] for column in OWN["text"]}
    rewrite(copy, "data/train-00000-of-00001.parquet", rows)
    assert any("text is not the value of the row that text_donor names" in problem for problem in problems(copy))


NOISE = Reliability(
    misaligned={"image": 0.4, "symbol": 0.4},
    noisy={"image": 0.5, "audio": 0.5, "symbol": 0.5, "code": 0.5},
    noise_levels={"image": 40.0, "audio": 0.0, "code": 2.0},
    noisy_test=True,
)
FILES = {"image": "image_id", "audio": "clip_id", "symbol": "symbol_media_id"}


@pytest.fixture(scope="module")
def noisy(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A build with keys in which everything but the text is noisy, and the same without noise or misalignment."""
    out = tmp_path_factory.mktemp("m3-noise")
    for name, settings in (("noisy", NOISE), ("clean", Reliability())):
        build(tree, out / name, rows=ROWS, keys=("symbol", "code"), missing={"audio": 0.2}, reliability=settings)
    return out / "noisy", out / "clean"


def test_noisy_values_are_files_of_their_own(noisy: tuple[Path, Path]) -> None:
    directory, plain = noisy
    assert problems(directory) == []
    clean = {row["sample_id"]: row for split in ROWS for row in rows_of(plain, split)}
    counts = dict.fromkeys(FILES, 0)
    for row in (row for split in ROWS for row in rows_of(directory, split)):
        for name, column in FILES.items():
            if row[f"{name}_missing"]:
                assert not row[f"{name}_noisy"]
                continue
            owner = clean[row.get(f"{name}_donor", -1)] if row.get(f"{name}_misaligned") else clean[row["sample_id"]]
            assert (row[column] == owner[column]) == (not row[f"{name}_noisy"])
            assert (row[name]["bytes"] == owner[name]["bytes"]) == (not row[f"{name}_noisy"])
            if row[f"{name}_noisy"]:
                assert f"-noisy-{row['sample_id']}" in row[column]
                assert row[name]["path"].startswith(row[column].split("/")[-1])
            counts[name] += row[f"{name}_noisy"]
        shift = abs(np.array(row["code"]) - clean[row["sample_id"]]["code"])
        assert (shift > 0).all() == row["code_noisy"]
    assert min(counts.values()) > 10


@pytest.mark.usefixtures("shared_workers")
def test_noise_has_its_level_and_needs_no_other_row(noisy: tuple[Path, Path], tree: Path, tmp_path: Path) -> None:
    rows, clean = ([row for split in ROWS for row in rows_of(path, split)] for path in noisy)
    pairs = [(row["code"], own["code"]) for row, own in zip(rows, clean, strict=True) if row["code_noisy"]]
    shifts = np.array([one for one, _ in pairs]) - np.array([other for _, other in pairs])
    assert abs(shifts.std() - 2.0) < 4 * 2.0 / np.sqrt(2 * shifts.size)
    settings: dict[str, Any] = {"keys": ("symbol", "code"), "missing": {"audio": 0.2}, "reliability": NOISE}
    build(tree, tmp_path / "two", rows=ROWS, workers=2, **settings)
    assert contents(tmp_path / "two") == contents(noisy[0])


def test_the_deduplicated_layout_shows_the_same_donors(tree: Path, tmp_path: Path, directory: Path) -> None:
    build(tree, tmp_path / "p", rows=ROWS, reliability=RATES, missing={"audio": 0.2}, layout="pooled")
    assert problems(tmp_path / "p") == []
    for split in ROWS:
        one, other = (open_split(place, split) for place in (tmp_path / "p", directory))
        columns = ["image_id", "clip_id", "text", "image_donor", "text_misaligned", "image_cls_id", "image"]
        assert one.read_all(columns).to_pylist() == other.read_all(columns).to_pylist()


def test_verify_finds_an_image_of_another_row_in_the_deduplicated_layout(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "p"
    build(tree, copy, rows=ROWS, reliability=RATES, missing={"audio": 0.2}, layout="pooled")
    path = next((copy / "data").glob("train-*")).relative_to(copy).as_posix()
    rows = rows_of(copy, "train")
    intact = {row["sample_id"] for row in rows if not (row["image_misaligned"] or row["image_missing"])}
    row = next(row for row in rows if row["image_donor"] in intact)
    other = next(one for one in rows if one["image_row"] not in (None, row["image_row"]))
    row["image_row"] = other["image_row"]
    rewrite(copy, path, rows)
    assert any("image_id is" in problem and "the pool has" in problem for problem in problems(copy))
    row["image_id"] = other["image_id"]
    rewrite(copy, path, rows)
    assert any("image is not the value of the row that image_donor names" in problem for problem in problems(copy))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reliability": Reliability(noisy={"text": 0.5})}, "text is of a kind that has no noise"),
        ({"reliability": Reliability(noisy={"image": 0.5}), "layout": "pooled"}, "a noisy one belongs to one row"),
        ({"reliability": Reliability(misaligned={"symbol": 0.5})}, "`misaligned` names a modality"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        spec(None, **changes)
