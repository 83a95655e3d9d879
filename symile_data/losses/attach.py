"""Values whose gradients are known already, as nodes of autograd's graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symile_data.errors import UsageError


def attach(value: Tensor, gradients: Sequence[Tensor], inputs: Sequence[Tensor]) -> Tensor:
    """Return a value whose backward pass multiplies gradients that were computed together with it.

    Backward costs one multiplication per input, may be called twice, and has no second derivative.

    Args:
        value: () tensor.
        gradients: Derivative of the value by each input, of the input's number of elements.
        inputs: The tensors that the value depends on.

    Returns:
        () tensor equal to `value`, differentiable by `inputs`.
    """
    attached: Tensor = _Attach.apply(value, gradients, *inputs)  # type: ignore[no-untyped-call]
    return attached


class _Attach(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Sequence[Tensor], *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*gradients)
        ctx.casts = [
            None if one.shape == tensor.shape and one.dtype == tensor.dtype else (tensor.shape, tensor.dtype)
            for one, tensor in zip(gradients, inputs, strict=True)
        ]
        return value.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # autograd's sign that create_graph is set
            raise UsageError("the losses have no second derivative", do="differentiate without create_graph=True")
        gradients = ctx.saved_tensors
        needed = ctx.needs_input_grad[2:]
        # The product is taken before the cast, so that a loss scaler's factor lifts small values into float16's range.
        results: list[Tensor | None] = []
        for gradient, cast, need in zip(gradients, ctx.casts, needed, strict=True):
            product = gradient * upstream if need else None
            results.append(product if product is None or cast is None else product.reshape(cast[0]).to(cast[1]))
        return (None, None, *results)
