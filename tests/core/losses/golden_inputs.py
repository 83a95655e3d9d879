"""The inputs of the golden values: embeddings, networks, gates and masks by formula, in float64.

X_m[i, d] = sin(1 + a_m i + b_m d + 0.3 i d) for 4 rows of 6 numbers; rows are divided by their lengths.
"""

import math

import torch
from torch import Tensor

from symile_data.losses import ConfuLoss, GatedSymileLoss, SigmoidMipLoss
from symile_data.losses.kernels.sampled import Candidates

ROWS, WIDTH, SCALE = 4, 6, 10.0


def count(numbers: int) -> Tensor:
    return torch.arange(numbers, dtype=torch.float64)


def raw_embeddings(modalities: int) -> list[Tensor]:
    """The rows before they are divided by their lengths, as leaves."""
    i, d = count(ROWS)[:, None], count(WIDTH)
    factors = list(zip((0.7, 1.1, 1.3, 1.7), (0.9, 0.5, 1.9, 2.3), strict=True))
    return [torch.sin(1 + a * i + b * d + 0.3 * i * d).requires_grad_() for a, b in factors[:modalities]]


def unit(embeddings: list[Tensor]) -> list[Tensor]:
    return [embedding / embedding.norm(dim=1, keepdim=True) for embedding in embeddings]


def cell_mask(modalities: int) -> Tensor:
    """(4, M) bool: cell (i, m) is missing where (i + 2 m) mod 5 = 3."""
    return (torch.arange(ROWS)[:, None] + 2 * torch.arange(modalities)) % 5 == 3


def tail_mask(modalities: int) -> Tensor:
    """(4, M) bool: modality 2 is missing in the last two rows."""
    return (torch.arange(modalities) == 2) & (torch.arange(ROWS)[:, None] >= 2)


def cyclic_candidates(rows: int, modalities: int, shuffles: int, generator: object) -> Candidates:
    """Column c takes row (c + k + 1) mod 4 of the k-th other modality, and the diagonal gives way to the positive.

    Columns are numbered by the row of the first other modality here, so that column c of the formula is column c + 1.
    """
    column = torch.arange(rows)
    others = torch.stack([(column + k) % rows for k in range(1, modalities - 1)])
    return Candidates(others[:, None], (column + 1) % rows)


def sigmoid_mip(modalities: int) -> SigmoidMipLoss:
    loss = SigmoidMipLoss(ROWS).double()
    loss.bias.data.fill_(-math.log(4))
    return loss


def confu(modalities: int) -> ConfuLoss:
    loss = ConfuLoss(modalities, WIDTH, hidden=5).double()
    for t, network in enumerate(loss.networks):
        layers = list(network.children())
        for layer, linear in enumerate((layers[0], layers[2])):
            assert isinstance(linear, torch.nn.Linear)
            o, i = (count(size) for size in linear.weight.shape)
            phase = 0.3 + 0.7 * t + 1.1 * layer
            linear.weight.data = 0.5 * torch.cos(phase + 0.9 * o[:, None] + 1.7 * i)
            linear.bias.data = 0.1 * (torch.sin(o) if layer else torch.cos(o))
    return loss


def gated(modalities: int) -> GatedSymileLoss:
    loss = GatedSymileLoss(modalities, WIDTH, width=3).double()
    o, i = count(3)[:, None], count(WIDTH)
    for m in range(modalities):
        loss.queries[m].weight.data = torch.cos(0.2 + m + 0.8 * o + 1.3 * i)
        loss.keys[m].weight.data = torch.sin(0.5 + m + 0.6 * o + 1.1 * i)
        loss.null_bias.data[m] = 0.1 * m
        loss.neutral.data[m] = torch.cos(0.4 + m + 1.2 * i)
    _, inner, _, outer = loss.null_head
    inner.weight.data = 0.4 * torch.cos(0.1 + 0.9 * o + 0.7 * i)
    inner.bias.data, outer.bias.data = 0.1 * count(3), torch.tensor([0.2], dtype=torch.float64)
    outer.weight.data = 0.3 * torch.cos(o.t())
    loss.log_temperature.data = torch.tensor(0.7, dtype=torch.float64).log()
    return loss
