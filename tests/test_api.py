"""What `import symile_data` offers: builds as functions, and the loaders, imported when they are first used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from factories import contents
from PIL import Image

import symile_data
from symile_data.builders.m3.build import build_m3
from symile_data.builders.m3.spec import M3Spec
from symile_data.cards import write_card
from symile_data.errors import DamageError, UsageError

FEW = {"train": 6, "validation": 2, "test": 2}


@pytest.fixture(scope="module")
def m3(tmp_path_factory: pytest.TempPathFactory, tree: Path) -> Path:
    out = tmp_path_factory.mktemp("api") / "m3"
    return symile_data.build_m3(out, langs=2, rows=FEW, images=tree, missing={"audio": 0.3}, workers=1)


def test_a_build_by_function_is_the_build_by_command(m3: Path, tmp_path: Path, tree: Path) -> None:
    spec = M3Spec(languages=("el", "en"), words=2, rows=FEW, images=tree, missing={"audio": 0.3})
    build_m3(spec, tmp_path / "same", workers=1, write_card=write_card)
    assert contents(m3) == contents(tmp_path / "same")
    assert load_dataset(str(m3), cache_dir=str(tmp_path / "cache"))["train"].num_rows == 6


def test_a_row_is_shown_with_its_media(m3: Path) -> None:
    split = symile_data.open_split(m3, "train")
    rows = [split.row(number) for number in range(split.rows)]
    assert [row["sample_id"] for row in rows] == split.read_all(["sample_id"])["sample_id"].to_pylist()
    for row in rows:
        assert isinstance(row["image"], Image.Image)
        assert isinstance(row["text"], str)
        if row["audio_missing"]:
            assert row["audio"] is None
        else:
            wave, rate = row["audio"]
            assert (wave.dtype, wave.ndim, rate) == (np.float32, 1, 16_000)
    assert {row["audio_missing"] for row in rows} == {False, True}
    with pytest.raises(UsageError, match="no such row"):
        split.row(6)


def test_a_row_that_does_not_decode_says_where(m3: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = symile_data.open_split(m3, "train")
    monkeypatch.setattr("symile_data.format.media.IMAGE_FORMATS", ("BMP",))
    with pytest.raises(DamageError, match=r"image does not decode \(data/train-00000-of-00001.parquet, row 1\)"):
        split.row(1)


def test_the_small_builds_take_their_settings(tmp_path: Path) -> None:
    xor = symile_data.open_split(symile_data.build_xor(tmp_path / "xor", dims=2, rows=FEW, variables=4), "train")
    assert (xor.rows, [modality.name for modality in xor.modalities]) == (6, ["a", "b", "c", "d"])
    assert len(xor.row(0)["a"]) == 2
    pid = symile_data.open_split(symile_data.build_pid(tmp_path / "pid", design="xnor", rows={"train": 7}), "train")
    assert pid.rows == 7
    batch = next(iter(symile_data.BatchLoader(xor, 3)))
    assert batch["a"].shape == (3, 2)


@pytest.mark.parametrize(
    ("build", "setting", "taken"),
    [
        (symile_data.build_m3, "key", "languages"),
        (symile_data.build_mimic, "root", None),
        (symile_data.build_pid, "sound", None),
        (symile_data.build_xor, "variable", None),
    ],
)
def test_an_unknown_setting_is_named_with_the_nearest(
    build: Callable[..., Path], setting: str, taken: str | None, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"no such setting; got {setting}. Perhaps {setting}s is meant"):
        build(tmp_path / "out", **{setting: 1})
    if taken is not None:  # a field that the function sets by arguments of its own
        with pytest.raises(UsageError, match=rf"got {taken}\. "):
            build(tmp_path / "out", **{taken: 1})
    assert not (tmp_path / "out").exists()


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`rows` names no split; got 'dev'"):
        symile_data.build_xor(tmp_path / "x", rows={"dev": 3})
    with pytest.raises(UsageError, match=r"`rows` is a table of whole numbers by name or None; got \{'train': '60'\}"):
        symile_data.build_xor(tmp_path / "x", rows={"train": "60"})  # type: ignore[dict-item]
    with pytest.raises(UsageError, match=r"got 'greek'. Write it like el,en,fr"):
        symile_data.build_m3(tmp_path / "x", langs="greek")
    with pytest.raises(UsageError, match="design names no preset; got 'none'"):
        symile_data.build_pid(tmp_path / "x", design="none")
    with pytest.raises(AttributeError, match="has no attribute 'build_none'"):
        symile_data.build_none  # noqa: B018
    assert set(symile_data.__all__) <= set(dir(symile_data))


def test_names_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, symile_data; before = 'numpy' in sys.modules; symile_data.open_split;"
        " print(before, 'numpy' in sys.modules, 'torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60) == "False True False\n"


def test_a_script_of_a_few_lines_builds_on_several_processes(tmp_path: Path) -> None:
    (tmp_path / "few.py").write_text(
        "import symile_data\n"
        "print('this script runs')\n"
        "symile_data.build_xor('xor', dims=2, rows={'train': 40, 'validation': 4, 'test': 4}, workers=2)\n"
        "print(symile_data.open_split('xor', 'train').rows)\n"
    )
    run = subprocess.run([sys.executable, "few.py"], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout == "this script runs\n40\n", run.stderr
