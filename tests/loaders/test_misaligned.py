"""Rows misaligned at load: the rows of builds, values and ids of donors, and what redraws and labels do then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_datasets import write_m3, write_vectors

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.datasets.pid import Block, Design
from symile_data.errors import UsageError
from symile_data.loaders import (
    AudioSettings,
    BatchLoader,
    Distribution,
    ImageSettings,
    Resources,
    Split,
    Variation,
    open_split,
)
from symile_data.reliability import Reliability

ROWS = 120
SMALL = {"image": ImageSettings(size=4), "audio": AudioSettings(seconds=0.025)}
RATES = {"a": 0.4, "c": 0.7}

Rows = dict[int, dict[str, Any]]


def rows_of(
    split: Split, batch_size: int = ROWS, epoch: int = 0, rank: int = 0, ranks: int = 1, **options: Any
) -> Rows:
    """What an epoch delivers, by sample id."""
    loader = BatchLoader(
        split, batch_size, drop_last=False, distribution=Distribution(rank=rank, world_size=ranks), **options
    )
    loader.set_epoch(epoch)
    found: Rows = {}
    for batch in loader:
        for row, key in enumerate(batch["sample_id"].tolist()):
            values = {name: column[row] for name, column in batch.items()}
            found[key] = {name: one.tolist() if isinstance(one, torch.Tensor) else one for name, one in values.items()}
    return found


def misaligned(split: Split, rates: dict[str, float], variation: dict[str, Any] | None = None, **options: Any) -> Rows:
    return rows_of(split, cache=True, variation=Variation(misaligned=rates, **(variation or {})), **options)


@pytest.fixture(scope="module")
def m3(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """An M3-like split, of which a third of the rows lacks the image."""
    directory = tmp_path_factory.mktemp("m3")
    return open_split(write_m3(directory, ROWS, missing=lambda row: ("image",) if row % 3 == 0 else ()), "train")


def test_a_loader_shows_the_rows_that_a_build_with_its_seed_shows(tmp_path: Path) -> None:
    sizes, columns = (
        {"train": ROWS, "validation": 0, "test": 0},
        [f"{m}_{what}" for m in "ac" for what in ("misaligned", "donor")],
    )
    for name, settings in (("clean", Reliability()), ("built", Reliability(misaligned=RATES))):
        spec = XorSpec(rows=sizes, reliability=settings, missing={"a": 0.2} if name == "built" else {}, seed=3)
        build_xor(spec, tmp_path / name, workers=1, write_card=no_card)
    built = rows_of(open_split(tmp_path / "built", "train"), columns=columns)
    loaded = misaligned(open_split(tmp_path / "clean", "train"), RATES, seed=3)
    there = [key for key in range(ROWS) if not any(built[key]["missing"])]
    assert len(there) > 60
    for key in there:
        assert built[key] == loaded[key]
    assert sum(row["a_misaligned"] for row in loaded.values()) > 20


def test_every_way_to_read_gives_the_same_rows(tmp_path: Path) -> None:
    split = open_split(write_vectors(tmp_path, ROWS), "train")
    expected = misaligned(split, RATES)
    for row, values in expected.items():
        donor = values["a_donor"] if values["a_misaligned"] else row
        assert values["a"] == pytest.approx([donor + place / 10 for place in range(4)])
        assert values["b"] == pytest.approx([100 + row + place / 10 for place in range(4)])
        assert values["a_donor"] not in (row,)
    assert misaligned(split, RATES, epoch=5, batch_size=7, resources=Resources(threads=3, window=2)) == expected
    parts = [misaligned(split, RATES, batch_size=8, rank=rank, ranks=2) for rank in (0, 1)]
    joined = parts[0] | parts[1]
    assert {key: row | {"padding": False} for key, row in joined.items()} == expected
    cached = rows_of(split, cache=tmp_path / "cache", variation=Variation(misaligned=RATES))
    assert cached == expected


def test_values_and_ids_are_the_donors_and_labels_the_rows(m3: Split) -> None:
    columns = ["image_id", "clip_id", "target_text", "lang", "image_missing"]
    clean = rows_of(m3, cache=True, transforms=SMALL, columns=columns)
    rates = {"image": 0.6, "audio": 0.3, "text": 0.5}
    swapped = misaligned(m3, rates, transforms=SMALL, columns=columns)
    own = {"image": ["image", "image_id"], "audio": ["audio", "clip_id"], "text": ["text", "target_text"]}
    for key, row in swapped.items():
        assert (row["lang"], row["cls_id"]) == (clean[key]["lang"], clean[key]["cls_id"])
        assert row["missing"] == clean[key]["missing"]
        assert row["image_missing"] == clean[key]["image_missing"]
        for name, names in own.items():
            donor = row[f"{name}_donor"] if row[f"{name}_misaligned"] else key
            assert [row[column] for column in names] == [clean[donor][column] for column in names]
    absent = [row for key, row in swapped.items() if (key - 1000) % 3 == 0]
    assert not any(row["image_misaligned"] for row in absent)
    assert all(row["image_donor"] == -1 and row["image_id"] is None for row in absent)
    assert all((row["image_donor"] - 1000) % 3 for row in swapped.values() if row["image_misaligned"])
    assert sum(row["image_misaligned"] for row in swapped.values()) > 30


def test_a_value_that_is_taken_away_can_still_be_lent(m3: Split) -> None:
    whole = misaligned(m3, {"audio": 0.5}, transforms=SMALL, columns=["clip_id"])
    less = misaligned(m3, {"audio": 0.5}, transforms=SMALL, columns=["clip_id"], missingness={"audio": 0.5})
    kept = [key for key, row in less.items() if not row["missing"][1]]
    assert 30 < len(kept) < 90
    assert all(less[key] == whole[key] for key in kept)
    gone = [less[key] for key in less.keys() - set(kept)]
    assert not any(row["audio_misaligned"] or row["clip_id"] for row in gone)


def test_redrawn_words_of_a_misaligned_text_are_its_donors(m3: Split) -> None:
    def redrawn(rates: dict[str, float], epoch: int) -> Rows:
        return misaligned(m3, rates, {"redraw_words": True}, transforms=SMALL, epoch=epoch, columns=["target_text"])

    for epoch in (0, 1):
        clean, swapped = redrawn({}, epoch), redrawn({"text": 0.5}, epoch)
        for key, row in swapped.items():
            donor = row["text_donor"] if row["text_misaligned"] else key
            assert row["text"] == clean[donor]["text"]
            assert row["target_text"] in row["text"].split("_")


def test_resampling_stays_within_the_class_of_what_is_shown(m3: Split) -> None:
    """Six recordings tell three languages."""
    clean = rows_of(m3, cache=True, transforms=SMALL, columns=["lang"])
    heard = {tuple(np.ravel(row["audio"])): row["lang"] for row in clean.values()}
    swap = {"resample_within_class": {"audio": "lang"}, "value_labels": {"lang": "audio"}}
    fixed = misaligned(m3, {"audio": 0.5}, transforms=SMALL)
    redrawn = misaligned(m3, {"audio": 0.5}, swap, transforms=SMALL, columns=["lang"])
    changed = 0
    for key, row in redrawn.items():
        donor = row["audio_donor"] if row["audio_misaligned"] else key
        assert row["lang"] == clean[donor]["lang"]  # value_labels: the language of what is heard
        assert heard[tuple(np.ravel(row["audio"]))] == row["lang"]
        changed += row["audio"] != fixed[key]["audio"]
    assert changed > 10


@pytest.mark.parametrize("cache", [False, True])
def test_labels_of_values_follow_the_donors_of_a_build(tmp_path: Path, cache: bool) -> None:
    design = Design(
        modalities={"a": "vector", "b": "vector"},
        blocks=(Block(name="same", relation="redundant", scope=("a", "b"), values=5),),
    )
    spec = PidSpec(
        design=design, rows={"train": 80, "validation": 0, "test": 0}, reliability=Reliability(misaligned={"a": 0.5})
    )
    build_pid(spec, tmp_path / "x", workers=1, write_card=no_card)
    split = open_split(tmp_path / "x", "train")
    variation = Variation(value_labels={"a_value": "a", "b_value": "b"})
    rows = rows_of(split, 9, cache=cache, columns=["a_value", "b_value", "a_misaligned"], variation=variation)
    for row in rows.values():
        assert np.argmax(row["a"]) == row["a_value"]
        assert np.argmax(row["b"]) == row["b_value"]
    assert any(row["a_misaligned"] and row["a_value"] != row["b_value"] for row in rows.values())


def test_a_state_continues_only_with_the_same_rates(tmp_path: Path) -> None:
    split = open_split(write_vectors(tmp_path, ROWS), "train")
    state = BatchLoader(split, 8, cache=True, variation=Variation(misaligned=RATES)).state_dict()
    BatchLoader(split, 8, cache=True, variation=Variation(misaligned=RATES)).load_state_dict(state)
    with pytest.raises(UsageError):
        BatchLoader(split, 8).load_state_dict(state)


@pytest.mark.parametrize(
    ("variation", "options", "words"),
    [
        ({"misaligned": {"z": 0.5}}, {}, "`misaligned` names a modality"),
        ({"misaligned": {"a": 1.5}}, {}, "outside"),
        ({"misaligned": {"a": 0.5}}, {"cache": False}, "Pass cache=True"),
        ({"value_labels": {"sample_id": "z"}}, {}, "value_labels names no modality"),
        ({"value_labels": {"nothing": "a"}}, {}, "names no column"),
    ],
)
def test_what_cannot_work_is_refused(
    tmp_path: Path, variation: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    split = open_split(write_vectors(tmp_path, ROWS), "train")
    with pytest.raises(UsageError, match=words):
        BatchLoader(split, 8, **{"cache": True, **options}, variation=Variation(**variation))


def test_a_modality_is_misaligned_once(tmp_path: Path) -> None:
    spec = XorSpec(rows={"train": 30, "validation": 0, "test": 0}, reliability=Reliability(misaligned={"a": 0.5}))
    build_xor(spec, tmp_path / "x", workers=1, write_card=no_card)
    split = open_split(tmp_path / "x", "train")
    BatchLoader(split, 8, cache=True, variation=Variation(misaligned={"b": 0.5}))
    with pytest.raises(UsageError, match="already misaligned"):
        BatchLoader(split, 8, cache=True, variation=Variation(misaligned={"a": 0.5}))
