"""Supervised baselines: what each fusion sees, which rows have a loss, and what a config says of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from symile_data.datasets.mimic.labels import LabelPolicy
from symile_data.errors import UsageError
from symile_data.format.schema import Modality
from symile_data.training.config import TrainConfig, read_config
from symile_data.training.run_record import RunInfo
from symile_data.training.supervised.config import SupervisedConfig, all_fusions
from symile_data.training.supervised.module import SupervisedModule
from symile_data.training.supervised.targets import NO_CLASS, Targets

NAMES = ("a", "b", "c")
MODALITIES = tuple(Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in NAMES)
CLASSES = {"sick": ("0", "1"), "ward": ("x", "y", "z")}


def config(fusion: str, **changes: Any) -> TrainConfig:
    baseline = SupervisedConfig(fusion=fusion, labels=tuple(CLASSES))
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 4, "dim": 6, "lr": 0.1, "target": "a", "label": "y"}
    return TrainConfig(**(settings | {"supervised": baseline} | changes))


def module_of(fusion: str, **changes: Any) -> SupervisedModule:
    info = RunInfo(
        config=config(fusion, **changes), dataset="own", fingerprint="", location="", modalities=MODALITIES,
        vocabularies={}, sizes=dict.fromkeys(NAMES, 5), classes=CLASSES,
    )  # fmt: skip
    module = info.make_module()
    assert isinstance(module, SupervisedModule)
    return module


def batch(missing: Tensor | None = None) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    values: dict[str, Any] = {name: torch.randn(4, 5, generator=generator) for name in NAMES}
    absent = torch.zeros(4, 3, dtype=torch.bool) if missing is None else missing
    return values | {"missing": absent, "padding": torch.zeros(4, dtype=torch.bool), "sample_id": torch.arange(4) + 10}


def some_missing() -> Tensor:
    missing = torch.zeros(4, 3, dtype=torch.bool)
    missing[1, 2] = missing[3, 2] = missing[0, 0] = True
    return missing


KNOWN = torch.tensor([[0, 2], [1, NO_CLASS], [NO_CLASS, 0], [1, 1]])
TARGETS = Targets.of(torch.tensor([13, 12, 11, 10]), KNOWN.flip(0))


def test_targets_are_looked_up_by_sample_id() -> None:
    assert torch.equal(TARGETS.of_batch(torch.arange(4) + 10), KNOWN)
    assert TARGETS.of_batch(torch.tensor([99, 12, 0])).tolist() == [[NO_CLASS] * 2, [NO_CLASS, 0], [NO_CLASS] * 2]


@pytest.mark.parametrize(("fusion", "seen"), [("unimodal:b", "b"), ("early", "abc"), ("late", "abc")])
def test_a_baseline_encodes_what_it_sees_and_nothing_else(fusion: str, seen: str) -> None:
    module = module_of(fusion).eval()
    assert list(module.encoders) == list(seen)
    given, before = batch(), module.probabilities(batch())
    assert [one.shape for one in before] == [(4, 2), (4, 3)]
    torch.testing.assert_close(before[1].sum(dim=1), torch.ones(4, dtype=torch.float64))
    for name in NAMES:
        changed = module.probabilities(given | {name: given[name] + 1.0})
        assert torch.equal(changed[0], before[0]) == (name not in seen)


def test_late_fusion_is_the_mean_of_the_logits_of_present_modalities() -> None:
    module = module_of("late").eval()
    missing = some_missing()
    logits, judged = module.logits(batch(missing))
    fused = module.fused(logits, judged)
    assert torch.equal(judged, ~missing)
    torch.testing.assert_close(fused[2], torch.stack([one[2] for one in logits]).mean(dim=0))
    torch.testing.assert_close(fused[1], (logits[0][1] + logits[1][1]) / 2)
    other = batch(missing) | {"c": torch.full((4, 5), 9.0)}
    assert torch.equal(module.fused(*module.logits(other))[1], fused[1])


@pytest.mark.parametrize("strategy", ["embedding", "neutral"])
@pytest.mark.parametrize("fusion", ["unimodal:c", "early", "late"])
def test_nothing_of_a_missing_value_matters(fusion: str, strategy: str) -> None:
    module, missing = module_of(fusion, missing=strategy), some_missing()
    module.targets = TARGETS
    given = batch(missing)
    other = given | {
        name: torch.where(missing[:, position, None], 99.0, given[name]) for position, name in enumerate(NAMES)
    }
    assert torch.equal(module.training_step(given, 0), module.training_step(other, 0))
    for one, two in zip(module.probabilities(given), module.probabilities(other), strict=True):
        assert torch.equal(one, two)


def slow_loss(module: SupervisedModule, given: dict[str, Any]) -> Tensor:
    """The cross-entropy of each head, row and label that has one, averaged over all of these."""
    logits, judged = module.logits(given)
    losses = []
    for head, one in enumerate(logits):
        for row in range(4):
            for label, part in enumerate(one[row].split([2, 3])):
                target = int(KNOWN[row, label])
                if judged[row, head] and target != NO_CLASS and not given["padding"][row]:
                    losses.append(F.cross_entropy(part[None], torch.tensor([target])))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("fusion", ["unimodal:c", "early", "late"])
def test_the_loss_is_the_mean_over_rows_and_the_labels_they_have(fusion: str) -> None:
    module = module_of(fusion)
    module.targets = TARGETS
    given = batch(some_missing())
    given["padding"][2] = True
    torch.testing.assert_close(module.training_step(given, 0), slow_loss(module, given))


def test_heads_of_late_fusion_learn_alone() -> None:
    """The gradient of a modality's head is the same, whatever the other modalities show."""
    gradients = []
    for shift in (0.0, 5.0):
        module = module_of("late")
        module.targets = TARGETS
        module.training_step(batch() | {"b": batch()["b"] + shift}, 0).backward()
        gradient = module.heads["a"][0].weight.grad  # type: ignore[index]
        assert isinstance(gradient, Tensor)
        gradients.append(gradient)
    torch.testing.assert_close(*gradients)


def test_a_batch_without_labels_has_no_loss() -> None:
    module = module_of("early")
    module.targets = Targets.of(torch.arange(2), torch.zeros(2, 2, dtype=torch.long))
    loss = module.training_step(batch(), 0)
    loss.backward()
    assert loss.item() == 0.0


def test_validation_is_the_loss_and_the_mean_accuracy_over_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of("late")
    module.targets = TARGETS
    logged: dict[str, float] = {}
    monkeypatch.setattr(
        module, "log", lambda name, value: logged.update({name: float(torch.as_tensor(value).detach())})
    )
    module.validation_step(batch(), 0)
    module.on_validation_epoch_end()
    fused = module.fused(*module.logits(batch())).detach()
    right = [
        [int(part.argmax()) == int(KNOWN[row, label]) for row in range(4) if KNOWN[row, label] != NO_CLASS
         for part in [fused[row].split([2, 3])[label]]]
        for label in range(2)
    ]  # fmt: skip
    assert logged["val_accuracy"] == pytest.approx(sum(sum(one) / len(one) for one in right) / 2)
    losses = [
        float(F.cross_entropy(fused[row].split([2, 3])[label][None], KNOWN[row, label][None]))
        for row in range(4) for label in range(2) if KNOWN[row, label] != NO_CLASS
    ]  # fmt: skip
    assert logged["val_loss"] == pytest.approx(sum(losses) / len(losses))
    module.validation_step(batch(), 0)
    assert module._validation[:, 2].tolist() == [3.0, 3.0], "the sums start anew after each validation"


def test_a_config_says_what_differs_for_baselines() -> None:
    baseline = {"fusion": "late", "labels": ["chexpert_edema"], "policy": {"uncertain": "ones"}}
    read = read_config("mimic-small", {"supervised": baseline})
    assert read.method == "late" and read.select == "val_loss" and read.epochs < read_config("mimic-small").epochs
    assert read.supervised is not None and read.supervised.policy == LabelPolicy(uncertain="ones")
    assert TrainConfig.from_json(read.to_json()) == read
    assert read_config("mimic-small").method == "symile" and read_config("mimic-small").select == "val_accuracy"
    assert all_fusions(["a"]) == ["unimodal:a"]


@pytest.mark.parametrize(
    ("fusion", "labels", "told"),
    [
        ("middle", ("y",), "unknown supervised baseline; got 'middle'"),
        ("unimodal", ("y",), "unknown supervised baseline"),
        ("early", (), "predicts different columns, at least one"),
        ("early", ("y", "y"), "predicts different columns"),
    ],
)
def test_what_no_baseline_is(fusion: str, labels: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        SupervisedConfig(fusion=fusion, labels=labels)


def test_modalities_that_a_dataset_lacks_are_refused() -> None:
    with pytest.raises(UsageError, match="no such modality; got d"):
        SupervisedConfig(fusion="unimodal:d", labels=("y",)).modalities(NAMES)
    with pytest.raises(UsageError, match="at least two modalities"):
        SupervisedConfig(fusion="early", labels=("y",)).modalities(["a"])
