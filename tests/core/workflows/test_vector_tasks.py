"""The tasks on vectors: their rows are those of a build, reliable or not, and their references are exact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.datasets.xor import unreliable
from symile_data.errors import UsageError
from symile_data.experiments.objective_designs import DESIGNS
from symile_data.experiments.objective_plan import Point, Recipe
from symile_data.loaders import open_split
from symile_data.reliability import Reliability
from symile_data.workflows.objectives.pid_task import PidTask
from symile_data.workflows.objectives.training import row_order
from symile_data.workflows.objectives.xor_task import XorTask

pytestmark = pytest.mark.usefixtures("undrawn")

RECIPE = Recipe(dim=4, batch=16, steps=1, tuning_steps=1, lrs=(0.1,), scales=(1.0,), weight_decay=0.0)
ROWS = {"train": 64, "validation": 16, "test": 16}
XOR = Point(dataset="xor", modalities=3, dims=1)
PID = Point(dataset="pid", modalities=3, design="mixed", encoder="mlp")


def test_xor_rows_are_those_of_a_build(tmp_path: Path) -> None:
    point = replace(XOR, modalities=4, dims=2, rate=0.5)
    task = XorTask(point, ROWS, 3)
    spec = XorSpec(variables=4, dims=2, rows=ROWS, seed=3, missing=dict.fromkeys("abcd", 0.5))
    build_xor(spec, tmp_path, workers=1, write_card=no_card)
    table = open_split(tmp_path, "test").read_all(["b", "d"])
    held_out = task.held_out("test")
    for name, place in (("b", 1), ("d", 3)):
        assert held_out.values[place].tolist() == [[2 * bit - 1 for bit in bits] for bits in table[name].to_pylist()]
    same = held_out.labels[:, None] == held_out.labels
    assert torch.equal(same, (held_out.values[1][:, None] == held_out.values[1]).all(dim=2))
    batch = next(task.batches(ROWS["train"], 0))
    _, order = next(row_order(ROWS["train"], ROWS["train"], 0))
    masks = open_split(tmp_path, "train").read_all([f"{name}_missing" for name in "abcd"])
    stored = np.stack([masks[name].to_numpy() for name in masks.column_names], axis=1)
    assert batch.missing is not None and np.array_equal(batch.missing.numpy(), stored[order.numpy()])
    assert all((value[batch.missing[:, m]] == 0).all() for m, value in enumerate(batch.values))
    assert all(value[~batch.missing[:, m]].abs().eq(1).all() for m, value in enumerate(batch.values))


@pytest.mark.parametrize("design", DESIGNS)
def test_pid_rows_are_those_of_a_build(design: str, tmp_path: Path) -> None:
    point = Point(dataset="pid", modalities=3, design=design, encoder="mlp")
    task = PidTask(point, ROWS, 3)
    build_pid(PidSpec(design=DESIGNS[design], rows=ROWS, seed=3), tmp_path, workers=1, write_card=no_card)
    table = open_split(tmp_path, "train").read_all(["a", "b", "c"])
    batch, (_, order) = next(task.batches(16, 0)), next(row_order(ROWS["train"], 16, 0))
    for name, value in zip("abc", batch.values, strict=True):
        stored = np.array(table[name].to_pylist())[order.numpy()]
        shifted = value.numpy() / 2 - stored  # by the mean of each place, for all rows alike
        assert np.allclose(shifted, shifted[0], atol=1e-6)
        assert np.isclose(np.abs(value.numpy()).max(), 1.0) or stored.shape[1] != 2  # bits are signs
    test = open_split(tmp_path, "test").read_all(["b_value"])["b_value"].to_numpy()
    labels = task.held_out("test").labels.numpy()
    assert np.array_equal(labels[:, None] == labels, test[:, None] == test)
    encoders = task.encoders(RECIPE, imputed=True)
    embedded = [encoder(value, None) for encoder, value in zip(encoders, batch.values, strict=True)]
    assert [one.shape for one in embedded] == [(16, RECIPE.dim)] * 3


def test_references_of_designs_are_exact() -> None:
    """Pairs tell all of one design, nothing of the next, and a quarter of the third."""
    known = {"redundant": (0.8125, 0.8125), "synergistic": (1.0, 1 / 13), "mixed": (1.0, 0.25)}
    assert set(known) == set(DESIGNS)
    for design, (bayes, pairwise) in known.items():
        rows = {"train": 1, "validation": 1, "test": 20_000}
        found = PidTask(Point(dataset="pid", modalities=3, design=design), rows, 0).references()
        assert (found["bayes"], found["pairwise"]) == pytest.approx((bayes, pairwise), abs=1e-12)
        values = DESIGNS[design].values_of("b")
        assert found["random_candidate"] == pytest.approx(1 / values, rel=0.02)


UNRELIABLE = [
    replace(XOR, dims=3, rate=0.5, unreliable="misaligned"),
    replace(XOR, dims=3, rate=0.5, unreliable="misaligned", affected=("b",)),
    replace(XOR, dims=3, rate=0.5, unreliable="noisy", affected=("a",), level=0.25),
    replace(PID, rate=0.5, unreliable="misaligned"),
    replace(PID, rate=0.5, unreliable="noisy", affected=("a",), level=0.25),
]


@pytest.mark.parametrize("point", UNRELIABLE, ids=lambda point: point.name)
def test_unreliable_rows_are_those_of_a_build(point: Point, tmp_path: Path) -> None:
    task = task_of(point, ROWS, 3)
    rates = dict.fromkeys(point.affected or "abc", 0.5)
    if point.unreliable == "misaligned":
        reliability = Reliability(misaligned=rates, misaligned_test=True)
    else:
        reliability = Reliability(noisy=rates, noise_levels={"a": 0.25}, noisy_test=True)
    settings: dict[str, Any] = {"rows": ROWS, "seed": 3, "reliability": reliability}
    if point.dataset == "xor":
        build_xor(XorSpec(dims=3, **settings), tmp_path, workers=1, write_card=no_card)
    else:
        build_pid(PidSpec(design=DESIGNS["mixed"], **settings), tmp_path, workers=1, write_card=no_card)
    batch, (_, order) = next(task.batches(16, 0)), next(row_order(ROWS["train"], 16, 0))
    train, test = (open_split(tmp_path, split).read_all(list("abc")) for split in ("train", "test"))
    affected, reliable = task.held_out("test", affected=True), task.held_out("test")
    assert batch.missing is None
    for place, name in enumerate("abc"):
        mean = task.mean(name)
        assert torch.allclose(batch.values[place] / 2 + mean, torch.tensor(train[name].to_pylist())[order])
        assert torch.allclose(affected.values[place] / 2 + mean, torch.tensor(test[name].to_pylist()))
        changed = not torch.equal(affected.values[place], reliable.values[place])
        assert changed == (name in rates)
    shown = affected.values[1]
    same = (shown[:, None] == shown).all(dim=2)
    assert torch.equal(affected.labels[:, None] == affected.labels, same)  # judged by what is shown
    whole = task_of(replace(point, rate=0.0), ROWS, 3)
    assert all(map(torch.equal, whole.held_out("validation").values, task.held_out("validation").values))
    assert torch.equal(whole.held_out("test").labels, reliable.labels)
    assert whole.identity() != task.identity()


def task_of(point: Point, rows: dict[str, int], seed: int) -> XorTask | PidTask:
    return XorTask(point, rows, seed) if point.dataset == "xor" else PidTask(point, rows, seed)


def test_references_of_affected_rows_are_exact() -> None:
    misaligned, _, noisy, mixed, noisy_mixed = (task_of(point, ROWS, 0).references() for point in UNRELIABLE)
    assert misaligned["bayes"] == noisy["bayes"] == mixed["bayes"] == 1.0
    assert misaligned["bayes_affected"] == unreliable.misaligned_accuracy(1.0, 3, [0.5] * 3)
    assert noisy["bayes_affected"] == pytest.approx((1 + 0.75**3) / 2)
    assert noisy_mixed["bayes_affected"] == pytest.approx((1 + 0.75 * 0.75**2) / 2)
    # All is intact in an eighth of the rows, and c alone tells the common symbol where only a is misaligned.
    assert 1 / 8 + 1 / 8 * 1 / 8 < mixed["bayes_affected"] < 0.5
    assert "bayes_affected" not in task_of(XOR, ROWS, 0).references()


def test_only_one_modality_is_noisy() -> None:
    with pytest.raises(UsageError, match="one noisy modality"):
        replace(XOR, rate=0.5, unreliable="noisy")


def test_missing_modalities_of_designs_are_masked() -> None:
    point = replace(PID, rate=0.5)
    batch = next(task_of(point, ROWS, 0).batches(64, 0))
    assert batch.missing is not None and 0.3 < batch.missing.float().mean() < 0.7
    assert all((value[batch.missing[:, m]] == 0).all() for m, value in enumerate(batch.values))
    assert "bayes_affected" not in task_of(point, ROWS, 0).references()
