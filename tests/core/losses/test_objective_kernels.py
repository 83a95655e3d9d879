"""The kernels of the objectives: cross-entropy in blocks, sigmoids of pairs, spans of tuples, leading eigenvectors."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from slow_losses import random_embeddings, worst_error
from torch import Tensor
from torch.nn import functional as F

from symile_data.losses.kernels.blocks import row_blocks
from symile_data.losses.kernels.comparison import Direction
from symile_data.losses.kernels.contrast import contrast, inner_products
from symile_data.losses.kernels.sigmoid import sigmoid_of_products
from symile_data.losses.kernels.spectrum import leading_spectrum
from symile_data.losses.kernels.volumes import outside_of_span, whiten


def cross_entropy(logits: Tensor, groups: Tensor, smoothing: float) -> Tensor:
    """The library's, on the rows and columns of one group at a time."""
    losses = []
    for group in groups[groups >= 0].unique():
        rows = (groups == group).nonzero()[:, 0]
        own = logits[rows][:, rows]
        losses.append(F.cross_entropy(own, torch.arange(len(rows)), label_smoothing=smoothing, reduction="sum"))
    return torch.stack(losses).sum() / (groups >= 0).sum()


def gradients(loss: Callable[..., Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    value = loss(*leaves)
    found = torch.autograd.grad(value, leaves)
    return [value.detach(), *found]


@settings(max_examples=20)
@given(
    rows=st.integers(1, 7),
    block=st.integers(1, 8),
    direction=st.sampled_from(["rows", "columns", "both"]),
    smoothing=st.sampled_from([0.0, 0.1, 0.7]),
    ids=st.one_of(st.none(), st.lists(st.integers(-1, 2), min_size=7, max_size=7)),
    scale=st.sampled_from([0.5, 30.0]),
)
@example(rows=7, block=3, direction="both", smoothing=0.1, ids=None, scale=0.5)
@example(rows=7, block=2, direction="columns", smoothing=0.0, ids=[0, 1, 0, -1, 1, 0, 0], scale=0.5)
def test_contrast_is_the_cross_entropy_of_each_group(
    rows: int, block: int, direction: Direction, smoothing: float, ids: list[int] | None, scale: float
) -> None:
    left, right = random_embeddings(2, rows, 3, seed=rows)
    groups = torch.zeros(rows, dtype=torch.long) if ids is None else torch.tensor(ids[:rows])
    if not (groups >= 0).any():
        groups = torch.zeros(rows, dtype=torch.long)
    tilt = torch.tensor([[0.5, 1.0, -0.3]], dtype=torch.float64)

    def similarity(one: Sequence[Tensor], other: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
        return (one[0] * shared[0]) @ other[0].t()

    def ours(a: Tensor, b: Tensor, s: Tensor, shared: Tensor) -> Tensor:
        return contrast(
            similarity, [a], [b], s, shared=[shared], direction=direction, smoothing=smoothing,
            groups=None if ids is None else groups, block_rows=block,
        )  # fmt: skip

    def expected(a: Tensor, b: Tensor, s: Tensor, shared: Tensor) -> Tensor:
        logits = s * (a * shared) @ b.t()
        by_rows, by_columns = (cross_entropy(one, groups, smoothing) for one in (logits, logits.t()))
        return {"rows": by_rows, "columns": by_columns, "both": (by_rows + by_columns) / 2}[direction]

    inputs = [left, right, torch.tensor(scale, dtype=torch.float64), tilt]
    for found, wanted in zip(gradients(ours, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-10)


def test_contrast_of_no_rows_is_nothing() -> None:
    rows = torch.ones(3, 2, requires_grad=True)
    scale = torch.tensor(2.0, requires_grad=True)
    value = contrast(inner_products, [rows], [rows], scale, groups=torch.full((3,), -1))
    value.backward()
    assert value == 0 and scale.grad == 0 and rows.grad is not None and not rows.grad.any()


def test_contrast_keeps_its_digits_near_zero() -> None:
    rows = torch.eye(4)
    found = gradients(lambda a, b: contrast(inner_products, [a], [b], torch.tensor(30.0)), [rows, rows])
    wide = gradients(
        lambda a, b: contrast(inner_products, [a], [b], torch.tensor(30.0, dtype=torch.float64)),
        [rows.double(), rows.double()],
    )
    assert 0 < wide[0] < 1e-12
    for low, high in zip(found, wide, strict=True):
        torch.testing.assert_close(low.double(), high, rtol=1e-5, atol=0)


@pytest.mark.parametrize("block", [None, 1, 2, 5])
@pytest.mark.parametrize("modalities", [2, 3, 4])
@pytest.mark.parametrize("factor", [30.0, 9000.0])  # exponentials of the second overflow
def test_the_sigmoid_loss_is_that_of_every_pair(factor: float, modalities: int, block: int | None) -> None:
    lengths = torch.logspace(-1.2, 0, 5, dtype=torch.float64)[:, None]
    rows = [lengths * one for one in random_embeddings(modalities, 5, 3)]
    scale, bias = torch.tensor(factor, dtype=torch.float64), torch.tensor(-0.7, dtype=torch.float64)

    def expected(*tensors: Tensor) -> Tensor:
        *e, factor, offset = tensors
        terms = []
        for m, own in enumerate(e):
            others = torch.stack([one for o, one in enumerate(e) if o != m]).prod(dim=0)
            logits = factor * own @ others.t() + offset
            terms.append(-F.logsigmoid((2 * torch.eye(5, dtype=torch.float64) - 1) * logits).sum() / 5)
        return torch.stack(terms).mean()

    found = sigmoid_of_products(rows, scale, bias, True, block)
    ours = [found.value, *found.gradients, found.scale_gradient, *found.parameter_gradients]
    assert worst_error(ours, gradients(expected, [*rows, scale, bias])) < 1e-11
    assert sigmoid_of_products(rows, scale, bias, False, block).value == pytest.approx(found.value.item(), rel=1e-14)


def test_the_sigmoid_loss_stays_exact_beside_a_logit_that_overflows() -> None:
    rows = [torch.ones(30, 1, dtype=torch.float64), torch.ones(30, 1, dtype=torch.float64)]
    rows[1][0] = 40.0  # its logits are 820, those of the other rows 20.5, where softplus(x) - x is 1.25e-9
    scale, bias = torch.tensor(20.5, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
    logits = scale * rows[0] @ rows[1].t()
    signs = 1 - 2 * torch.eye(30, dtype=torch.float64)
    expected = torch.logaddexp(torch.zeros_like(logits), signs * logits).sum() / 30
    found = sigmoid_of_products(rows, scale, bias, False)
    assert found.value.item() == pytest.approx(expected.item(), rel=1e-13)


@pytest.mark.parametrize(("rows", "block"), [(7, None), (7, 3), (6, 3), (1, 9), (0, 2)])
def test_blocks_cover_every_row_once(rows: int, block: int | None) -> None:
    blocks = row_blocks(rows, block, torch.zeros(1))
    assert [row for start, stop in blocks for row in range(start, stop)] == list(range(rows))
    assert all(0 < stop - start <= (block or rows) for start, stop in blocks)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_whitened_tuples_give_determinants(size: int, masked: bool) -> None:
    tuples = torch.stack(random_embeddings(size, 4, 5), dim=1)
    vectors = random_embeddings(1, 3, 5, seed=9)[0]
    absent = (torch.arange(4)[:, None] + torch.arange(size)) % 3 == 0 if masked else None
    basis, determinant = whiten(tuples, absent)
    volumes = determinant * outside_of_span(vectors, basis)
    for j in range(4):
        kept = tuples[j] if absent is None else tuples[j][~absent[j]]
        assert determinant[j].item() == pytest.approx(torch.linalg.det(kept @ kept.t()).item(), rel=1e-10)
        present = basis[j] if absent is None else basis[j][~absent[j]]
        torch.testing.assert_close(present @ present.t(), torch.eye(len(kept), dtype=torch.float64))
        if absent is not None:
            assert (basis[j][absent[j]] == 0).all()
        for i in range(3):
            every = torch.cat([vectors[i : i + 1], kept])
            assert volumes[i, j].item() == pytest.approx(torch.linalg.det(every @ every.t()).item(), rel=1e-10)


def test_a_tuple_of_nothing_has_the_volume_of_the_vector() -> None:
    vectors = random_embeddings(1, 3, 5)[0]
    basis, determinant = whiten(vectors[:, None][:, :0])
    torch.testing.assert_close(determinant * outside_of_span(vectors, basis), (vectors**2).sum(1)[:, None].expand(3, 3))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_gradients_of_the_spectrum_are_finite_differences(size: int) -> None:
    rows = torch.stack(random_embeddings(size, 3, 5), dim=1).requires_grad_()
    weights = torch.randn(3, size, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def without_sign(rows: Tensor) -> tuple[Tensor, Tensor]:
        values, vector = leading_spectrum(rows @ rows.mT)
        return values.sin(), ((vector[:, :, None] * weights).sum(1)).square()

    assert torch.autograd.gradcheck(without_sign, (rows,))


def test_the_spectrum_is_ordered_and_its_gradient_finite_where_eigenvalues_meet() -> None:
    matrices = torch.diag_embed(torch.tensor([[1.0, 3.0, 2.0], [1.0, 1.0, 1.0], [2.0, 1.0, 1.0]], dtype=torch.float64))
    matrices.requires_grad_()
    values, vector = leading_spectrum(matrices)
    assert values.tolist() == [[3.0, 2.0, 1.0], [1.0, 1.0, 1.0], [2.0, 1.0, 1.0]]
    assert vector.abs()[0].tolist() == [0.0, 1.0, 0.0]
    (values.sum() + vector.sum()).backward()
    assert matrices.grad is not None and matrices.grad.isfinite().all()
