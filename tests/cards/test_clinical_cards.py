"""Cards of hospital admissions: the selection is told, small counts of patients are not."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from mimic_tree import Tree

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.cards import write_card
from symile_data.cards.figures.clinical import draw_hours, draw_measured
from symile_data.cards.statistics import clinical
from symile_data.datasets.mimic.schema import mimic_schema
from symile_data.format import manifest as manifests

FIRST = 10_000_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 patients; one X-ray is posteroanterior, one admission lacks an X-ray. Not to be changed."""
    root = tmp_path_factory.mktemp("mimic")
    tree = Tree(root)
    for number in range(20):
        tree.complete(FIRST + number, 20_000_000 + number)
    tree.pictures[3]["ViewPosition"] = "PA"
    tree.admit(FIRST + 30, 20_000_030)
    spec = MimicSpec(roots=tree.write(), train=20, validation=0)
    build_mimic(spec, root / "out", workers=1, write_card=no_card)
    return root / "out"


def card(directory: Path, **sources: object) -> tuple[str, dict[str, Any]]:
    manifest = manifests.read(directory)
    identity = replace(manifest.identity, sources={**manifest.identity.sources, **sources})
    write_card(directory, replace(manifest, identity=identity, files=manifest.shards()), mimic_schema())
    return (directory / "README.md").read_text(), json.loads((directory / "stats.json").read_text())


def test_hours_are_counted_in_bins_that_are_closed_away_from_admission() -> None:
    """The ends of a window, 24 hours before and after admission, belong to its first and last bin."""
    batches = [[3.0, None, 2.5], [-24.0, 24.0, 0.1], [-3.0, -2.9, 0.0]]
    start, counts = 0, np.zeros(0, dtype=np.int64)
    for hours in batches:
        start, counts = clinical._add_bins(start, counts, pa.array(hours))
    assert start == -8 * clinical.BIN_HOURS and len(counts) == 16
    assert {place - 8: count for place, count in enumerate(counts.tolist()) if count} == {-8: 1, -1: 2, 0: 4, 7: 1}


def test_the_selection_is_told_and_drawn(built: Path) -> None:
    text, statistics = card(built, records={"kind": "sample"})
    assert "| with a frontal chest X-ray 24 to 72 hours after admission | 20 |" in text
    assert [step["count"] for step in statistics["funnel"]] == [None, 20, 20, 20, 20, 20, 20]
    assert statistics["categories"]["view_position"]["train"] == {"AP": 19, "PA": 1}
    assert statistics["measured"]["train"]["Creatinine"] == 20 and statistics["measured"]["train"]["pH"] == 0
    assert statistics["hours"]["cxr_hours"] == {"first_bin": 27, "bin": 3, "counts": [20]}
    drawn = {path.name for path in (built / "figures").glob("*.png")}
    assert {"funnel.png", "hours.png", "measured.png", "findings.png", "view_position.png"} <= drawn
    assert not any(name.startswith("chexpert") for name in drawn)
    assert "Unlike the public pipeline: Splits are made by patient." in text


def test_patients_data_shows_no_small_counts(built: Path) -> None:
    text, statistics = card(built)
    assert "must not be shared" in text and "PhysioNet Credentialed" in text
    assert statistics["categories"]["view_position"]["train"] == {}  # 19 AP of 20 would tell one PA
    assert [step["count"] for step in statistics["funnel"]] == [None, 20, 20, 20, 20, 20, 20]
    assert "| admissions | withheld |" in text
    assert not any(0 < number < 10 for number in numbers(statistics))
    text = re.sub(r"```.*?```|`[^`]*`|^---.*?^---", "", text, flags=re.DOTALL | re.MULTILINE)
    cells = re.findall(r"\| (\d+) (?=\|)", text)
    assert [cell for cell in cells if 0 < int(cell) < 10] == ["1"]  # shards of the split


def test_what_is_left_of_a_split_is_no_small_count(built: Path) -> None:
    _, statistics = card(built)
    for splits in (*statistics["categories"].values(), {s: m["patterns"] for s, m in statistics["missing"].items()}):
        for split, counts in splits.items():
            rest = statistics["rows"][split] - sum(counts.values())
            assert rest == 0 or rest >= 10, (split, counts)
    for split, tests in statistics["measured"].items():
        rests = [statistics["rows"][split] - count for count in tests.values() if count is not None]
        assert all(rest == 0 or rest >= 10 for rest in rests)
    counts = [step["count"] for step in statistics["funnel"] if step["count"] is not None]
    assert all(abs(one - other) not in range(1, 10) for one in counts for other in counts)
    croissant = json.loads((built / "croissant.json").read_text())
    assert not re.search(r"\b[1-9] left out|left out \([1-9]\)", json.dumps(croissant))


def numbers(statistics: dict[str, Any]) -> list[int]:
    """Every count of rows or admissions in the statistics."""
    found = [step["count"] for step in statistics["funnel"]]
    for part in ("categories", "measured"):
        for value in statistics[part].values():
            found += [n for inner in value.values() for n in (inner.values() if isinstance(inner, dict) else [inner])]
    found += [n for part in statistics["identifiers"].values() for counts in part.values() for n in counts.values()]
    found += [n for of in statistics["hours"].values() for n in of["counts"]]
    found += [n for of in statistics["missing"].values() for n in of["patterns"].values()]
    return [number for number in found if isinstance(number, int)]


def test_every_split_and_every_kind_of_event_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []  # figures
    monkeypatch.setattr("symile_data.plotting.style.save", lambda figure, _: drawn.append(figure))
    splits = ["train", "validation", "test", "later", "elsewhere", "last"]
    measured = {split: {"pH": place, "pO2": 10 - place} for place, split in enumerate(splits)}
    draw_measured(tmp_path / "measured.png", {"rows": dict.fromkeys(splits, 10), "measured": measured})
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == splits
    dots = [points for axes in drawn[0].axes for points in axes.collections]
    assert [(points.get_label(), points.get_offsets()[0][0]) for points in dots] == [
        (split, 10.0 * measured[split][test]) for test in ("pO2", "pH") for split in splits[1:]
    ]
    looks = {(points.get_facecolor().tobytes(), points.get_paths()[0].vertices.tobytes()) for points in dots}
    assert len(looks) == len(splits) - 1

    counts = {f"event {place}": place + 1 for place in range(5)}
    hours = {name: {"first_bin": 0, "bin": 3, "counts": [count]} for name, count in counts.items()}
    draw_hours(tmp_path / "hours.png", hours, {})
    heights = {axes.get_title(loc="left"): axes.patches[0].get_height() for axes in drawn[1].axes}
    assert list(heights.items()) == list(counts.items())
    assert {axes.get_ylabel() for axes in drawn[1].axes} == {"events"}, "a row has many blood tests"
