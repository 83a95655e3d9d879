"""Symile-M3 with misaligned modalities: what rows show, what verify sees, and words that are redrawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factories import build, problems, rewrite, rows_of, spec

from symile_data.cards import write_card
from symile_data.datasets.m3.unreliable import misaligned_accuracy
from symile_data.errors import UsageError
from symile_data.loaders import BatchLoader, Variation, open_split
from symile_data.reliability import Reliability

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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reliability": Reliability(noisy={"image": 0.5})}, "no noisy values"),
        ({"reliability": RATES, "layout": "pooled"}, "pooled layout"),
        ({"reliability": Reliability(misaligned={"symbol": 0.5})}, "`misaligned` names a modality"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        spec(None, **changes)
