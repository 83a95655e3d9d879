"""The registry of objectives: every entry makes a loss, reading it does not need torch, and others can be added."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from importlib.metadata import EntryPoint
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import symile_data.losses
from symile_data.errors import UsageError
from symile_data.losses import BatchShape, Objective, pairwise_clip_loss, symile_loss
from symile_data.losses import all_objectives as registry
from symile_data.training.config import TrainConfig, read_config

KEYS = [
    "symile", "clip", "symile-exact", "symile-pair", "anchor", "sigmoid-mip", "gram", "triangle", "simplex", "pmrl",
    "confu", "gated", "gram-masked", "symile-subset", "symile-neutral",
]  # fmt: skip
SEEDED: dict[str, dict[str, Any]] = {
    "symile": {}, "symile-subset": {"negatives": "n"}, "symile-neutral": {}, "confu": {}, "gated": {},
}  # fmt: skip
SHAPE = BatchShape(modalities=3, dim=4, rows=6, seed=5)
ROWS = [F.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)), dim=1) for seed in range(3)]


class Mine(Objective):
    """The negative mean of the products of rows, an objective from outside the package."""

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        return -self.weight * scale * self.tuple_score(embeddings, 0).mean()

    def tuple_score(self, embeddings: Sequence[Tensor], target: int) -> Tensor:
        return torch.stack(list(embeddings)).prod(0).sum(1)


@pytest.fixture
def clean() -> Iterator[ModuleType]:
    module = sys.modules["symile_data.losses.objectives"]
    yield module
    module._registered.clear()
    module._installed.cache_clear()


def test_the_bundled_objectives_are_those_of_the_page() -> None:
    assert list(registry()) == KEYS


@pytest.mark.parametrize("name", KEYS)
def test_every_entry_makes_a_loss_with_gradients_and_scores(name: str) -> None:
    from symile_data.losses import make_objective

    loss = make_objective(name, SHAPE)
    rows = [row.clone().requires_grad_() for row in ROWS]
    scale = torch.tensor(loss.start_scale(3, 4, unit=True), requires_grad=True)
    value = loss(rows, scale)
    value.backward()
    assert loss.gather and value.shape == () and value.isfinite()
    assert all(row.grad is not None and row.grad.isfinite().all() and row.grad.abs().sum() > 0 for row in rows)
    for target in range(3):
        queries: Mapping[int, Tensor] = {m: ROWS[m][:2] for m in range(3) if m != target}
        scores = loss.scores(queries, ROWS[target], target)
        sets = loss.set_scores(queries, ROWS[target].expand(2, 6, 4), target)
        torch.testing.assert_close(scores, sets, rtol=1e-4, atol=1e-5)
        paired = loss.tuple_score(ROWS, target)[:2]
        torch.testing.assert_close(paired, scores.diagonal(), rtol=1e-4, atol=1e-5)


def test_entries_make_the_public_losses_with_their_settings() -> None:
    from symile_data.losses import make_objective

    exact = symile_loss(ROWS, 2.0, negatives="exact", mip_scale="aligned")
    torch.testing.assert_close(make_objective("symile-exact", SHAPE, {"mip_scale": "aligned"})(ROWS, 2.0), exact)
    settings = {"negatives": "exact", "mip_scale": "aligned"}
    torch.testing.assert_close(make_objective("symile", SHAPE, settings)(ROWS, 2.0), exact)
    torch.testing.assert_close(make_objective("clip", SHAPE)(ROWS, 2.0), pairwise_clip_loss(ROWS, 2.0))
    sampled = make_objective("symile", SHAPE, {"shuffles": 2})
    expected = symile_loss(ROWS, 1.0, shuffles=2, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(sampled(ROWS, 1.0), expected)


@pytest.mark.parametrize("name", KEYS)
def test_the_seed_of_a_run_decides_what_an_objective_draws(name: str) -> None:
    """Its shuffles, in training and in evaluation, or the first weights of its networks."""
    from symile_data.losses import make_objective

    def values(seed: int) -> list[float]:
        loss = make_objective(name, replace(SHAPE, seed=seed), SEEDED.get(name))
        return [loss.train(training)(ROWS, 2.0).item() for training in (True, False)]

    assert values(5) == values(5)
    differ = [one != other for one, other in zip(values(5), values(6), strict=True)]
    assert differ == [name in SEEDED] * 2


@pytest.mark.parametrize("name", SEEDED)
def test_a_loss_without_a_seed_draws_as_one_of_a_run_without_a_seed(name: str) -> None:
    default = BatchShape(modalities=3, dim=4, rows=6).seed
    assert signature(registry()[name].load()).parameters["seed"].default == default == 0


def test_what_there_is_not_ends_in_a_sentence() -> None:
    from symile_data.losses import find_objective, make_objective

    with pytest.raises(UsageError, match=r"unknown objective; got 'mine'.*symile, clip"):
        find_objective("mine")
    with pytest.raises(UsageError, match=r"unknown objective"):
        read_config("xor", {"objective": "mine"})
    with pytest.raises(UsageError, match=r"the objective gram has no such setting; got negatives. Choose among anchor"):
        make_objective("gram", SHAPE, {"negatives": "n"})
    with pytest.raises(UsageError, match=r"TriangleLoss is defined for 3 modalities; got 4"):
        make_objective("triangle", BatchShape(modalities=4, dim=4, rows=6))
    with pytest.raises(UsageError, match=r"index of one of the 3 modalities, from 0; got 3"):
        make_objective("anchor", SHAPE, {"anchor": 3})
    assert TrainConfig.objective in registry()


def test_an_objective_from_outside_is_registered_and_made(clean: ModuleType) -> None:
    from symile_data.losses import make_objective, register

    register("mine", Mine, title="Mine")
    assert list(registry())[-1] == "mine" and registry()["mine"].title == "Mine"
    loss = make_objective("mine", SHAPE, {"weight": 2.0})
    expected = -2 * 3 * torch.stack(ROWS).prod(0).sum(1).mean()
    torch.testing.assert_close(loss(ROWS, 3.0), expected)
    for taken in ("mine", "symile"):
        with pytest.raises(UsageError, match="there is an objective of this name already"):
            register(taken, Mine)


@pytest.mark.parametrize("name", ["", " ", "a/b", "a,b", "my loss", "1st", "a.b", "é", "name\n", "-x"])
def test_a_name_that_no_table_of_a_config_can_have_is_refused(clean: ModuleType, name: str) -> None:
    from symile_data.losses import register

    with pytest.raises(UsageError, match="the name of an objective is a letter followed by letters, digits, - and _"):
        register(name, Mine)
    assert list(registry()) == KEYS


def test_the_name_of_a_setting_of_configs_is_refused(clean: ModuleType) -> None:
    from symile_data.losses import register
    from symile_data.training import config

    settings = {item.name for item in fields(TrainConfig)} | {*config._OLD_NAMES, *config._SYMILE_SETTINGS}
    assert settings == clean.RESERVED
    for name in settings:
        with pytest.raises(UsageError, match=f"is not that of a setting of configs.*; got '{name}'"):
            register(name, Mine)


class Demanding(Mine):
    """An objective with an argument that has no default."""

    def __init__(self, table: str, *, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        self.table = table


class Shaped(Demanding):
    """One that gets it from the shape of the batch."""

    @classmethod
    def for_batch(cls, shape: BatchShape, **settings: Any) -> Self:
        return cls(str(shape.rows), **settings)


def test_an_argument_without_a_default_is_named(clean: ModuleType) -> None:
    from symile_data.losses import make_objective, register

    register("demanding", Demanding)
    register("shaped", Shaped)
    with pytest.raises(UsageError, match=r"demanding cannot be made without table, an argument .*for_batch"):
        make_objective("demanding", SHAPE, {"weight": 2.0})
    assert vars(make_objective("demanding", SHAPE, {"table": "a"}))["table"] == "a"
    assert vars(make_objective("shaped", SHAPE))["table"] == "6"


def test_the_package_of_a_broken_entry_point_is_named(
    clean: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from symile_data.losses import make_objective

    folder = tmp_path / "their_losses-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: their-losses\nVersion: 1.0\n")
    declared = f"[{clean.GROUP}]\nbroken = no_such_module:Loss\nsettings = no_such_module:Loss\n"
    (folder / "entry_points.txt").write_text(declared)
    monkeypatch.syspath_prepend(tmp_path)
    clean._installed.cache_clear()
    with pytest.warns(UserWarning, match="'settings' of the package their-losses is left out"):
        assert list(registry()) == [*KEYS, "broken"]
    with pytest.raises(UsageError, match=r"of the package their-losses cannot be imported.*no_such_module"):
        make_objective("broken", SHAPE)


def test_scores_that_an_objective_does_not_speed_up_are_made_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symile_data.losses.objective._CHUNK", 4 * 6 * 2)  # two queries at a time
    queries = {0: ROWS[0][:5], 2: ROWS[2][:5]}
    torch.testing.assert_close(Mine().scores(queries, ROWS[1], 1), (queries[0] * queries[2]) @ ROWS[1].t())


def test_an_installed_package_adds_an_objective(
    clean: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from symile_data.losses import make_objective

    (tmp_path / "fails_on_import.py").write_text("raise RuntimeError('no such device')\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("theirs", f"{Mine.__module__}:Mine", clean.GROUP),
        EntryPoint("broken", "no_such_module:Loss", clean.GROUP),
        EntryPoint("fails", "fails_on_import:Loss", clean.GROUP),
        EntryPoint("other", "torch:Tensor", clean.GROUP),
        EntryPoint("clip", f"{Mine.__module__}:Mine", clean.GROUP),
    ]
    monkeypatch.setattr(clean, "entry_points", lambda group: points if group == clean.GROUP else [])
    clean._installed.cache_clear()
    assert list(registry()) == [*KEYS, "broken", "fails", "other", "theirs"]
    assert type(make_objective("theirs", SHAPE)).__name__ == "Mine"
    with pytest.raises(UsageError, match=r"an objective cannot be imported.*no_such_module"):
        make_objective("broken", SHAPE)
    with pytest.raises(UsageError, match=r"an objective cannot be imported.*fails_on_import.*no such device"):
        make_objective("fails", SHAPE)
    with pytest.raises(UsageError, match="an objective is a subclass"):
        make_objective("other", SHAPE)
    assert registry()["clip"].title == "CLIP"  # a bundled name stays the bundled objective


def test_what_an_objective_does_not_take_is_refused() -> None:
    from symile_data.losses import GramLoss, SymileLoss

    missing = torch.zeros(6, 3, dtype=torch.bool)
    for loss in (GramLoss(), SymileLoss()):
        with pytest.raises(UsageError, match="takes no mask of missing modalities"):
            loss(ROWS, 1.0, missing=missing)
    with pytest.raises(UsageError, match="takes no groups"):
        GramLoss()(ROWS, 1.0, [None, None, None])
    with pytest.raises(UsageError, match=r"GramLoss is defined for L2-normalised embeddings; got lengths from 2 to 2"):
        GramLoss()([2 * row for row in ROWS], 1.0)


@pytest.mark.parametrize("name", KEYS)
def test_a_row_that_is_not_a_number_makes_the_loss_none_either(name: str) -> None:
    """The trainer then says at which step; an error of the linear algebra library would not."""
    from symile_data.losses import make_objective

    loss = make_objective(name, SHAPE)
    rows = [row.clone() for row in ROWS]
    rows[1][2] = torch.nan
    assert loss(rows, torch.tensor(1.0)).isnan()
    four = [*rows, rows[0]]
    if name != "triangle":
        loss = make_objective(name, BatchShape(modalities=4, dim=4, rows=6))
        scores = loss.scores(dict(enumerate(four[:3])), four[3], 3)
        assert scores[2].isnan().all() and scores[:2].isfinite().all()


def test_every_public_name_is_there() -> None:
    for name in symile_data.losses.__all__:
        assert getattr(symile_data.losses, name) is not None and name in dir(symile_data.losses)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        symile_data.losses.nothing  # noqa: B018


def test_reading_the_registry_loads_no_torch() -> None:
    code = "import sys; from symile_data.losses import all_objectives; all_objectives(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60).strip() == "False"
