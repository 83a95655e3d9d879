"""The module: what stands for missing values, frozen encoders, labels, and datasets that do not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_clip
from torch import Tensor

from symile_data.errors import UsageError
from symile_data.format.schema import Modality
from symile_data.losses import missing_groups, symile_loss
from symile_data.training.config import TrainConfig, read_config
from symile_data.training.encoding import one_cycle
from symile_data.training.module import SymileModule

NAMES = ("a", "b", "c")
MODALITIES = [Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in NAMES]
SIZES = dict.fromkeys(NAMES, 5)


def config(**changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {
        "epochs": 1,
        "batch_size": 4,
        "dim": 6,
        "lr": 0.1,
        "logit_scale_init": 0.0,
        "target": "a",
        "label": "y",
    }
    return TrainConfig(**(settings | changes))


def module_of(modalities: list[Modality] = MODALITIES, **changes: Any) -> SymileModule:
    return SymileModule(config(**changes), modalities, {}, sizes=SIZES)


def batch(missing: Tensor | None = None) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    values: dict[str, Any] = {name: torch.randn(4, 5, generator=generator) for name in NAMES}
    absent = torch.zeros(4, 3, dtype=torch.bool) if missing is None else missing
    return values | {"missing": absent, "padding": torch.zeros(4, dtype=torch.bool), "y": torch.arange(4)}


def some_missing() -> Tensor:
    missing = torch.zeros(4, 3, dtype=torch.bool)
    missing[1, 2] = missing[3, 2] = missing[0, 0] = True
    return missing


def test_missing_values_are_embedded_by_the_learned_vector() -> None:
    module, missing = module_of(), some_missing()
    vectors = module.missing
    assert vectors is not None
    vectors.data.normal_(generator=torch.Generator().manual_seed(1))
    whole, partly = module.embed(batch()), module.embed(batch(missing))
    for position, name in enumerate(NAMES):
        absent = missing[:, position]
        assert torch.equal(partly[position][~absent], whole[position][~absent])
        expected = module.norms[name](vectors[position])
        torch.testing.assert_close(partly[position][absent], expected.expand(int(absent.sum()), -1))
    torch.stack([value.square().sum() * 0.5 + value[:, 0].sum() for value in partly]).sum().backward()
    assert vectors.grad is not None
    assert vectors.grad[[0, 2]].any(dim=1).all() and not vectors.grad[1].any()


def test_where_nothing_is_missing_the_learned_vectors_have_gradients_of_zero() -> None:
    module = module_of()
    assert module.missing is not None
    module.missing.data.normal_(generator=torch.Generator().manual_seed(1))
    embeddings = module.embed(batch())
    for name, embedding in zip(NAMES, embeddings, strict=True):
        assert torch.equal(embedding, module.norms[name](module.encoders[name](batch()[name])))
    torch.stack([embedding[:, 0].sum() for embedding in embeddings]).sum().backward()
    gradients = module.missing.grad
    assert gradients is not None and not gradients.any()  # processes average them, so they are not None


@pytest.mark.parametrize("strategy", ["embedding", "input", "neutral"])
def test_nothing_of_a_missing_value_matters(strategy: str) -> None:
    module, missing = module_of(missing=strategy), some_missing()
    module.fill_means({name: torch.full((5,), 0.3) for name in module.means_wanted()})
    given, other = batch(missing), batch(missing)
    for position, name in enumerate(NAMES):
        other[name] = torch.where(missing[:, position, None], 99.0, given[name])
    for one, two in zip(module.embed(given), module.embed(other), strict=True):
        assert torch.equal(one, two)
    assert any(not torch.equal(one, two) for one, two in zip(module.embed(given), module.embed(batch()), strict=True))


def test_inputs_are_filled_in_with_the_mean_of_the_data() -> None:
    module = module_of(missing="input")
    assert module.means_wanted() == list(NAMES) and module_of().means_wanted() == []
    mean = torch.arange(5.0)
    module.fill_means({"c": mean})
    missing = torch.zeros(4, 3, dtype=torch.bool)
    missing[1, 2] = True
    got = module.embed(batch(missing))[2][1]
    encoder: Any = module.encoders["c"]
    torch.testing.assert_close(got, module.norms["c"](encoder.head[1](torch.cat([mean, torch.ones(1)]))))


def test_neutral_vectors_are_ones_at_first_and_stand_after_the_normalisation() -> None:
    module, missing = module_of(missing="neutral", normalise=True), some_missing()
    for position, value in enumerate(module.embed(batch(missing))):
        absent = missing[:, position]
        assert torch.equal(value[absent], torch.ones(int(absent.sum()), 6))
        torch.testing.assert_close(value[~absent].norm(dim=1), torch.ones(int((~absent).sum())))


def test_rows_that_lack_a_modality_are_no_negatives_of_each_other_where_asked() -> None:
    missing = torch.zeros(4, 3, dtype=torch.bool)
    missing[:, 1:] = True
    losses = []
    for grouped in (False, True):
        module = module_of(settings={"negatives": "exact"}, group_missing=grouped)
        losses.append(module.training_step(batch(missing), 0))
        groups = missing_groups(missing) if grouped else None
        expected = symile_loss(module.embed(batch(missing)), module.scale(), negatives="exact", groups=groups)
        torch.testing.assert_close(losses[-1], expected)
        assert module.mean_training_loss() == pytest.approx(expected.item())
    assert losses[1] < losses[0]


def test_the_validation_loss_is_the_mean_over_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A last batch of fewer rows counts for fewer, and rows that pad a batch count for none."""
    module, logged = module_of(settings={"negatives": "exact"}).eval(), {}
    monkeypatch.setattr(module, "log", lambda name, value: logged.update({name: float(value)}))
    whole, losses = batch(), []
    short = {name: values[:3] for name, values in whole.items()} | {"padding": torch.tensor([False, False, True])}
    for rows, count in ((whole, 4), (short, 2)):
        embeddings = [embedding[:count] for embedding in module.embed(rows)]
        losses.append(symile_loss(embeddings, module.scale(), negatives="exact").item())
        module.validation_step(rows, 0)
    module.on_validation_epoch_end()
    assert logged["val_loss"] == pytest.approx((4 * losses[0] + 2 * losses[1]) / 6)
    assert abs(losses[0] - losses[1]) > 0.01  # so that the mean over batches is another number


def test_the_mean_training_loss_survives_an_interruption() -> None:
    module, resumed, checkpoint = module_of(), module_of(), dict[str, Any]()
    losses = [module.training_step(batch(), 0).item() for _ in range(2)]
    module.on_save_checkpoint(checkpoint)
    resumed.load_state_dict(module.state_dict())
    resumed.on_load_checkpoint(checkpoint)
    losses.append(resumed.training_step(batch(some_missing()), 2).item())
    assert resumed.mean_training_loss() == pytest.approx(sum(losses) / 3)


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_the_optimiser_takes_fused_steps_where_gradients_are_not_scaled(precision: str) -> None:
    module = module_of(precision=precision)
    fused = module.configure_optimizers().defaults["fused"]
    assert bool(fused) == (precision == "32-true")


def test_tensors_of_a_batch_are_moved_and_everything_else_is_left() -> None:
    given = batch() | {"words": ["lion", None]}
    moved = module_of().transfer_batch_to_device(given, torch.device("meta"), 0)
    assert {name: value.device.type for name, value in moved.items() if isinstance(value, Tensor)} == dict.fromkeys(
        given.keys() - {"words"}, "meta"
    )
    assert moved["words"] is given["words"]


def test_the_logit_scale_does_not_decay() -> None:
    module = module_of(schedule="constant", weight_decay=0.5, logit_scale_init=2.0)
    optimizer = module.configure_optimizers()
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    after = dict(module.named_parameters())
    assert torch.equal(after["logit_scale"], before["logit_scale"])
    weight = "encoders.a.head.1.weight"
    torch.testing.assert_close(after[weight], before[weight] * (1 - 0.1 * 0.5))


def test_the_logit_scale_is_cut_where_asked() -> None:
    assert module_of(logit_scale_init=3.0).scale().item() == pytest.approx(20.0855, rel=1e-4)
    assert module_of(logit_scale_init=3.0, logit_scale_max=10.0).scale().item() == 10.0


def test_only_complete_rows_are_retrieved_among() -> None:
    missing = torch.zeros(4, 3, dtype=torch.bool)
    missing[1, 2] = True
    rows = batch(missing) | {"padding": torch.tensor([False, False, False, True]), "candidates": [[0, 1]] * 4}
    embedded = module_of().embedded(rows)
    assert embedded.labels.tolist() == [0, 2] and embedded.values["c"].shape == (2, 6)
    assert embedded.candidates is not None and embedded.candidates.tolist() == [[0, 1]] * 2


def test_labels_can_be_values_of_a_modality_or_words() -> None:
    rows = batch() | {"lang": ["el", "en", "el", "hi"]}
    rows["b"] = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    module = SymileModule(config(label="b"), MODALITIES, {}, sizes=SIZES | {"b": 2})
    for label in ("b", "lang"):
        labels = module.embedded(rows, label).labels
        assert labels[0] == labels[2] and len(set(labels.tolist())) == 3


def test_embeddings_are_normalised_where_asked() -> None:
    for value in module_of(normalise=True).embed(batch()):
        torch.testing.assert_close(value.norm(dim=1), torch.ones(4))


def test_datasets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match=r"lacks the modality that the config retrieves.*image.*It has a, b, c"):
        module_of(target="image")
    with pytest.raises(UsageError, match=r"at least two modalities.*a"):
        module_of(MODALITIES[:1])
    picture = Modality(name="a", kind="image", column="a", null_columns=("a",))
    with pytest.raises(UsageError, match=r"mean of features that are still being learned; got a with an encoder in"):
        module_of([picture, *MODALITIES[1:]], missing="input")


def test_of_a_pretrained_encoder_only_the_head_learns() -> None:
    modalities = [Modality(name="a", kind="image", column="a", null_columns=("a",)), *MODALITIES[1:]]
    settings = config(encoders={"image": {"width": 2, "dropout": 0.5}}, missing="embedding")
    weights = SymileModule(settings, modalities, {}, sizes=SIZES).encoders["a"].state_dict()
    weights = {name: torch.full_like(value, 0.5) for name, value in weights.items()}
    for missing, learning in (("embedding", set()), ("input", {"imputation.indicator.weight"})):
        changed = TrainConfig.from_json(settings.to_json() | {"missing": missing})
        module = SymileModule(changed, modalities, {}, {"a": weights}, SIZES)
        frozen = {name: parameter.requires_grad for name, parameter in module.encoders["a"].named_parameters()}
        assert {name for name, learns in frozen.items() if learns} == {"head.1.weight", "head.1.bias"} | learning
        assert not torch.equal(module.encoders["a"].state_dict()["head.1.weight"][:, :16], weights["head.1.weight"])
        features = module.frozen_features()["a"](torch.zeros(4, 16, 16, 3, dtype=torch.uint8))
        assert features.dtype == torch.float32 and features.shape == (4, 16)
        assert module.encoders["a"].training  # dropout before the head stays on
        assert module.embed(batch() | {"a": features.clone()})[0].shape == (4, 6)


def test_features_have_the_key_of_their_backbone_only() -> None:
    modalities = [Modality(name="a", kind="image", column="a", null_columns=("a",)), *MODALITIES[1:]]
    settings = config(encoders={"image": {"width": 2}})
    made = [SymileModule(settings, modalities, {}, sizes=SIZES).encoders["a"].state_dict() for _ in range(2)]
    same = [SymileModule(settings, modalities, {}, {"a": made[0]}, SIZES).frozen_features()["a"].key for _ in range(2)]
    other = SymileModule(settings, modalities, {}, {"a": made[1]}, SIZES).frozen_features()["a"].key
    assert same[0] == same[1] != other


def test_weights_that_come_from_elsewhere_are_in_no_checkpoint(tmp_path: Path) -> None:
    modalities = [Modality(name="a", kind="image", column="a", null_columns=("a",)), *MODALITIES[1:]]
    settings = config(encoders={"image": {"model": "clip", "name": tiny_clip(tmp_path)}})
    module = SymileModule(settings, modalities, {}, sizes=SIZES)
    state = module.state_dict()
    assert module.frozen == {"a"} and not module.strict_loading
    assert {key for key in state if key.startswith("encoders.a.")} == {
        "encoders.a.head.1.weight",
        "encoders.a.head.1.bias",
    }
    again = SymileModule(settings, modalities, {}, sizes=SIZES)
    found = again.load_state_dict(state, strict=False)
    assert not found.unexpected_keys and all(".backbone." in key for key in found.missing_keys)
    features = module.frozen_features()["a"](torch.zeros(4, 16, 16, 3, dtype=torch.uint8))
    assert features.shape == (4, 8)


@pytest.mark.parametrize("seed", range(3))
def test_the_xor_config_learns_eight_variables_whatever_the_seed(seed: int) -> None:
    torch.manual_seed(seed)
    names = "abcdefgh"
    modalities = [Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in names]
    module = SymileModule(read_config("xor", {"seed": seed}), modalities, {}, sizes=dict.fromkeys(names, 1))
    optimizer = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    for _ in range(30):
        bits = torch.randint(0, 2, (200, 8)).float()
        bits[:, -1] = bits[:, :-1].sum(dim=1) % 2
        values = {name: bits[:, [position]] for position, name in enumerate(names)}
        embeddings = module.embed({**values, "missing": torch.zeros(200, 8, dtype=torch.bool)})
        optimizer.zero_grad()
        module.loss(embeddings, module.scale()).backward()
        optimizer.step()
    b = names.index("b")
    query = torch.stack([embedding for position, embedding in enumerate(embeddings) if position != b]).prod(dim=0)
    nearest = (query @ embeddings[b].T).argmax(dim=1)
    assert (bits[nearest, b] == bits[:, b]).float().mean() >= 0.99


def test_the_vectors_of_missing_values_have_a_direction_where_embeddings_are_normalised() -> None:
    """An objective for unit vectors refuses zeros, and the norm of zeros has no useful gradient."""
    module = module_of(objective="gram", logit_scale_init=None)
    loss = module.training_step(batch(some_missing()), 0)
    loss.backward()
    assert module.missing is not None and module.missing.grad is not None
    torch.testing.assert_close(module.missing.norm(dim=1), torch.ones(3))
    assert loss.isfinite() and module.missing.grad.isfinite().all() and module.missing.grad[0].abs().sum() > 0
    assert len({tuple(row.tolist()) for row in module.missing.detach()}) == 3
    plain = module_of().missing
    assert plain is not None and not plain.any()


def test_an_objective_of_unit_vectors_takes_no_vectors_of_ones() -> None:
    with pytest.raises(UsageError, match=r"the objective gram takes L2-normalised.*ones are none.*embedding"):
        module_of(objective="gram", missing="neutral")
    assert module_of(objective="gram-masked", missing="neutral").normalise


def rates_of(steps: int) -> list[float]:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    schedule = one_cycle(optimizer, 0.5, steps)
    found = []
    for _ in range(steps):
        found.append(float(schedule.get_last_lr()[0]))
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("steps", [*range(1, 31), 100])
def test_the_rate_rises_in_the_first_tenth_and_falls_to_nearly_zero(steps: int) -> None:
    found = rates_of(steps)
    peak = found.index(max(found))
    assert peak <= max(steps // 10, 1)
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert 0 < max(found) <= 0.5
    assert steps < 10 or found[-1] < 1e-4


def test_ten_steps_begin_at_the_peak() -> None:
    """The rise would take no step, by whose length torch's schedule divides."""
    assert rates_of(10)[0] == pytest.approx(0.5)
    assert rates_of(20)[0] == pytest.approx(0.5 / 25)
