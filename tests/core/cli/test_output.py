"""What is printed holds no control sequence and no markup of strangers, and what it tells to paste can be pasted."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import datasets
import pytest
from command import Outcome, outcome

import symile_data.cli
from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cli.common import loading_line, report
from symile_data.cli.output import cell, say, say_json
from symile_data.format import manifest as manifests
from symile_data.format.deduplicated import Deduplicated
from symile_data.format.manifest import Dropped

HOSTILE = "[red]x[/red]\x1b]0;owned\x07\x9b2J\u202egnp\u2028"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `symile-data` with some words."""
    return partial(outcome, capsys)


@pytest.fixture(scope="module")
def xor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset without documents; not to be changed."""
    out = tmp_path_factory.mktemp("output") / "xor"
    build_xor(XorSpec(rows={"train": 9, "validation": 2, "test": 2}), out, workers=1, write_card=no_card)
    return out


def is_plain(text: str) -> bool:
    return all(letter.isprintable() or letter == "\n" for letter in text)


def test_info_shows_names_as_text(run: Callable[..., Outcome], xor: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(xor, tmp_path / "copy")
    manifest = manifests.read(copy)
    identity = replace(manifest.identity, dataset=HOSTILE, spec={HOSTILE: HOSTILE, "list": [HOSTILE]})
    dropped = [Dropped(reason=HOSTILE, count=2, examples=[]), Dropped(reason="few", count=None, examples=[])]
    manifests.write(copy, replace(manifest, identity=identity, dropped=dropped))
    said = run("info", copy)
    assert said.code == 0 and is_plain(said.out)
    assert "[red]x[/red]\\x1b]0;owned" in said.out and "\\u202e" in said.out and "withheld: few" in said.out
    said = run("info", copy, "--json")
    assert is_plain(said.out)
    assert json.loads(said.out)["dataset"] == HOSTILE


def test_what_a_source_dropped_is_not_said_again(xor: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = (Dropped(reason=reason, count=count, examples=["x"]) for reason, count in (("old", 3), ("new", 4)))
    source = replace(manifests.read(xor), dropped=[old])
    report(xor, replace(source, dropped=[old, new]), source)
    said = capsys.readouterr().out
    assert "dropped: 4 (new), such as x" in said and "(old)" not in said
    report(xor, source)
    assert "dropped: 3 (old), such as x" in capsys.readouterr().out


def test_a_card_is_printed_without_control_characters(run: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"# {HOSTILE}\r\nक्‍ष\n", encoding="utf-8")
    said = run("card", tmp_path, "--print")
    assert said.code == 0 and "\x1b" not in said.out and "\u202e" not in said.out and "\r" not in said.out
    assert "क्‍ष\n" in said.out


def test_lines_cells_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    say_json({"a": HOSTILE, "b": "λιοντάρι \U000e0001 \udcff"})
    said = capsys.readouterr().out
    assert is_plain(said) and said.count("\n") == 2
    assert json.loads(said.splitlines()[1]) == {"a": HOSTILE, "b": "λιοντάρι \U000e0001 \udcff"}
    assert "λιοντάρι" in said
    assert cell(HOSTILE).plain.startswith("[red]x[/red]\\x1b") and not cell(HOSTILE).spans


@pytest.mark.parametrize("name", ["a[1]b", "x[", "[!a]", "st*r?", 'it\'s "q"', "sp ace", "back\\slash"])
@pytest.mark.parametrize("inside", [False, True], ids=["named", "within"])
def test_the_line_that_loads_can_be_pasted(
    xor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, inside: bool
) -> None:
    shutil.copytree(xor, tmp_path / name / "data" if inside else tmp_path / name)
    monkeypatch.chdir(tmp_path / name if inside else tmp_path)
    directory = Path("data" if inside else name)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    loaded = eval(loading_line(directory, manifests.read(directory)), {"datasets": datasets})
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 9, "validation": 2, "test": 2}
    assert isinstance(loaded["train"].features["a"], datasets.List)


def test_a_path_that_datasets_cannot_read_is_opened_otherwise(xor: Path, tmp_path: Path) -> None:
    import pathlib

    import symile_data.loaders

    copy = shutil.copytree(xor, tmp_path / "a::b")
    line = loading_line(copy, manifests.read(copy))
    split = eval(line, {"symile_data": symile_data, "pathlib": pathlib})
    assert split.rows == 9


def test_a_pooled_dataset_names_its_rows(xor: Path, tmp_path: Path) -> None:
    manifest = manifests.read(xor)
    assert loading_line(tmp_path, manifest) == f"datasets.load_dataset({str(tmp_path)!r})"
    pooled = replace(manifest, pooled=Deduplicated(pools=(), columns=()))
    assert loading_line(tmp_path, pooled) == f"datasets.load_dataset({str(tmp_path)!r}, 'pairs')"


def test_commands_to_paste_are_quoted(run: Callable[..., Outcome], tmp_path: Path) -> None:
    place = tmp_path / "with blank's"
    said = run("sample", "mimic", place, "--patients", "20")
    words = shlex.split(said.out.split("build with: ")[1])
    assert words[words.index("--mimic-iv") + 1] == str(place / "mimic-iv")


def test_numbers_and_their_nouns_agree() -> None:
    """A number that may be one stands before its noun through `counted`; the rows of several splits are listed."""
    folder = Path(symile_data.cli.__file__).parent
    nouns = "rows|files|shards|images|recordings|admissions|events|classes|names|numbers|samples|seeds|groups|workers"
    found = [
        (path.name, line.strip())
        for path in sorted(folder.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(rf"\}} ({nouns}|MB|GB)\b", line)
    ]
    allowed = (
        ": {rows} rows, ",
        "; {rows} rows, ",
        "{seeds} seeds, 95%",
        "{count} seeds, 95%",
        "{described['classes']} classes",
    )
    assert [line for _, line in found if not any(part in line for part in allowed)] == []
