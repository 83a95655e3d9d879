"""The code of docs/formats.md runs as it stands, on small datasets in the places that its first commands write to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from factories import spec

from symile_data.builders.m3.build import build_m3
from symile_data.cards import write_card

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.fixture(scope="module")
def place(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds both builds, with gaps."""
    directory = tmp_path_factory.mktemp("formats")
    outs = re.findall(r"symile-data build m3 --out (\S+) .*?(?:--format (\w+))?\n", TEXT)
    assert [shard_format for _, shard_format in outs] == ["", "webdataset"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("symile_data.cards.draw_figures", lambda *_: [])
        for out, shard_format in outs:
            settings = spec(
                tree,
                rows={"train": 40, "validation": 4, "test": 4},
                missing={"image": 0.2, "audio": 0.2, "text": 0.2},
                shard_format=shard_format or "parquet",
            )
            build_m3(settings, directory / out, workers=1, write_card=write_card)
    return directory


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_python_block_runs(
    block: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    exec(compile(block, "formats.md", "exec"), {})
    assert capsys.readouterr().out


def test_there_is_a_recipe_for_each_reader() -> None:
    assert len(BLOCKS) == 4
    for library in ("load_dataset", "webdataset.WebDataset", "open_split"):
        assert any(library in block for block in BLOCKS)
