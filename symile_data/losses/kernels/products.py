"""Elementwise products over modalities, and the matrix products of the losses at a chosen precision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def product_of_all(factors: Sequence[Tensor]) -> Tensor:
    """Elementwise product of one or more equally shaped tensors.

    >>> product_of_all([torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0])]).tolist()
    [10.0, 21.0]
    """
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    return product


def sum_of_all(terms: Sequence[Tensor]) -> Tensor:
    """Elementwise sum of one or more equally shaped tensors.

    >>> sum_of_all([torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0])]).tolist()
    [7.0, 10.0]
    """
    return torch.stack(list(terms)).sum(dim=0)


def products_of_others(factors: Sequence[Tensor]) -> list[Tensor]:
    """For each factor the product of all the others, without division (factors may be zero).

    Of two factors the products are the factors themselves, not copies.

    >>> [p.item() for p in products_of_others([torch.tensor(0.0), torch.tensor(2.0), torch.tensor(3.0)])]
    [6.0, 0.0, 0.0]
    """
    if len(factors) == 1:
        return [torch.ones_like(factors[0])]
    before, after = [factors[0]], [factors[-1]]
    for factor in factors[1:-1]:
        before.append(before[-1] * factor)
    for factor in reversed(factors[1:-1]):
        after.append(after[-1] * factor)
    after.reverse()
    middle = [left * right for left, right in zip(before[:-1], after[1:], strict=True)]
    return [after[0], *middle, before[-1]]


def add_through_products(totals: Sequence[Tensor], by_products: Sequence[Tensor], factors: Sequence[Tensor]) -> None:
    """Add to each factor's gradient what it gets from the gradients of `products_of_others`, in place.

    Args:
        totals: Gradient of each of M factors so far, changed in place.
        by_products: Gradient of the product of all factors but one, for each one.
        factors: The factors.

    >>> totals = [torch.zeros(()) for _ in range(3)]
    >>> add_through_products(totals, [torch.tensor(1.0), torch.tensor(10.0), torch.tensor(100.0)], torch.arange(1.0, 4))
    >>> [total.item() for total in totals]
    [230.0, 103.0, 12.0]
    """
    for left_out, by_product in enumerate(by_products):
        others = [m for m in range(len(factors)) if m != left_out]
        for m, rest in zip(others, products_of_others([factors[m] for m in others]), strict=True):
            totals[m].addcmul_(by_product, rest)


def matmul(a: Tensor, b: Tensor, operands: torch.dtype | None, out: Tensor) -> Tensor:
    """Return a @ b, in full precision or with operands rounded to a shorter type.

    A rounded product is still stored in the dtype of `out`: accelerators accumulate and store it so, while a CPU, whose
    kernels have no such output, rounds the result once more.

    Args:
        a: (R, D).
        b: (D, N).
        operands: torch.bfloat16 or torch.float16, or None for full precision.
        out: (R, N), gives the dtype of the result and, in full precision, its place.

    Returns:
        (R, N); `out` itself in full precision, else a new tensor.
    """
    if operands is None:
        return torch.mm(a, b, out=out)
    a, b = a.to(operands), b.to(operands)
    if a.is_cuda and hasattr(torch.ops.aten.mm, "dtype"):  # torch 2.8 and later
        return torch.mm(a, b, out_dtype=torch.float32).to(out.dtype)
    product = torch.mm(a, b)
    return product.to(out.dtype)


def add_matmul(total: Tensor, a: Tensor, b: Tensor, operands: torch.dtype | None, *, fresh: bool = False) -> None:
    """Add a @ b to `total` (R, N) in place, with the precision of `matmul`.

    Where `total` is fresh, its contents do not count and are replaced.
    """
    if not fresh and operands is None:
        total.addmm_(a, b)
    elif not fresh:
        total.add_(matmul(a, b, operands, out=total))
    elif operands is None:
        torch.mm(a, b, out=total)
    else:
        total.copy_(matmul(a, b, operands, out=total))
