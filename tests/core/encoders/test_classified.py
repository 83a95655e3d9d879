"""An encoder with its classifier: features are probabilities, and the head is a table of random vectors."""

import pytest
import torch

from symile_data.encoders import ClassifiedEncoder, DataDescription, LinearEncoder
from symile_data.encoders.image import SmallImageEncoder


def images(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_features_are_probabilities_of_the_classifier() -> None:
    torch.manual_seed(0)
    plain = SmallImageEncoder(4, DataDescription(), width=2).eval()
    encoder = ClassifiedEncoder(plain, 3, 8, DataDescription()).eval()
    features = encoder.features(images(5))
    scores = plain.features(images(5)) @ encoder.classifier.weight.T + encoder.classifier.bias
    torch.testing.assert_close(features, scores.exp() / scores.exp().sum(dim=1, keepdim=True))
    assert encoder(images(5)).shape == (5, 8) and encoder.feature_size == 3


def test_the_head_starts_as_a_table_of_random_vectors() -> None:
    torch.manual_seed(0)
    encoder = ClassifiedEncoder(LinearEncoder(4, DataDescription(size=6)), 50, 200, DataDescription())
    embeddings = encoder.embed_features(torch.eye(50))
    assert embeddings.mean().abs() < 0.05 and embeddings.var().item() == pytest.approx(1.0, abs=0.05)
    assert not any(name.startswith("encoder.head") for name, _ in encoder.named_parameters())


def test_missing_values_are_filled_in_with_mean_probabilities() -> None:
    encoder = ClassifiedEncoder(LinearEncoder(4, DataDescription(size=6)), 3, 4, DataDescription(imputed=True))
    assert encoder.imputation is not None
    encoder.imputation.mean.copy_(torch.tensor([0.2, 0.3, 0.5]))
    absent = torch.tensor([True, False])
    filled = encoder.imputation(torch.eye(3)[:2], absent)
    torch.testing.assert_close(filled[:, :3], torch.tensor([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]]))
    assert encoder.embed_features(torch.eye(3)[:2], absent).shape == (2, 4)
