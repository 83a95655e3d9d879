"""Closed forms of small batches: the same value and gradients as the formulas that autograd differentiates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from objective_cases import CASES, unit_rows, value_and_gradients
from slow_losses import worst_error
from torch import Tensor

from symile_data.losses import Objective, SigmoidMipLoss, SymilePairLoss
from symile_data.losses.inputs import LossInputs, LossResult

WITH_CLOSED_FORM = ("symile-pair", "symile-pair, both", "anchor", "sigmoid-mip", "symile-subset", "pmrl")


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each loss since then came from a closed form."""
    notes: list[bool] = []
    solve = Objective._solve

    def noted(self: Objective, inputs: LossInputs, wanted: bool, *rest: Any) -> LossResult:
        found = self.closed_form(inputs, wanted)
        notes.append(found is not None)
        return solve(self, inputs, wanted, *rest)

    monkeypatch.setattr(Objective, "_solve", noted)
    return notes


@pytest.mark.parametrize(
    ("name", "modalities"), [(name, modalities) for name in WITH_CLOSED_FORM for modalities in CASES[name].modalities]
)
@pytest.mark.parametrize("scale", [0.0, 4.0, 2000.0])
def test_a_closed_form_is_the_formula(name: str, modalities: int, scale: float, solved: list[bool]) -> None:
    case, rows = CASES[name], 9
    loss, embeddings, mask = case.make(modalities, rows), unit_rows(modalities, rows), case.mask(modalities, rows)
    missing: dict[str, Any] = {} if mask is None else {"missing": mask}
    found = value_and_gradients(lambda e, s: loss(e, s, **missing), embeddings, scale, loss)
    expected = value_and_gradients(lambda e, s: loss.formula(e, s, mask), embeddings, scale, loss)
    assert worst_error(found, expected) < 1e-11
    # Where the scale is 0, or the logits are too wide for one reference, the formula is differentiated.
    assert solved == [name in ("sigmoid-mip", "pmrl") or scale == 4.0]
    with torch.no_grad():
        assert loss(embeddings, scale, **missing) == pytest.approx(found[0].item(), rel=1e-12)


class Doubled(SymilePairLoss):
    """An objective with a formula of its own, made from one that has a closed form."""

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        return 2 * super().formula(embeddings, scale, missing)


class WithUnused(SymilePairLoss):
    """An objective with a parameter that its formula does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.ones(2))


def test_a_subclass_with_another_formula_does_not_inherit_a_closed_form(solved: list[bool]) -> None:
    rows = [row.requires_grad_() for row in unit_rows(3, 6)]
    torch.testing.assert_close(Doubled()(rows, 3.0), 2 * SymilePairLoss()(rows, 3.0))
    assert solved == [False, True]
    loss = WithUnused()
    loss(rows, 3.0).backward()
    assert loss.unused.grad is None and rows[0].grad is not None


def test_a_frozen_bias_has_no_gradient() -> None:
    rows = [row.requires_grad_() for row in unit_rows(3, 6)]
    loss = SigmoidMipLoss(6).double()
    loss.bias.requires_grad_(False)
    loss(rows, 3.0).backward()
    assert loss.bias.grad is None and rows[0].grad is not None


def test_a_positive_far_above_its_negatives_keeps_the_digits_of_its_loss() -> None:
    e = torch.eye(4).requires_grad_()
    for make in (SymilePairLoss(), SymilePairLoss(both=True)):
        value = make([e, e, e], 40.0)
        assert value.item() == pytest.approx(3 * torch.tensor(-40.0, dtype=torch.float64).exp().item(), rel=1e-5)
