"""The plan of a split: any range of rows alone, one answer in every row, everything drawn uniformly."""

import itertools
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.builders.m3.rows import plan as plans
from symile_data.builders.m3.rows.plan import RowIndices, SplitPlan
from symile_data.datasets.m3.words import MODES, WordRule

OFFSETS = np.array([0, 3, 4, 9, 20, 22], dtype=np.int64)


def plan(mode: Literal["disjoint", "overlap"] = "disjoint", seed: int = 0, split: str = "train") -> SplitPlan:
    rule = WordRule(words=3, classes=5, languages=4, mode=mode)
    return SplitPlan(seed=seed, split=split, rule=rule, image_offsets=OFFSETS, recordings_per_language=7)


def columns(rows: RowIndices) -> list[np.ndarray]:
    return [rows.language, rows.recording, rows.cls, rows.slot, rows.word_classes, rows.word_languages]


@given(st.lists(st.integers(0, 80), max_size=5), st.sampled_from(MODES))
def test_any_range_can_be_drawn_alone(cuts: list[int], mode: Literal["disjoint", "overlap"]) -> None:
    whole = columns(plan(mode).draw(0, 80))
    edges = [0, *sorted(cuts), 80]
    pieces = [columns(plan(mode).draw(a, b)) for a, b in itertools.pairwise(edges)]
    for column, parts in zip(whole, zip(*pieces, strict=True), strict=True):
        assert np.concatenate(parts).dtype == column.dtype
        np.testing.assert_array_equal(np.concatenate(parts), column)


@pytest.mark.parametrize("mode", MODES)
def test_every_row_names_its_image_once_in_the_language_of_its_recording(mode: Literal["disjoint", "overlap"]) -> None:
    rows = plan(mode).draw(0, 3000)
    answers = rows.word_languages == rows.language[:, None]
    assert (answers.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(rows.word_classes[answers], rows.cls)
    np.testing.assert_array_equal(rows.word_classes == rows.cls[:, None], answers)


@pytest.mark.parametrize(("words", "start"), [(2, 0), (3, 5), (4, 0)])
def test_each_block_of_rows_has_its_answer_at_every_position_once(words: int, start: int) -> None:
    rule = WordRule(words=words, classes=5, languages=4, mode="disjoint")
    rows = SplitPlan(0, "test", rule, OFFSETS, 7).draw(start, start + 120)
    position = np.argmax(rows.word_languages == rows.language[:, None], axis=1)[-start % words :]
    blocks = position[: len(position) // words * words].reshape(-1, words)
    assert (np.sort(blocks, axis=1) == np.arange(words)).all()
    assert len(set(map(tuple, blocks.tolist()))) > 1  # no order of their own that row numbers could tell


def test_the_rows_of_overlap_mode_are_those_they_always_were() -> None:
    """A row that the first version of the plan drew."""
    rows = plan("overlap").draw(1, 3)
    assert rows.language.tolist() == [3, 0] and rows.cls.tolist() == [3, 3]
    assert rows.word_classes.tolist() == [[3, 2, 0], [3, 4, 1]]
    assert rows.word_languages.tolist() == [[3, 1, 1], [0, 2, 3]]


@pytest.mark.parametrize("mode", MODES)
def test_images_are_of_the_class(mode: Literal["disjoint", "overlap"]) -> None:
    rows = plan(mode).draw(0, 3000)
    np.testing.assert_array_equal(np.searchsorted(OFFSETS, rows.slot, side="right") - 1, rows.cls)
    assert rows.recording.min() == 0
    assert rows.recording.max() == 6


def test_languages_classes_recordings_and_images_are_uniform() -> None:
    rows = plan().draw(0, 40_000)
    for values, kinds in ((rows.language, 4), (rows.cls, 5), (rows.recording, 7)):
        counts = np.bincount(values, minlength=kinds)
        assert len(counts) == kinds
        assert np.abs(counts * kinds / 40_000 - 1).max() < 0.05
    for cls in range(5):
        slots = rows.slot[rows.cls == cls]
        counts = np.bincount(slots - OFFSETS[cls])
        assert len(counts) == OFFSETS[cls + 1] - OFFSETS[cls]
        assert np.abs(counts * len(counts) / len(slots) - 1).max() < 0.2
    place = (rows.slot - OFFSETS[rows.cls]) / np.diff(OFFSETS)[rows.cls]  # of the image among those of its class
    drawn = np.corrcoef([rows.language, rows.cls, rows.recording, place])
    several = np.diff(OFFSETS)[rows.cls] > 1  # the place tells nothing where a class has one image
    apart = np.corrcoef([rows.language[several], rows.recording[several], place[several]])
    assert np.abs(drawn[:3, :3][np.triu_indices(3, 1)]).max() < 0.03
    assert np.abs(apart[np.triu_indices(3, 1)]).max() < 0.03


def test_splits_and_seeds_are_independent() -> None:
    train, test, other = (
        plan(split=split, seed=seed).draw(0, 4000) for split, seed in (("train", 0), ("test", 0), ("train", 1))
    )
    for rows in (test, other):
        assert abs((train.cls == rows.cls).mean() - 1 / 5) < 0.04
        assert abs((train.language == rows.language).mean() - 1 / 4) < 0.04


@pytest.mark.parametrize("rows", [0, 1, 50, 500])
def test_used_media_are_those_of_the_rows(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "CHUNK_ROWS", 64)
    slots, recordings = plan().used(rows)
    drawn = plan().draw(0, rows)
    assert slots.tolist() == sorted(set(drawn.slot.tolist()))
    assert recordings.tolist() == sorted(set((drawn.language.astype(int) * 7 + drawn.recording).tolist()))
