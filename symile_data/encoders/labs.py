"""Encoder of laboratory values: percentiles and which of them were measured, through a small network.

The paper's (Symile-MIMIC): each of 50 labs as its percentile in the training split, missing ones as the training
split's mean percentile, followed by 50 flags; Linear 100-256-1024-D with GELU between.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from symile_data.errors import UsageError

from .base import DataDescription


class LabsEncoder(nn.Module):
    """Multilayer perceptron over imputed values and observed flags.

    Args:
        dim: Embedding size D.
        description: `size` is the number of labs, L.
        widths: Of the hidden layers; the paper's by default.
        dropout: Before the last layer.

    Raises:
        UsageError: no labs.
    """

    mean: Tensor

    def __init__(
        self, dim: int, description: DataDescription, widths: Sequence[int] = (256, 1024), dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not description.size:
            raise UsageError("the encoder of labs must know how many there are", got=description.size)
        self.register_buffer("mean", torch.zeros(description.size))
        layers: list[nn.Module] = []
        before = 2 * description.size
        for width in widths:
            layers += [nn.Linear(before, width), nn.GELU()]
            before = width
        self.network = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(before, dim))

    def forward(self, labs: Tensor, missing: Tensor | None = None) -> Tensor:
        """Encode the laboratory values of rows.

        Args:
            labs: (B, L) percentiles, NaN where unmeasured.
            missing: (B,) bool, rows without any; None for nowhere.

        Returns:
            (B, D).
        """
        values = labs.to(torch.float32)
        if missing is not None:
            values = values.masked_fill(missing[:, None], torch.nan)
        observed = ~values.isnan()
        filled = torch.where(observed, values, self.mean)
        embedding: Tensor = self.network(torch.cat([filled, observed.to(filled.dtype)], dim=1))
        return embedding
