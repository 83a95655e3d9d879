"""`FeatureEncoder`: a backbone that makes features and a linear head that makes embeddings of them.

The division is what lets a backbone be pretrained and frozen, and its features be computed once for each medium,
while the head is trained (Symile, section 5.2).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class FeatureEncoder(nn.Module):
    """Base of encoders with a backbone; a subclass sets the layers and defines `features`.

    Args:
        feature_size: F, length of a feature vector.
        dim: D, size of the embedding.
        dropout: On the features, before the head.
    """

    def __init__(self, feature_size: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.feature_size = feature_size
        # Centred features: else all media start at nearly one embedding, and products of three see no difference.
        self.norm = nn.BatchNorm1d(feature_size)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(feature_size, dim))

    def features(self, media: Any) -> Tensor:
        """Decoded media (B, ...) to features (B, F)."""
        raise TypeError(f"{type(self).__name__} does not define features")

    def embed_features(self, features: Tensor) -> Tensor:
        """Features (B, F) to embeddings (B, D)."""
        embedding: Tensor = self.head(features)
        return embedding

    def forward(self, media: Any) -> Tensor:
        """Decoded media (B, ...) to embeddings (B, D)."""
        return self.embed_features(self.features(media))
