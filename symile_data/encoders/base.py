"""The base of all encoders: a description of the data, and `FeatureEncoder`, a backbone and a linear head.

The backbone makes features, and the head maps them to embeddings. A backbone can thus be pretrained and frozen, and its
features be computed once for each unique image or audio, while the head is trained (Symile, section 5.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """Properties of the data that an encoder needs before it is built.

    Args:
        size: Numbers in a value of a modality of vectors, else 0.
        vocabulary: Words of a text modality's training split.
        imputed: Fill missing values in at the input and say so (see `Imputation`).
    """

    size: int = 0
    vocabulary: Sequence[str] = ()
    imputed: bool = False


class Imputation(nn.Module):
    """Missing features become their mean over the training split, and an indicator follows all features.

    As in the paper: for images and audio the indicator is one of two learned vectors as long as the features, for
    XOR's bits it is one number, 1 where missing.

    Args:
        size: F.
        learned: Two learned vectors (2, F) instead of the number.
    """

    mean: Tensor

    def __init__(self, size: int, *, learned: bool) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.extra = size if learned else 1
        self.indicator = nn.Embedding(2, self.extra)
        if not learned:
            self.indicator.weight = nn.Parameter(torch.tensor([[0.0], [1.0]]), requires_grad=False)

    def forward(self, features: Tensor, missing: Tensor | None) -> Tensor:
        """Map features (B, F) and a mask (B,) bool, True where missing, to (B, F + extra) features."""
        absent = features.new_zeros(len(features), dtype=torch.bool) if missing is None else missing
        filled = torch.where(absent[:, None], self.mean.to(features.dtype), features)
        return torch.cat([filled, self.indicator(absent.long())], dim=1)


class UniformDropout(nn.Dropout):
    """Dropout by comparison with uniform numbers, which a processor draws three times faster than torch's own mask."""

    def forward(self, features: Tensor) -> Tensor:
        """Set features to zero with probability p in training, and divide the others by 1 - p."""
        if not self.training or self.p in (0.0, 1.0):
            return super().forward(features)
        kept = torch.rand(features.shape, device=features.device) >= self.p
        return features * kept.to(features.dtype).div_(1.0 - self.p)


class FeatureEncoder(nn.Module):
    """Base of encoders with a backbone; a subclass sets the layers and defines `features`.

    Args:
        feature_size: F, length of a feature vector.
        dim: D, size of the embedding.
        description: `imputed` decides whether missing features are filled in, or left to whoever uses the embeddings.
        dropout: On the features, before the head.
        learned_indicator: Of the imputation.
    """

    external = False  # whether the backbone's weights come from elsewhere: always frozen, and no part of checkpoints
    fixed = False  # whether the features are a function of the values that nothing is learned in

    def __init__(
        self,
        feature_size: int,
        dim: int,
        description: DataDescription,
        *,
        dropout: float = 0.0,
        learned_indicator: bool = True,
    ) -> None:
        super().__init__()
        self.feature_size = feature_size
        self.imputation = Imputation(feature_size, learned=learned_indicator) if description.imputed else None
        width = feature_size + (0 if self.imputation is None else self.imputation.extra)
        self.head = nn.Sequential(UniformDropout(dropout), nn.Linear(width, dim))

    def features(self, media: Any) -> Tensor:
        """Map decoded values (B, ...) to features (B, F)."""
        raise TypeError(f"{type(self).__name__} does not define features")

    def embed_features(self, features: Tensor, missing: Tensor | None = None) -> Tensor:
        """Map features (B, F) to embeddings (B, D); `missing` is (B,) bool, or None where nothing is missing."""
        whole = features if self.imputation is None else self.imputation(features, missing)
        embedding: Tensor = self.head(whole)
        return embedding

    def forward(self, media: Any, missing: Tensor | None = None) -> Tensor:
        """Map decoded values (B, ...) to embeddings (B, D)."""
        return self.embed_features(self.features(media), missing)
