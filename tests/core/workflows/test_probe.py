"""`symile-data probe` on small runs: what stands in its results, which columns are labels, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command import call, outcome
from factories import build, rows_of
from figure_colours import bright_colours

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.datasets.pid import Block, Design
from symile_data.evaluation.probe_figure import draw_probes
from symile_data.training.config import read_config
from symile_data.training.run import load_module
from symile_data.training.run_record import read_run
from symile_data.workflows.classification.labels import NULL, read_labels
from symile_data.workflows.classification.runs import find_runs
from symile_data.workflows.evaluate import Experiment, run_experiment
from symile_data.workflows.training_data import TrainingData

ABC = ("a", "b", "c")
SIZES = {"train": 240, "validation": 60, "test": 90}


def design(strength: float) -> Design:
    blocks = (
        Block(name="shape", relation="redundant", scope=ABC, values=3),
        Block(name="colour", relation="private", scope=("a",), values=3),
        Block(name="rule", relation="synergistic", scope=ABC, values=2, strength=strength),
    )
    return Design(modalities=dict.fromkeys(ABC, "vector"), blocks=blocks)


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both datasets and two seeds of one objective; not to be changed but for results of probes."""
    out = tmp_path_factory.mktemp("probe")
    for name, strength in (("always", 1.0), ("half", 0.0)):
        spec = PidSpec(design=design(strength), rows=SIZES, missing={"b": 0.2})
        build_pid(spec, out / name, workers=1, write_card=no_card)
    config = read_config("pid-vectors", {"epochs": 1, "batch_size": 80, "dim": 8})
    run_experiment(Experiment(configs={"symile": config}, seeds=2), TrainingData(out / "always"), out / "runs")
    return out


def test_the_table_and_the_files(
    place: Path,
    undrawn: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = place / "runs"
    assert call("probe", runs, "--data", place / "half", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((runs / "probe.json").read_text())
    assert (runs / "probe.png").is_file()
    monkeypatch.setattr("symile_data.plotting.style.save", undrawn)
    draw_probes(tmp_path / "probe.png", found)
    assert bright_colours(tmp_path / "probe.png") > 5, "marks and lines in the colours of methods"
    complete = [row for row in rows_of(place / "half", "train") if not row["b_missing"]]
    assert found["rows"]["train"] == len(complete) < SIZES["train"]
    assert found["rows"]["test"] == SIZES["test"]
    assert set(found["labels"]) == {"a_shape", "a_colour", "a_rule", "b_rule", "c_rule", "rule_holds"}
    assert found["left_out"] == {
        "b_shape": "the same as a_shape", "c_shape": "the same as a_shape",
        "shape_holds": "one value in the training rows", "colour_holds": "one value in the training rows",
    }  # fmt: skip
    bayes = found["labels"]["rule_holds"]["bayes"]
    assert bayes == {"a": 0.5, "b": 0.5, "c": 0.5, "concatenation": 1.0, "product": 1.0, "both": 1.0}
    assert found["labels"]["a_colour"]["information"] == "unique"
    symile = found["runs"]["symile"]
    assert symile["seeds"] == [0, 1]
    for network in ("trained", "untrained"):
        assert set(symile[network]) == set(found["labels"])
        assert symile[network]["a_colour"]["a"]["mean"] == 1.0  # linear encoders keep it
        assert symile[network]["a_colour"]["b"]["mean"] < 0.6
        assert len(symile[network]["a_colour"]["a"]["values"]) == 2
    assert symile["trained"] != symile["untrained"]


def test_one_run_and_one_label(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = place / "runs" / "seed-1" / "symile"
    assert call("probe", run, "--label", "a_value") == 0
    out = capsys.readouterr().out
    assert "symile untrained" in out and "a_value" in out and "Bayes" in out
    assert "rows with every modality" in out
    found = json.loads((run / "probe.json").read_text())
    assert found["runs"]["symile"]["seeds"] == [1] and list(found["labels"]) == ["a_value"]
    assert "low" not in found["runs"]["symile"]["trained"]["a_value"]["a"]


def test_what_is_refused(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = place / "runs"
    said = outcome(capsys, "probe", runs, "--label", "size")
    assert said.code == 2 and "no such group of labels; got size. See its 23 columns with symile-data info" in said.err
    said = outcome(capsys, "probe", runs, "--label", "rule_holds")
    assert said.code == 2 and "rule_holds with one value in the training rows" in said.err
    said = outcome(capsys, "probe", tmp_path)
    assert said.code == 1 and "this is not a run directory" in said.err
    build_xor(XorSpec(dims=2, rows=SIZES), tmp_path / "xor", workers=1, write_card=no_card)
    said = outcome(capsys, "probe", runs, "--data", tmp_path / "xor")
    assert said.code == 2 and "the dataset to probe has other modalities than the run" in said.err
    build_pid(
        PidSpec(design=design(0.0), rows={"train": 80, "test": 0, "validation": 9}),
        tmp_path / "untested", workers=1, write_card=no_card,
    )  # fmt: skip
    said = outcome(capsys, "probe", runs, "--data", tmp_path / "untested")
    assert said.code == 2 and "probes need rows of every split" in said.err


def test_runs_are_found_by_name_and_seed(place: Path) -> None:
    runs = place / "runs"
    assert find_runs(runs) == {"symile": {seed: runs / f"seed-{seed}" / "symile" for seed in (0, 1)}}
    assert find_runs(runs / "seed-0") == {"symile": {0: runs / "seed-0" / "symile"}}
    trained, fresh = load_module(runs / "seed-0" / "symile"), read_run(runs / "seed-0" / "symile").make_module()
    assert any(not torch.equal(one, other) for one, other in zip(trained.parameters(), fresh.parameters(), strict=True))


def test_labels_of_bits_and_of_symile_m3(tree: Path, tmp_path: Path) -> None:
    build_xor(XorSpec(dims=2, rows=SIZES), tmp_path / "xor", workers=1, write_card=no_card)
    data = TrainingData(tmp_path / "xor")
    rows = {split: rows_of(tmp_path / "xor", split) for split in SIZES}
    ids = {split: np.array([row["sample_id"] for row in rows[split]])[::-1] for split in rows}
    labels = read_labels(data, ids).values
    assert set(labels) == {"a", "b", "c"}
    bits = [tuple(row["b"]) for row in rows["test"]][::-1]
    numbers = labels["b"]["test"].tolist()
    assert len(set(zip(bits, numbers, strict=True))) == len(set(bits)) == 4 and NULL not in numbers
    build(tree, tmp_path / "m3", rows={"train": 60, "validation": 6, "test": 6})
    data = TrainingData(tmp_path / "m3")
    ids = {split: np.array([row["sample_id"] for row in rows_of(tmp_path / "m3", split)]) for split in SIZES}
    read = read_labels(data, ids)
    assert {"lang", "cls"} <= set(read.values)
    assert "cls_id" in read.left_out and "wnid" in read.left_out
