"""Value and all gradients of every objective against loops."""

import pytest
import torch
from objective_cases import CASES, unit_rows, value_and_gradients
from slow_losses import worst_error

from symile_data.losses.objectives import OBJECTIVES


@pytest.mark.parametrize(
    ("name", "modalities"), [(name, modalities) for name, case in CASES.items() for modalities in case.modalities]
)
def test_value_and_gradients_are_those_of_the_loops(name: str, modalities: int) -> None:
    case = CASES[name]
    rows = 9 if case.missing else 7 - modalities
    embeddings, missing, loss = unit_rows(modalities, rows), case.mask(modalities, rows), case.make(modalities, rows)
    mask = {} if missing is None else {"missing": missing}
    found = value_and_gradients(lambda e, s: loss(e, s, **mask), embeddings, case.scale, loss)
    expected = value_and_gradients(lambda e, s: case.slow(loss, e, s, missing), embeddings, case.scale, loss)
    assert all(gradient.isfinite().all() for gradient in expected)
    assert worst_error(found, expected) < 1e-10


def test_every_objective_has_its_loops() -> None:
    assert {case.name for case in CASES.values()} == set(OBJECTIVES)


@pytest.mark.parametrize("name", ["gram-masked", "symile-subset"])
def test_a_batch_in_which_no_row_takes_part_has_no_loss_and_no_gradient(name: str) -> None:
    missing = torch.tensor([[False, True, True], [True, False, True], [True, True, True]])
    loss = CASES[name].make(3, 3)
    found = value_and_gradients(lambda e, s: loss(e, s, missing=missing), unit_rows(3, 3), 2.0, loss)
    assert all((result == 0).all() for result in found)
