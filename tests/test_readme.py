"""The README's code runs as it stands, on a small dataset in the place that the README's first command writes to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from factories import spec

from symile_data.builders.m3.build import build_m3
from symile_data.cards import write_card

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
SHELL = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def place(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds build/symile-m3-10."""
    directory = tmp_path_factory.mktemp("readme")
    settings = spec(tree, rows={"train": 70, "validation": 4, "test": 4})
    build_m3(settings, directory / "build" / "symile-m3-10", workers=1, write_card=write_card)
    return directory


@pytest.mark.parametrize("block", BLOCKS, ids=[block.split("\n")[0] for block in BLOCKS])
def test_every_python_block_runs(
    block: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    exec(compile(block, "README.md", "exec"), {})
    assert ("print(" in block) == bool(capsys.readouterr().out)


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make ([a-z0-9-]+)", "\n".join(SHELL), flags=re.MULTILINE))
    assert {"build-m3", "train-m3"} <= targets
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert all((ROOT / link.partition("#")[0]).is_file() for link in links)
