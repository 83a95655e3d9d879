"""Every objective and the settings under which it is tested, with its loops beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from slow_objectives import (
    half_simplex,
    slow_anchor,
    slow_confu,
    slow_gated,
    slow_neutral,
    slow_pair,
    slow_pmrl,
    slow_sigmoid_mip,
    slow_subset,
    slow_sum_over_pairs,
    slow_symile,
    slow_volumes,
    volume,
)
from torch import Tensor, nn
from torch.nn import functional as F

from symile_data.losses import BatchShape, Objective, make_objective

WIDTH = 5


@dataclass(frozen=True)
class Case:
    """An objective by its key in the registry.

    Args:
        name: The key.
        slow: The same loss in loops.
        settings: Of its class.
        modalities: The numbers of modalities to test.
        missing: Whether a mask of missing modalities is given.
        scale: Of the logits.
    """

    name: str
    slow: Callable[[Any, list[Tensor], Tensor, Tensor | None], Tensor]
    settings: dict[str, Any]
    modalities: tuple[int, ...] = (2, 3, 4)
    missing: bool = False
    scale: float = 4.0

    def make(self, modalities: int, rows: int) -> Objective:
        """The objective in float64 with parameters away from their start, in evaluation mode."""
        loss = make_objective(self.name, BatchShape(modalities=modalities, dim=WIDTH, rows=rows, seed=3), self.settings)
        generator = torch.Generator().manual_seed(11)
        for parameter in loss.double().parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        return loss.eval()

    def mask(self, modalities: int, rows: int) -> Tensor | None:
        """(N, M) bool: patterns of several rows and of one, rows without some anchor, with it alone, with nothing."""
        if not self.missing:
            return None
        patterns = [0, 4, 0, 3, 4, 2, 0, 7, 1, 4, 2, 6][:rows]
        bits = torch.tensor(patterns)[:, None] // 2 ** torch.arange(modalities)
        return bits % 2 == 1


CASES = {
    "clip": Case("clip", slow_sum_over_pairs, {}),
    "anchor": Case("anchor", slow_anchor, {"anchor": 1}),
    "symile": Case("symile", slow_symile, {"shuffles": 2}),
    "symile-exact": Case("symile-exact", slow_symile, {}),
    "symile-pair": Case("symile-pair", slow_pair, {}),
    "symile-pair, both": Case("symile-pair", slow_pair, {"both": True}, (3,)),
    "sigmoid-mip": Case("sigmoid-mip", slow_sigmoid_mip, {}),
    "gram": Case("gram", slow_volumes(volume), {}),
    "gram, one anchor": Case("gram", slow_volumes(volume), {"anchor": 1, "smoothing": 0.1}, (3,)),
    "simplex": Case("simplex", slow_volumes(half_simplex), {}),
    "triangle": Case("triangle", slow_volumes(half_simplex), {"anchor": 2, "smoothing": 0.2}, (3,)),
    "pmrl": Case("pmrl", slow_pmrl, {"tau1": 0.2, "tau2": 0.3}),
    "confu": Case("confu", slow_confu, {"fused_weight": 0.7, "hidden": 4}),
    "gated": Case("gated", slow_gated, {"width": 3}, scale=0.7),
    "gram-masked": Case("gram-masked", slow_volumes(volume), {"smoothing": 0.1}, (3, 4), True),
    "gram-masked, across patterns": Case("gram-masked", slow_volumes(volume), {"by_pattern": False}, (3,), True),
    "gram-masked, one anchor": Case("gram-masked", slow_volumes(volume), {"anchor": 2}, (3,), True),
    "gram-masked, complete": Case("gram-masked", slow_volumes(volume), {}, (3,)),
    "symile-subset": Case("symile-subset", slow_subset, {}, (2, 3, 4), True),
    "symile-subset, n": Case("symile-subset", slow_subset, {"negatives": "n", "weights": "patterns"}, (3, 4), True),
    "symile-subset, large patterns": Case("symile-subset", slow_subset, {"least_rows": 3}, (3,), True),
    "symile-neutral": Case("symile-neutral", slow_neutral, {}, (3, 4), True),
    "symile-neutral, exact": Case(
        "symile-neutral", slow_neutral, {"negatives": "exact", "learned": True, "share_values": True}, (3,), True
    ),
    "symile-neutral, learned": Case("symile-neutral", slow_neutral, {"learned": True}, (3,), True),
}


def unit_rows(modalities: int, rows: int, seed: int = 0, width: int = WIDTH) -> list[Tensor]:
    """Random vectors of length one in float64."""
    generator = torch.Generator().manual_seed(seed)
    return [
        F.normalize(torch.randn(rows, width, generator=generator, dtype=torch.float64), dim=1)
        for _ in range(modalities)
    ]


def value_and_gradients(
    loss: Callable[[list[Tensor], Tensor], Tensor], embeddings: list[Tensor], scale: float, module: nn.Module
) -> list[Tensor]:
    """Value of a loss and its gradients: of the embeddings, of the scale and of a module's parameters."""
    module.zero_grad()
    leaves = [embedding.clone().requires_grad_() for embedding in embeddings]
    factor = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    value = loss(leaves, factor)
    value.backward()
    found = [*leaves, factor, *module.parameters()]
    return [value.detach(), *(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.clone() for leaf in found)]
