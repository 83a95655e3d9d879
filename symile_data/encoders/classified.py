"""A pretrained encoder with its classifier: the features are the probabilities of the classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .base import DataDescription, FeatureEncoder


class ClassifiedEncoder(FeatureEncoder):
    """Probabilities of the classes that an encoder was pretrained to tell apart, then a linear head.

    Features of one class differ among each other, most of all those of a small network. In a product of four or five
    embeddings these differences multiply, and a contrastive loss finds what the product says only slowly. Probabilities
    of one class are nearly equal, so the head is a table of one vector for each class, which starts as random numbers
    of variance 1.

    Args:
        encoder: The pretrained encoder, whose own head is dropped.
        classes: C, number of classes.
        dim: Embedding size D.
        description: Of the data.
    """

    def __init__(self, encoder: FeatureEncoder, classes: int, dim: int, description: DataDescription) -> None:
        super().__init__(classes, dim, description)
        encoder.head, encoder.imputation = nn.Sequential(), None
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.feature_size, classes)
        table = nn.Linear(classes + (0 if self.imputation is None else self.imputation.extra), dim)
        nn.init.normal_(table.weight)
        nn.init.zeros_(table.bias)
        self.head = nn.Sequential(table)

    def features(self, media: Any) -> Tensor:
        """Map decoded values (B, ...) to probabilities (B, C) float32."""
        logits: Tensor = self.classifier(self.encoder.features(media))
        return torch.softmax(logits.float(), dim=1)
