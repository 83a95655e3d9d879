"""The code of docs/loading.md runs as it stands, on small datasets in the places that it names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from factories import spec

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.features.beside import build_beside
from symile_data.builders.features.spec import FeatureSpec, FrozenModel, Media
from symile_data.builders.m3.build import build_m3
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "loading.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def sizes_of_files(spec: FeatureSpec, model: FrozenModel, media: Media) -> npt.NDArray[np.float32]:
    """Features that need no model: the size of each image's file."""
    sizes = [len(value["bytes"]) for value in media.values.to_pylist()]
    return np.repeat(np.array(sizes, dtype=np.float32)[:, None], model.size, axis=1)


@pytest.fixture(scope="module")
def place(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("loading")
    rows = {"train": 40, "validation": 4, "test": 4}
    one = FeatureSpec(models=(FrozenModel(modality="image", name="clip", size=4, fingerprint="0"),))
    for name, shard_format in (("symile-m3-10", "parquet"), ("symile-m3-10-tars", "webdataset")):
        settings = spec(tree, rows=rows, missing={"text": 0.2}, shard_format=shard_format, languages=("en", "ja"))
        build_m3(settings, directory / "build" / name, workers=1, write_card=no_card)
    build_beside(directory / "build/symile-m3-10", "clip-l", one, sizes_of_files, workers=1)
    xor = XorSpec(rows={"train": 110, "validation": 4, "test": 4})
    build_xor(xor, directory / "build" / "xor", workers=1, write_card=no_card)
    return directory


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_python_block_runs(
    block: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    for package in re.findall(r"^import (grain|lance)$", block, flags=re.MULTILINE):  # no dependencies of ours
        pytest.importorskip(package, reason=f"{package}, for whose users this recipe is, is not installed")
    exec(compile(block, "loading.md", "exec"), {})
    said = capsys.readouterr().out
    assert said
    assert ": False\n" not in said  # "the same weights: True"


def test_the_page_shows_a_resumed_loop() -> None:
    assert sum("load_state_dict" in block and "optimizer" in block for block in BLOCKS) == 1
