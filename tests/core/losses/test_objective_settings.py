"""Settings of objectives come from configs and command lines: a wrong type is a sentence and never an error later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from symile_data.errors import UsageError
from symile_data.losses import BatchShape, Objective, all_objectives, find_objective, make_objective
from symile_data.losses.settings import checked_settings, settings_of

if TYPE_CHECKING:
    from decimal import Decimal

SHAPE = BatchShape(modalities=3, dim=4, rows=6)
MISTAKES = [
    (["gram", "triangle", "simplex"], "smoothing", ["high", [1], True, float("nan")], "a finite number"),
    (["gram", "simplex", "anchor"], "anchor", ["x", True, 1.5, [1]], "a whole number"),
    (["symile", "symile-neutral"], "shuffles", ["many", True, 1.5, None], "a whole number"),
    (["symile", "symile-subset"], "negatives", [1, True, ["n"]], "text"),
    (["symile-pair"], "both", ["false", 1, None], "true or false"),
    (["clip", "symile-exact"], "tile_rows", ["x", 1.5, True], "a whole number"),
    (["clip", "symile-exact"], "max_flops", ["x", True, float("nan")], "a finite number"),
    (["clip", "symile-exact"], "gemm_dtype", ["x", "int8", 3, "nn"], "a floating-point type of torch"),
    (["confu"], "hidden", ["x", True, 1.5], "a whole number"),
    (["gated"], "width", ["x", True, 1.5], "a whole number"),
    (["pmrl"], "tau1", ["x", True, float("inf")], "a finite number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("objective", "setting", "value", "wanted"),
    [(one, setting, value, wanted) for names, setting, values, wanted in MISTAKES for one in names for value in values],
)
def test_a_value_of_another_type_is_refused(objective: str, setting: str, value: Any, wanted: str) -> None:
    with pytest.raises(UsageError, match=f"{setting} of the objective {objective} is {wanted}.*; got "):
        make_objective(objective, SHAPE, {setting: value})


def test_values_that_fit_are_taken() -> None:
    assert make_objective("gram", SHAPE, {"smoothing": 0, "anchor": None}).smoothing == 0
    assert vars(make_objective("symile-pair", SHAPE, {"both": True}))["both"] is True
    for value in ("bfloat16", torch.bfloat16):
        made = make_objective("symile-exact", SHAPE, {"gemm_dtype": value})
        assert vars(made)["gemm_dtype"] is torch.bfloat16
    with pytest.raises(UsageError, match="width is at least 1; got 0"):
        make_objective("gated", SHAPE, {"width": 0})


@pytest.mark.parametrize(
    ("capabilities", "expected"), [({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, None)]
)
def test_the_fast_type_is_the_one_that_the_processor_multiplies(
    capabilities: dict[str, bool], expected: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    for objective in ("symile", "clip"):
        assert vars(make_objective(objective, SHAPE, {"gemm_dtype": "fast"}))["gemm_dtype"] is expected


@pytest.mark.parametrize("name", list(all_objectives()))
def test_every_setting_of_the_bundled_objectives_has_a_type_that_is_checked(name: str) -> None:
    implementation = find_objective(name).load()
    for setting in settings_of(implementation):
        with pytest.raises(UsageError, match=f"{setting} of the objective {name} is "):
            checked_settings(name, implementation, {setting: object()})


class Theirs(Objective):
    """An objective from outside, with arguments of any kind."""

    def __init__(self, *names: str, share: float = 0.5, labels: Sequence[str] = (), **others: Any) -> None:
        super().__init__(**others)
        self.share, self.labels = share, labels

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        return scale * self.share


class Unresolved(Theirs):
    """An objective whose annotation only a type checker can resolve."""

    def __init__(self, *, exact: Decimal | None = None) -> None:
        super().__init__()
        self.exact = exact


def test_arguments_of_other_kinds_take_anything() -> None:
    given = {"share": 1, "labels": ["a", "b"]}
    assert settings_of(Theirs) == ["share", "labels"] and checked_settings("theirs", Theirs, given) == given
    assert checked_settings("unresolved", Unresolved, {"exact": "1.5"}) == {"exact": "1.5"}
    for unknown in ("others", "names", "gather"):
        with pytest.raises(UsageError, match=f"no such setting; got {unknown}. Choose among share, labels"):
            checked_settings("theirs", Theirs, {unknown: 1})
