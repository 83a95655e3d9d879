"""PID datasets: the relations, the bytes, the media, the masks, what verify sees, and ways to ask wrongly."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import load_dataset
from factories import contents, problems, rewrite, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pid_enumeration import block_law, random_designs
from PIL import Image

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.pid import build as builds
from symile_data.builders.pid import media
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.draw import draw_rows
from symile_data.builders.pid.estimate import estimate_pid
from symile_data.builders.pid.shard import make_shard
from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.datasets.pid import PRESETS, Block, Design
from symile_data.datasets.pid.alphabets import WORDS
from symile_data.datasets.pid.relations import holds
from symile_data.errors import UsageError

ROWS = {"train": 14, "validation": 3, "test": 4}
VECTORS = PidSpec(design=PRESETS["trifeature"], rows=ROWS)


def build(out: Path, spec: PidSpec, workers: int = 1) -> Path:
    build_pid(spec, out, workers=workers, write_card=no_card)
    return out


def media_spec(**changes: Any) -> PidSpec:
    """Few rows of two images, a sound, a text and a vector."""
    names = {"seen": "image", "heard": "audio", "read": "text", "felt": "vector"}
    blocks = (
        Block(name="same", relation="redundant", scope=("seen", "heard", "read"), values=3, strength=0.8),
        Block(name="sum", relation="synergistic", scope=("seen", "felt", "heard"), values=4, strength=0.5),
        Block(name="ends", relation="xor", scope=("felt", "read", "seen"), values=3, strength=0.5),
    )
    settings = {"rows": ROWS, "missing": {"seen": 0.3, "heard": 0.3, "read": 0.3, "felt": 0.3}, **changes}
    return PidSpec(design=Design(modalities=names, blocks=blocks), **settings)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build of `media_spec`."""
    return build(tmp_path_factory.mktemp("pid") / "mixed", media_spec())


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 2**40), st.integers(1, 40))
def test_rows_follow_their_design_wherever_they_begin(seed: int, start: int, count: int) -> None:
    """Every row can occur, a drawn relation holds, and a range of rows is the same however it is asked for."""
    design = next(random_designs(seed, 1))
    spec = PidSpec(design=design, rows=ROWS, seed=seed)
    whole = draw_rows(spec, "train", start, start + count)
    pieces = [draw_rows(spec, "train", place, place + 1) for place in range(start, start + count)]
    for block in design.blocks:
        columns = {name: whole.symbols[name][block.name] for name in block.scope}
        rows = list(zip(*(columns[name].tolist() for name in block.scope), strict=True))
        assert set(rows) <= set(block_law(block))
        assert (holds(block, columns) | ~whole.drawn[block.name]).all()
        assert [bool(piece.drawn[block.name][0]) for piece in pieces] == whole.drawn[block.name].tolist()
        assert rows == [tuple(int(piece.symbols[name][block.name][0]) for name in block.scope) for piece in pieces]


@pytest.mark.parametrize("group", ["xor", "cyclic"])
@pytest.mark.parametrize("relation", ["redundant", "synergistic", "xor"])
def test_symbols_have_the_law_that_the_terms_are_of(relation: str, group: str) -> None:
    names = ("a", "b", "c")
    block = Block(
        relation=relation, scope=names, values=4, strength=0.3, group="" if relation == "redundant" else group
    )
    spec = PidSpec(design=Design(modalities=dict.fromkeys(names, "vector"), blocks=(block,)), rows=ROWS)
    rows, count = draw_rows(spec, "train", 0, 40_000), 40_000
    found = np.zeros((4, 4, 4))
    np.add.at(found, tuple(rows.symbols[name][f"{relation}1"] for name in names), 1 / count)
    for symbols in itertools.product(range(4), repeat=3):
        assert found[symbols] == pytest.approx(block_law(block).get(symbols, 0.0), abs=0.008)


def test_blocks_splits_and_seeds_have_streams_of_their_own() -> None:
    spec = PidSpec(design=PRESETS["trifeature"], rows=ROWS)
    less = replace(spec, design=Design(modalities=spec.design.modalities, blocks=spec.design.blocks[:4]))
    train = draw_rows(spec, "train", 0, 500)
    for name, own in draw_rows(less, "train", 0, 500).symbols.items():
        for block, symbols in own.items():
            np.testing.assert_array_equal(train.symbols[name][block], symbols)
    for other in (draw_rows(spec, "test", 0, 500), draw_rows(replace(spec, seed=1), "train", 0, 500)):
        assert abs((other.symbols["a"]["shape"] == train.symbols["a"]["shape"]).mean() - 0.1) < 0.06
    assert abs((train.symbols["a"]["shape"] == train.symbols["a"]["colour"]).mean() - 0.1) < 0.06


def test_vectors_hold_bits_or_one_hot_codes_of_the_symbols(tmp_path: Path) -> None:
    names = {"a": "vector", "b": "vector", "c": "vector"}
    blocks = (
        Block(name="bits", relation="synergistic", scope=("a", "b", "c"), values=8),
        Block(name="copy", relation="redundant", scope=("a", "b"), values=3),
    )
    directory = build(tmp_path / "x", PidSpec(design=Design(modalities=names, blocks=blocks), rows=ROWS))
    for row in rows_of(directory, "train"):
        bits = [float(row["a_bits"] >> place & 1) for place in range(3)]
        assert row["a"] == bits + [float(row["a_copy"] == symbol) for symbol in range(3)]
        assert (row["a_value"], len(row["c"])) == (3 * row["a_bits"] + row["a_copy"], 3)
        assert row["a_bits"] ^ row["b_bits"] ^ row["c_bits"] == 0
        assert row["bits_holds"] and row["bits_drawn"]


def test_what_a_row_shows_follows_from_its_symbols(mixed: Path) -> None:
    """Texts decode exactly; images and sounds are named after their value, and equal names are equal files."""
    media_of: dict[str, bytes] = {}
    for split in ROWS:
        for row in rows_of(mixed, split):
            if row["read"] is not None:
                assert row["read"] == f"{WORDS[row['read_same']]}_{WORDS[3 + row['read_ends']]}"
            for name, kind in (("seen", "JPEG"), ("heard", "FLAC")):
                assert (row[name] is None) == (row[f"{name}_id"] is None) == row[f"{name}_missing"]
                if row[name] is not None:
                    assert row[f"{name}_id"].startswith(f"{name}-{split}-{row[f'{name}_value']}-")
                    assert media_of.setdefault(row[f"{name}_id"], row[name]["bytes"]) == row[name]["bytes"]
                    assert readable(row[name]["bytes"]) == kind
    assert len(set(media_of.values())) == len(media_of)


def readable(data: bytes) -> str:
    """The format of an image of 128 pixels or a sound of a second or so."""
    if data[:4] == b"fLaC":
        wave, rate = soundfile.read(io.BytesIO(data))
        assert rate == 16_000 and 0.5 < len(wave) / rate < 5
        return "FLAC"
    image = Image.open(io.BytesIO(data))
    assert image.size == (128, 128)
    return str(image.format)


def test_images_of_one_value_differ_and_show_the_drawings_of_their_symbols() -> None:
    spec = media_spec(rows={"train": 2_000, "validation": 0, "test": 0})
    assert spec.variants("train", "seen") == 2_000 // (2 * 36) + 1
    same, other = (media.make_medium(spec, "train", "seen", key) for key in (0, 1))
    assert same != other
    assert same == media.make_medium(spec, "train", "seen", 0)


def test_it_verifies_and_every_mask_is_kept(mixed: Path) -> None:
    assert problems(mixed, deep=True) == []
    train, test = rows_of(mixed, "train"), rows_of(mixed, "test")
    assert any(row["seen_missing"] for row in train)
    assert not any(row[f"{name}_missing"] for row in test for name in ("seen", "heard", "read", "felt"))


@pytest.mark.usefixtures("shared_workers")
def test_the_bytes_do_not_depend_on_workers_or_interruptions(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert contents(build(tmp_path / "two", media_spec(), workers=2)) == contents(mixed)
    original: Callable[..., dict[str, Any]] = make_shard

    def interrupted(task: Any, path: Path) -> dict[str, Any]:
        if task.split == "test":
            raise KeyboardInterrupt
        return original(task, path)

    monkeypatch.setattr(builds, "make_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "stopped", media_spec())
    made: list[str] = []

    def noted(task: Any, path: Path) -> dict[str, Any]:
        made.append(task.split)
        return original(task, path)

    monkeypatch.setattr(builds, "make_shard", noted)
    monkeypatch.setattr(media, "make_chunk", lambda *_: pytest.fail("media are made twice"))
    assert contents(build(tmp_path / "stopped", media_spec())) == contents(mixed)
    assert made == ["test"]


def test_tars_verify_too_and_plain_datasets_opens_it(mixed: Path, tmp_path: Path) -> None:
    tars = build(tmp_path / "tars", media_spec(shard_format="webdataset"))
    assert problems(tars, deep=True) == []
    loaded = load_dataset(str(mixed), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == ROWS
    assert [row for split in loaded.values() for row in split["sample_id"]] == list(range(21))


@pytest.mark.parametrize(
    ("column", "change", "words"),
    [
        ("a_shape", lambda value: (value + 1) % 10, "the symbols of a+b+c are none that block shape allows"),
        ("a_shape", lambda value: (value + 1) % 10, "shape_holds is not true of a+b+c"),
        ("b_rule", lambda value: (value + 1) % 5, "the symbols of a+b+c are none that block rule allows"),
        ("c_style", lambda value: (value + 1) % 10, "c_value is not the number of its symbols"),
        ("c_style", lambda value: (value + 1) % 10, "c does not show its symbols"),
        ("c_style", lambda _: 10, "a symbol of c_style is outside the block's values"),
        ("b", lambda value: [1 - number for number in value], "b does not show its symbols"),
        ("rule_drawn", lambda _: False, "are none that block rule allows"),
        ("shape_holds", lambda _: False, "shape_holds is not true"),
        ("a_value", lambda value: value + 1, "a_value is not the number of its symbols"),
        ("sample_id", lambda _: 0, "a sample_id occurs twice"),
    ],
)
def test_verify_finds_a_changed_row(tmp_path: Path, column: str, change: Callable[[Any], Any], words: str) -> None:
    directory = build(tmp_path / "x", VECTORS)
    rows = rows_of(directory, "train")
    rows[7][column] = change(rows[7][column])
    rewrite(directory, "data/train-00000-of-00001.parquet", rows)
    found = problems(directory)
    assert any(words in problem for problem in found)
    assert column == "sample_id" or "outside" in words or any("sample 7" in problem for problem in found)


def test_verify_finds_a_text_and_media_of_other_symbols(mixed: Path, tmp_path: Path) -> None:
    directory = tmp_path / "x"
    shutil.copytree(mixed, directory)
    rows = rows_of(directory, "test")  # nothing is missing there
    rows[0]["read"], rows[1]["seen_id"], rows[2]["heard_id"] = "apple_apple", "seen-test-999-0", "heard-train-0-0"
    rewrite(directory, "data/test-00000-of-00001.parquet", rows)
    assert sorted(problem.partition(": ")[2] for problem in problems(directory)) == [
        "sample 17: read does not show its symbols",
        "sample 18: seen_id names no image of its symbols",
        "sample 19: heard_id names no audio of its symbols",
    ]


def test_an_xor_block_that_fails_is_a_copy(tmp_path: Path) -> None:
    design = Design(
        modalities={"a": "vector", "b": "vector", "c": "vector"},
        blocks=(Block(name="bits", relation="xor", scope=("a", "b", "c"), values=16, strength=0.4),),
    )
    directory = build(tmp_path / "x", PidSpec(design=design, rows={"train": 400, "validation": 0, "test": 0}))
    assert problems(directory) == []
    rows = rows_of(directory, "train")
    copies = [row for row in rows if not row["bits_drawn"]]
    assert 180 < len(copies) < 300
    assert all(row["c_bits"] == row["a_bits"] for row in copies)
    free = next(row for row in copies if row["b_bits"])
    free["c_bits"] = free["a_bits"] ^ 1
    rewrite(directory, "data/train-00000-of-00001.parquet", rows)
    assert any("none that block bits allows" in problem for problem in problems(directory))


def test_a_target_with_more_values_than_candidates_is_told(tmp_path: Path) -> None:
    """The ceiling is counted by hand: b of 32 values from a alone, blind among the values that occur."""
    spec = PidSpec(design=PRESETS["xor"], rows={"train": 5, "validation": 0, "test": 40})
    manifest = build_pid(spec, tmp_path / "x", workers=1, write_card=no_card)
    occurring = {row["b_value"] for row in rows_of(tmp_path / "x", "test")}
    assert len(manifest.notes) == 3
    assert "b has 32 values, more than a seventh of the 40 test rows" in manifest.notes[1]
    assert f"can reach {1 / len(occurring):.4f} among them" in manifest.notes[1]
    enough = replace(spec, rows={"train": 5, "validation": 0, "test": 224})
    assert build_pid(enough, tmp_path / "y", workers=1, write_card=no_card).notes == []


def test_an_estimate_is_near_what_a_build_takes(mixed: Path, tmp_path: Path) -> None:
    found = estimate_pid(media_spec(), tmp_path / "not" / "there", workers=3)
    assert not (tmp_path / "not").exists()
    assert [stage.stage for stage in found.stages] == ["seen", "heard", "shards"]
    assert (found.stages[2].units, found.files, found.workers, found.fits) == (21, 3, 3, True)
    keys = {split: media.media_keys(media_spec(), split, "seen", 0, rows) for split, rows in ROWS.items()}
    used = sum(len(np.unique(of_split)) for of_split in keys.values())
    assert abs(found.stages[0].units - used) <= 4
    vectors = replace(VECTORS, rows={"train": 20_000, "validation": 0, "test": 0})
    manifest = build_pid(vectors, tmp_path / "x", workers=1, write_card=no_card)
    stored = sum(entry.bytes for entry in manifest.files)
    assert estimate_pid(vectors, tmp_path, workers=1).dataset_bytes == pytest.approx(stored, rel=0.1)
    tars = replace(vectors, rows={"train": 500, "validation": 0, "test": 0}, shard_format="webdataset")
    manifest = build_pid(tars, tmp_path / "tars", workers=1, write_card=no_card)
    stored = sum(entry.bytes for entry in manifest.files)
    assert estimate_pid(tars, tmp_path, workers=1).dataset_bytes == pytest.approx(stored, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": {"train": 0, "validation": 1, "test": 1}}, "training rows"),
        ({"rows": {"train": 1, "validation": -1, "test": 1}}, r"`rows\['validation'\]` is a number from 0 to"),
        ({"missing": {"a": 2.0}}, "missing rate of a"),
        ({"missing": {"d": 0.5}}, "no modality of the design; got d"),
        ({"shard_format": "zip"}, "format"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        PidSpec(**{"design": PRESETS["xor"], **changes})


def test_a_kind_that_cannot_show_its_symbols_is_refused() -> None:
    scope = ("seen", "heard", "felt")
    block = Block(relation="redundant", scope=scope, values=2_000)
    kinds = {"seen": "image", "heard": "audio", "felt": "vector"}
    with pytest.raises(UsageError) as caught:
        PidSpec(design=Design(modalities=kinds, blocks=(block,)))
    for words in ("seen needs 2000 drawings", "there are 140", f"there are {len(WORDS)}", "one-hot code of 2000"):
        assert words in str(caught.value)


def test_the_rows_of_binary_xor_are_those_of_the_first_release(tmp_path: Path) -> None:
    """Their theory is now a case of PID data; their bytes are not."""
    spec = XorSpec(rows={"train": 60, "validation": 10, "test": 10}, p_hat=0.5, missing={"b": 0.2}, seed=3)
    build_xor(spec, tmp_path / "xor", workers=1, write_card=no_card)
    rows = [row for split in spec.rows for row in rows_of(tmp_path / "xor", split)]
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    assert digest == "ec14f572e3dbc7d8edd4c62c8e09868b399f5c66fe2304cc030efc27362fbdf3"
    assert pq.read_schema(next((tmp_path / "xor" / "data").glob("train-*"))).names[:4] == ["sample_id", "a", "b", "c"]
