"""`symile-data card`: what people state, and what a datasets track would find missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import outcome
from datasets import Features, List, Value

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cards import write_card
from symile_data.cards.croissant.check import missing_fields


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symile_data.cards.draw_figures", lambda *_: [])


@pytest.fixture
def xor(tmp_path: Path) -> Path:
    build_xor(XorSpec(rows={"train": 8, "validation": 4, "test": 4}), tmp_path / "x", workers=1, write_card=write_card)
    return tmp_path / "x"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A custom dataset of which nothing is stated."""
    columns = Features({name: List(Value("float32"), length=2) for name in "ab"})
    schema = own_schema(columns, dict.fromkeys("ab", "vector"))
    rows = [{"a": [0.0, 1.0], "b": None}] * 3
    write_dataset(tmp_path / "m", name="m", schema=schema, splits={"train": rows}, spec={}, write_card=write_card)
    return tmp_path / "m"


def test_the_check_lists_what_is_missing_until_it_is_given(xor: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = outcome(capsys, "card", xor, "--check", "neurips")
    assert found.code == 1
    assert found.out.splitlines() == [
        f"{xor}: croissant.json lacks 2 of 16 fields:",
        "  creator        symile-data card DIR --creator NAME, or push",
        "  datePublished  symile-data card DIR --published YYYY-MM-DD, or push",
    ]
    assert (
        outcome(capsys, "card", xor, "--creator", "Ada", "--creator", "org:Lab", "--published", "2026-12-01").code == 0
    )
    found = outcome(capsys, "card", xor, "--check", "neurips")
    assert (found.code, found.out) == (0, f"{xor}: croissant.json has all 16 fields\n")
    creators = json.loads((xor / "croissant.json").read_text())["creator"]
    assert [creator["@type"] for creator in creators] == ["sc:Person", "sc:Organization"]


def test_custom_data_get_everything_from_one_file(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = outcome(capsys, "card", mine, "--check", "neurips", "--json")
    missing = json.loads(found.out)["missing"]
    assert found.code == 1 and list(missing) == [
        "license",
        "url",
        "creator",
        "datePublished",
        "rai:dataLimitations",
        "rai:dataBiases",
        "rai:personalSensitiveInformation",
        "rai:dataUseCases",
        "rai:dataSocialImpact",
        "rai:hasSyntheticData",
        "prov:wasDerivedFrom",
    ]
    assert missing["rai:dataBiases"] == 'dataBiases = ["..."] under [rai] in the file of --statements'
    statements = tmp_path / "s.toml"
    statements.write_text(
        """
licence = "CC0-1.0"
url = "https://example.org/m"
creators = ["Ada"]
published = 2026-12-01
[rai]
dataLimitations = ["few"]
dataBiases = ["none known"]
personalSensitiveInformation = ["none"]
dataUseCases = ["tests"]
dataSocialImpact = "none known"
hasSyntheticData = false
[[derived_from]]
name = "nothing"
"""
    )
    assert outcome(capsys, "card", mine, "--statements", statements).code == 0
    assert missing_fields(mine) == []


def test_a_card_of_an_older_version_is_told_from_a_new_one(xor: Path) -> None:
    path = xor / "croissant.json"
    path.write_text(path.read_text().replace("croissant/1.1", "croissant/1.0"))
    assert missing_fields(xor) == ["conformsTo", "creator", "datePublished"]


def test_mistakes_are_told(xor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(capsys, "card", xor, "--check", "icml").code == 2
    for words in (("--check", "neurips", "--creator", "A"), ("--print", "--published", "2026-12-01")):
        found = outcome(capsys, "card", xor, *words)
        assert found.code == 2 and "--check and --print write nothing, so they stand alone" in found.err
    found = outcome(capsys, "card", xor, "--published", "tomorrow")
    assert found.code == 2 and "the date of publication is YYYY-MM-DD; got 'tomorrow'" in found.err
    assert "datePublished" not in (xor / "croissant.json").read_text()
    (xor / "croissant.json").unlink()
    found = outcome(capsys, "card", xor, "--check", "neurips")
    assert found.code == 1 and "the dataset has no croissant.json" in found.err
    assert outcome(capsys, "card", tmp_path / "none", "--check", "neurips").code == 1
