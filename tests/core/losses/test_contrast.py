"""The contrast of rows against cross_entropy of whole matrices: both its forms, blocks, directions, smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from symile_data.losses.kernels import shared_reference
from symile_data.losses.kernels.comparison import Direction
from symile_data.losses.kernels.contrast import contrast, inner_products
from symile_data.losses.kernels.together import contrasts_at_once, sum_of_contrasts

ROWS, WIDTH = 7, 4


def shifted(left: Sequence[Tensor], right: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
    """A similarity with a tensor of its own."""
    return (left[0] @ right[0].t() + shared[0]).tanh()


def tensors(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    drawn = [torch.randn(ROWS, WIDTH, generator=generator, dtype=dtype) for _ in range(2)]
    return [*drawn, torch.tensor(0.3, dtype=dtype), torch.tensor(1.0, dtype=dtype)]


def slow(logits: Tensor, direction: str, smoothing: float) -> Tensor:
    own = torch.arange(len(logits))
    rows = F.cross_entropy(logits, own, label_smoothing=smoothing)
    columns = F.cross_entropy(logits.t(), own, label_smoothing=smoothing)
    return {"rows": rows, "columns": columns, "both": (rows + columns) / 2}[direction]


@pytest.mark.parametrize("direction", ["rows", "columns", "both"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("factor", [3.0, 4000.0], ids=["narrow", "wide"])
def test_every_form_is_cross_entropy(direction: Direction, smoothing: float, factor: float) -> None:
    for similarity, block_rows in product((inner_products, shifted), (None, 3)):
        found, wanted = ([tensor.requires_grad_() for tensor in tensors()] for _ in range(2))
        shared = [] if similarity is inner_products else found[2:3]
        value = contrast(
            similarity,
            found[:1],
            found[1:2],
            found[3] * factor,
            shared=shared,
            direction=direction,
            smoothing=smoothing,
            block_rows=block_rows,
        )
        logits = wanted[3] * factor * similarity(wanted[:1], wanted[1:2], wanted[2:3])
        expected = slow(logits, direction, smoothing)
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
        value.backward()
        expected.backward()
        for one, other in zip(found, wanted, strict=True):
            zero = torch.zeros_like(one)
            expected_gradient = zero if other.grad is None else other.grad
            torch.testing.assert_close(zero if one.grad is None else one.grad, expected_gradient, rtol=1e-9, atol=1e-11)


def test_one_reference_serves_narrow_logits_and_refuses_wide_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    served = []
    fast = shared_reference.contrast_by_one_reference

    def noted(*given: object) -> object:
        found = fast(*given)  # type: ignore[arg-type]
        served.append(found is not None)
        return found

    monkeypatch.setattr("symile_data.losses.kernels.contrast.contrast_by_one_reference", noted)
    left, right, _, scale = tensors(torch.float32)
    for factor in (3.0, 300.0, torch.inf):
        contrast(inner_products, [left], [right], scale * factor)
    assert served == [True, False, False]


def test_exponentials_that_are_not_kept_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def value_and_gradients() -> list[Tensor]:
        left, right, _, scale = (tensor.requires_grad_() for tensor in tensors())
        value = contrast(inner_products, [left], [right], scale, block_rows=2)
        return [value.detach(), *torch.autograd.grad(value, [left, right, scale])]

    kept = value_and_gradients()
    monkeypatch.setattr(shared_reference, "_KEPT_BYTES", 0)
    torch.testing.assert_close(value_and_gradients(), kept, rtol=1e-14, atol=1e-14)


def test_only_gradients_that_are_wanted_are_returned() -> None:
    for wanted in range(3):
        left, right, _, scale = tensors()
        given = [left, right, scale]
        given[wanted].requires_grad_()
        contrast(inner_products, [left], [right], scale).backward()
        everything = [tensor.requires_grad_() for tensor in (lambda t: [t[0], t[1], t[3]])(tensors())]
        slow(everything[2] * everything[0] @ everything[1].t(), "both", 0.0).backward()
        torch.testing.assert_close(given[wanted].grad, everything[wanted].grad, rtol=1e-12, atol=1e-12)


def test_a_loss_near_zero_keeps_its_digits() -> None:
    e = torch.eye(3)
    value = contrast(inner_products, [e], [e], torch.tensor(40.0))
    assert value.item() == pytest.approx(2 * torch.tensor(-40.0, dtype=torch.float64).exp().item(), rel=1e-5)


@pytest.mark.parametrize("direction", ["rows", "columns", "both"])
@pytest.mark.parametrize(
    "factor", [0.7, -4.0, 20.0]
)  # positives of the last are too large for exponentials of their own
def test_contrasts_at_once_are_the_sum_of_their_cross_entropies(direction: Direction, factor: float) -> None:
    first, second = tensors()[:2]
    left, right = [first, second, first], [first + 0.1 * second, second, first.flip(1) + first]
    scale = torch.tensor(factor, dtype=torch.float64)
    positives = [torch.linalg.vecdot(a, b) * factor for a, b in zip(left, right, strict=True)]
    assert (torch.stack(positives).mean() > 20) == (factor == 20.0)
    assert contrasts_at_once(left, right, scale, direction, False) is not None
    leaves = [tensor.clone().requires_grad_() for tensor in (*left, *right, scale)]
    found = sum_of_contrasts(leaves[:3], leaves[3:6], leaves[6], direction)
    expected = sum(slow(leaves[6] * a @ b.t(), direction, 0.0) for a, b in zip(leaves[:3], leaves[3:6], strict=True))
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)
    for ours, theirs in zip(torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)
