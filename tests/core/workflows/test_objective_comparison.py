"""The comparison of objectives on tiny plans, from nothing to the table, and again without training anything."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import call

from symile_data.errors import UsageError
from symile_data.experiments import objective_plan
from symile_data.experiments.objective_plan import PRESETS, Plan, Point, Recipe
from symile_data.files import digest
from symile_data.losses import objectives as registry
from symile_data.losses.objectives import find_objective, register
from symile_data.losses.objectives.symile_pair import SymilePairLoss
from symile_data.workflows.objectives import run_comparison, training
from symile_data.workflows.objectives.m3_task import M3Data, M3Task, prepare, resampled
from symile_data.workflows.objectives.training import Setting, row_order, train
from symile_data.workflows.objectives.trials import Cell, ObjectiveTrial, measure_cell
from symile_data.workflows.objectives.xor_task import XorTask

RECIPE = Recipe(
    dim=4, batch=16, steps=6, tuning_steps=4, lrs=(0.1, 0.01), scales=(1.0, 2.0), weight_decay=0.0, check_every=2
)
ROWS = {"train": 64, "validation": 16, "test": 16}
XOR = Point(dataset="xor", modalities=3, dims=1)
PLAN = Plan(
    points=(replace(XOR, encoder="mlp"), replace(XOR, rate=0.5)),
    seeds=2,
    vector_rows=ROWS,
    m3_rows=ROWS,
    recipes={"xor": RECIPE, "m3": RECIPE},
)


class Outsider(SymilePairLoss):
    """An objective that the package does not know."""


@pytest.fixture
def outsider(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(registry, "_registered", {})
    register("outsider", Outsider, "An outsider")
    return "outsider"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Setting]:
    """All trainings that were run."""
    seen: list[Setting] = []

    def counted(task: Any, recipe: Recipe, setting: Setting) -> Any:
        seen.append(setting)
        return train(task, recipe, setting)

    monkeypatch.setattr(training, "train", counted)
    return seen


def test_trials_run_once_and_stay_when_objectives_are_added(
    trained: list[Setting],
    outsider: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(objective_plan.PRESETS, "small", PLAN)
    words = ("reproduce", "objectives", "--preset", "small", "--out", tmp_path, "--workers", "1")
    assert call(*words, "--objectives", "clip,pmrl") == 0
    said = capsys.readouterr()
    assert "CLIP" in said.out and "results.png" in said.out and "objectives: 3/3 cells" in said.err
    # CLIP at both points with a grid of at most 4 and 2 seeds; PMRL has fixed temperatures and no policy.
    assert {setting.objective for setting in trained} == {"clip", "pmrl"}
    assert all(setting.scale == 1 for setting in trained if setting.objective == "pmrl")
    assert sum(not setting.tuning for setting in trained) == 6
    points = json.loads((tmp_path / "results.json").read_text())
    assert points["plan"]["seeds"] == 2 and "learning rates 0.1, 0.01" in points["notes"][0]
    first = (tmp_path / "results.csv").read_text()
    assert first.count("\n") == 7 and (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    trained.clear()
    assert call(*words, "--objectives", "clip,pmrl", "--json") == 0
    assert json.loads(capsys.readouterr().out)["points"] == points["points"]
    assert trained == [] and (tmp_path / "results.csv").read_text() == first
    assert call(*words, "--objectives", f"clip,pmrl,{outsider}") == 0
    assert {setting.objective for setting in trained} == {outsider}
    assert "An outsider" in (tmp_path / "results.md").read_text()
    more = (tmp_path / "results.csv").read_text().splitlines()
    assert [line for line in more if ",outsider," not in line] == first.splitlines()


def test_a_cell_brings_its_objective_to_a_worker(
    outsider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker process has only what is pickled; its registry knows no objective of this process."""
    cell = Cell(point=XOR, objective=outsider, entry=find_objective(outsider), plan=PLAN, out=tmp_path)
    sent = pickle.dumps(cell)
    monkeypatch.setattr(registry, "_registered", {})
    found = measure_cell(pickle.loads(sent))
    twin = measure_cell(replace(cell, objective="symile-pair", entry=find_objective("symile-pair")))
    assert found == twin


def test_objectives_are_compared_where_they_are_defined(trained: list[Setting], tmp_path: Path) -> None:
    four = replace(XOR, modalities=4)
    plan = replace(PLAN, points=(four, replace(XOR, rate=0.5)), seeds=1)
    rows = run_comparison(plan, tmp_path, ["triangle", "symile", "gram-masked", "pmrl"])
    compared = [(row["modalities"], row["rate"], row["objective"]) for row in rows]
    assert compared == [
        (4, 0.0, "symile"), (4, 0.0, "gram-masked"), (4, 0.0, "pmrl"), (3, 0.5, "symile"), (3, 0.5, "gram-masked")
    ]  # fmt: skip
    with pytest.raises(UsageError, match="no objective is defined"):
        run_comparison(replace(plan, points=(four,)), tmp_path, ["triangle"])
    with pytest.raises(UsageError, match="names one twice"):
        run_comparison(plan, tmp_path, ["clip", "clip"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--preset", "large"), "is not one of 'small', 'full'"),
        (("--objectives", "clip,,gram"), "different objectives with commas between"),
        (("--objectives", "clip,clap"), "unknown objective"),
    ],
)
def test_mistakes_are_refused(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("reproduce", "objectives", *words) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_trials_of_xor_keep_their_keys() -> None:
    """Directory and key of a trial from before PID data were compared: its result is found again."""
    recipe = Recipe(dim=16, batch=128, steps=400, tuning_steps=200, lrs=(0.03,), scales=(1.0,), weight_decay=0.01)
    plan = replace(PRESETS["full"], recipes={"xor": recipe})
    point = Point(dataset="xor", modalities=3, dims=3, encoder="linear", rate=0.25)
    cell = Cell(point=point, objective="clip", entry=find_objective("clip"), plan=plan, out=Path("out"))
    trial = ObjectiveTrial(cell=cell, setting=Setting(objective="clip", lr=0.03, scale=1.0, seed=0, tuning=True))
    name = "xor-3-of-3-linear-missing-0.25/clip/tuning-200/lr-0.03-scale-1-seed-0"
    assert point in plan.points and trial.directory == Path("out/trials") / name
    assert digest(trial.identity()) == "f51075cde60027ce329758e03e47850bdc796e12cb5ee451ffb18493187b5390"


def setting(objective: str, **changes: Any) -> Setting:
    return replace(Setting(objective=objective, lr=0.1, scale=1.0, seed=0, tuning=False), **changes)


def test_symile_solves_one_bit_and_tuning_ends_there() -> None:
    rows = {"train": 512, "validation": 64, "test": 64}
    task = XorTask(XOR, rows, 0)
    recipe = replace(RECIPE, dim=8, batch=64, steps=80, tuning_steps=80, check_every=10)
    solved = train(task, recipe, setting("symile-pair", tuning=True))
    assert solved.accuracy(task, "validation") == 1.0 and solved.steps < 80 and solved.steps % 10 == 0
    assert train(task, recipe, setting("symile-pair")).steps == 80
    clip = train(task, recipe, setting("clip", tuning=True))
    assert clip.steps == 80 and clip.accuracy(task, "test") < 0.9
    assert task.references()["bayes"] == 1.0 and 0.5 <= task.references()["random_candidate"] < 0.6


def test_seeds_pair_the_objectives(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: dict[str, list[list[torch.Tensor]]] = {}
    for name in ("symile", "confu", "gated"):
        starts[name] = []
        for seed in (0, 1):
            nothing = replace(RECIPE, steps=1)
            encoders = train(XorTask(XOR, ROWS, seed), nothing, setting(name, lr=0.0, seed=seed)).encoders
            starts[name].append([parameter.detach() for encoder in encoders for parameter in encoder.parameters()])
    for seed in (0, 1):
        for name in ("confu", "gated"):
            assert all(map(torch.equal, starts["symile"][seed], starts[name][seed]))
    assert not torch.equal(starts["symile"][0][0], starts["symile"][1][0])


class Divergent(SymilePairLoss):
    """Its loss is not finite from the third batch on."""

    calls = 0

    def formula(self, embeddings: Sequence[torch.Tensor], scale: torch.Tensor, missing: Any) -> torch.Tensor:
        self.calls += 1
        return super().formula(embeddings, scale, missing) * (torch.nan if self.calls > 2 else 1.0)


def test_a_training_that_does_not_stay_finite_counts_as_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    register("divergent", Divergent)
    task = XorTask(XOR, ROWS, 0)
    lost = train(task, RECIPE, setting("divergent"))
    assert not lost.finite and lost.steps == 2
    assert lost.accuracy(task, "test") == task.references()["random_candidate"]


def test_an_epoch_holds_each_row_at_most_once() -> None:
    batches = row_order(10, 4, 0)
    epochs: dict[int, list[int]] = {}
    for _ in range(4):
        epoch, index = next(batches)
        epochs.setdefault(epoch, []).extend(index.tolist())
    assert list(epochs) == [0, 1] and epochs[0] != epochs[1]
    assert all(len(set(rows)) == len(rows) == 8 for rows in epochs.values())


def test_resampling_is_uniform_among_rows_of_the_same_label() -> None:
    labels = np.array([5, -1, 5, 5, -1])
    chosen = np.stack([resampled(labels, np.full(5, share)) for share in (0.0, 0.4, 0.9)])
    assert chosen.tolist() == [[0, 1, 0, 0, 1], [2, 1, 2, 2, 1], [3, 4, 3, 3, 4]]


def test_m3_trials_share_features_that_are_made_once(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[Setting]
) -> None:
    from symile_data.training import config as configs
    from symile_data.workflows.paper import m3_trials
    from symile_data.workflows.training_data import TrainingData

    small = {"inputs": {"image": {"size": 16}, "audio": {"n_mels": 40, "seconds": 0.5, "store": "float16"}}}
    whole = configs.read_config(
        "m3-small", {**small, "dim": 4, "encoders": {"image": {"width": 2}, "audio": {"width": 4}}}
    )
    assert whole.pretrain is not None
    tiny = replace(whole, batch_size=8, pretrain=replace(whole.pretrain, epochs=1, batch_size=8))
    monkeypatch.setattr(configs, "read_config", lambda *_: tiny)
    build = m3_trials.build_dataset

    def build_small(languages: int, rows: Mapping[str, int], _: None, directory: Path, workers: int) -> None:
        build(languages, rows, tree, directory, workers)  # of few images

    monkeypatch.setattr(m3_trials, "build_dataset", build_small)
    points = (rows_point(2), replace(rows_point(2), rate=0.5))
    plan = replace(
        PLAN,
        points=points,
        seeds=1,
        m3_rows={"train": 16, "validation": 8, "test": 8},
        recipes={"m3": replace(RECIPE, batch=8)},
    )
    rows = run_comparison(plan, tmp_path, ["symile", "symile-subset", "gram"])
    assert [(row["objective"], row["rate"]) for row in rows] == [
        ("symile", 0.0), ("symile-subset", 0.0), ("gram", 0.0), ("symile", 0.5), ("symile-subset", 0.5)
    ]  # fmt: skip
    assert all(0.5 <= row["pairwise"] <= row["bayes"] == 1.0 for row in rows)
    data = M3Data(directory=tmp_path / "m3-2", languages=2, rows=plan.m3_rows)
    monkeypatch.setattr(TrainingData, "pretrained", None)
    monkeypatch.setattr(TrainingData, "encoded", None)
    prepare(data)

    task = M3Task(replace(rows_point(2), rate=0.5), data)
    whole_task = M3Task(rows_point(2), data)
    assert sorted(task.names) == ["audio", "image", "text"] and task.target == "image"
    masked, complete = next(task.batches(16, 5)), next(whole_task.batches(16, 5))
    text = task.names.index("text")
    assert masked.missing is not None and complete.missing is None
    for gone, seen, before in zip(masked.missing[:, text], masked.values[text], complete.values[text], strict=True):
        assert seen == (None if gone else before)
    train_rows = task._saved["splits"]["train"]
    _, order = next(row_order(16, 16, 5))
    image = task.names.index("image")
    for row, value in zip(order, complete.values[image], strict=True):
        same = train_rows["cls_id"] == train_rows["cls_id"][row]
        assert any(torch.equal(value, other) for other in train_rows["image"][same])
    assert [text.split("_")[0] for text in complete.values[text]] != []
    trained.clear()
    assert run_comparison(plan, tmp_path, ["symile", "symile-subset", "gram"]) == rows and trained == []


def rows_point(languages: int) -> Point:
    return Point(dataset="m3", modalities=3, languages=languages)


def test_one_process_and_two_give_the_same_results(tmp_path: Path) -> None:
    plan, names = replace(PLAN, seeds=1), ["symile", "clip"]
    one, two = (run_comparison(plan, tmp_path / str(workers), names, workers=workers) for workers in (1, 2))
    assert one == two
    assert {row["objective"] for row in one} == set(names)
    kept = [sorted(path.relative_to(tmp_path / n) for path in (tmp_path / n / "trials").rglob("*.json")) for n in "12"]
    assert kept[0] == kept[1] != []
