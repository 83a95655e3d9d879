"""Encoders of plain vectors, of bits and of precomputed features: one linear layer, as in the paper's XOR experiment
(section 5.1) and its heads on frozen features (section 5.2), or one hidden layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from symile_data.errors import UsageError

from .base import DataDescription, FeatureEncoder


class LinearEncoder(FeatureEncoder):
    """One linear layer; the features are the vectors themselves.

    Args:
        dim: Embedding size D.
        description: `size` is the length of a vector, K.
        learned_indicator: Where missing values are filled in: say so by two learned vectors of length K, as the paper
            does with features, instead of by one number, as it does with bits.
        dropout: On the vectors.

    Raises:
        UsageError: the length is unknown.
    """

    fixed = True

    def __init__(
        self, dim: int, description: DataDescription, learned_indicator: bool = False, dropout: float = 0.0
    ) -> None:
        if not description.size:
            raise UsageError("the encoder of vectors must know their length", got=description.size)
        super().__init__(description.size, dim, description, dropout=dropout, learned_indicator=learned_indicator)

    def features(self, media: Tensor) -> Tensor:
        """Convert (B, K) numbers to (B, K) float32 features."""
        return media.float()


class BitEncoder(LinearEncoder):
    """One linear layer over bits, which enter as -1 and 1.

    The same functions of the bits as with 0 and 1, but another start. Symile learns the XOR of M bits from the product
    over modalities of the half differences e(1) - e(0) of their embeddings, and every other term, with a mean
    (e(0) + e(1)) / 2 as a factor, is noise until the means are gone. With 0 and 1 a mean starts more than twice as
    large as a half difference: of eight bits the noise hides the signal, and whether it is found is luck. With -1 and 1
    both start alike.
    """

    def features(self, media: Tensor) -> Tensor:
        """Map (B, K) bits, 0 or 1, to (B, K) float32 signs, -1 or 1."""
        return 2 * media.float() - 1


class MlpEncoder(LinearEncoder):
    """One hidden layer of rectified linear units over the vectors.

    Args:
        dim: Embedding size D.
        description: `size` is the length of a vector, K.
        hidden: Units of the hidden layer, at least 1.
        learned_indicator: As for `LinearEncoder`.
        dropout: On the vectors.

    Raises:
        UsageError: the length is unknown.
    """

    def __init__(
        self,
        dim: int,
        description: DataDescription,
        hidden: int = 64,
        learned_indicator: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, description, learned_indicator, dropout)
        width = self.feature_size + (0 if self.imputation is None else self.imputation.extra)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, dim))
