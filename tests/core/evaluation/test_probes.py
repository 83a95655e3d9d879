"""Linear probes read what is linear in the features, and nothing else; MLP probes read more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symile_data.errors import UsageError
from symile_data.evaluation.probes import (
    LINEAR,
    MLP,
    PENALTIES,
    ProbeResult,
    fit_probe,
    majority_accuracy,
    probe_features,
)
from symile_data.format.schema import SPLITS


def linear_probe(features: dict[str, Any], labels: dict[str, Any]) -> ProbeResult:
    return fit_probe(LINEAR, features, labels)


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**32), st.floats(1e-3, 1e3))
def test_a_probe_on_one_hot_codes_is_exact(classes: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    labels = {split: np.concatenate([np.arange(classes), rng.integers(classes, size=20)]) for split in SPLITS}
    codes = {split: scale * np.eye(classes)[values].astype(np.float32) for split, values in labels.items()}
    found = linear_probe(codes, labels)
    assert found.accuracy == 1.0 and found.validation < 0.1
    assert found.probabilities.argmax(axis=1).tolist() == labels["test"].tolist()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)


def test_the_product_shows_what_the_concatenation_cannot() -> None:
    rng = np.random.default_rng(0)
    labels, features = {}, {}
    for split in SPLITS:
        signs = {name: rng.choice([-1.0, 1.0], size=(400, 3)) for name in "abc"}
        features[split] = probe_features(signs)
        labels[split] = (features[split]["product"][:, 0] > 0).astype(np.int64)
    found = {
        name: linear_probe({split: features[split][name] for split in SPLITS}, labels) for name in features["test"]
    }
    assert found["product"].accuracy == found["both"].accuracy == 1.0
    assert all(found[name].accuracy < 0.6 for name in ("a", "b", "c", "concatenation"))
    assert features["test"]["both"].shape == (400, 12)


def test_the_penalty_is_chosen_on_validation_rows_alone() -> None:
    """One weak feature is true in training and validation rows; many noisy ones fit the training rows only."""
    rng = np.random.default_rng(1)
    labels = {split: rng.integers(2, size=60) for split in SPLITS}
    features = {
        split: np.concatenate([values[:, None] + rng.normal(0, 0.8, (60, 1)), rng.normal(size=(60, 80))], axis=1)
        for split, values in labels.items()
    }
    found = linear_probe(features, labels)
    other = {**labels, "test": 1 - labels["test"]}
    flipped = linear_probe(features, other)
    assert (flipped.chosen, flipped.validation) == (found.chosen, found.validation)
    assert flipped.accuracy == pytest.approx(1 - found.accuracy)
    assert found.chosen in PENALTIES
    losses = [-np.log(found.probabilities[row, label]) for row, label in enumerate(labels["test"])]
    assert found.validation == pytest.approx(np.mean(losses), rel=0.5)


def test_a_constant_feature_does_no_harm() -> None:
    labels = {split: np.arange(20) % 2 for split in SPLITS}
    features = {split: np.stack([values, np.full(20, 0.1)], axis=1) for split, values in labels.items()}
    features["test"][:, 1] = 1e6
    assert linear_probe(features, labels).accuracy == 1.0


def test_a_label_that_training_rows_lack_counts_as_wrong() -> None:
    labels = {"train": np.array([0, 1] * 5), "validation": np.array([0, 1]), "test": np.array([0, 1, 2, 2])}
    features = {split: np.eye(3)[values] for split, values in labels.items()}
    for head in (LINEAR, MLP):
        found = fit_probe(head, features, labels, 4)
        assert found.accuracy == 0.5 and found.probabilities.shape == (4, 4)
        assert not found.probabilities[:, 2:].any()


def test_an_mlp_probe_reads_the_xor_that_a_linear_one_cannot() -> None:
    rng = np.random.default_rng(2)
    features = {split: rng.choice([-1.0, 1.0], size=(300, 4)) for split in SPLITS}
    labels = {split: (values[:, 0] * values[:, 1] > 0).astype(np.int64) for split, values in features.items()}
    found = fit_probe(MLP, features, labels)
    assert found.accuracy > 0.97 and linear_probe(features, labels).accuracy < 0.62
    assert 1 <= found.chosen <= 60
    other = fit_probe(MLP, features, {**labels, "test": 1 - labels["test"]})
    assert (other.chosen, other.validation) == (found.chosen, found.validation)
    np.testing.assert_array_equal(other.probabilities, found.probabilities)


def test_the_majority_is_that_of_the_training_rows() -> None:
    assert majority_accuracy(np.array([1, 1, 0]), np.array([0, 0, 1])) == pytest.approx(1 / 3)


def test_unusable_rows_and_names_are_refused() -> None:
    rows = {split: np.zeros((4, 1)) for split in SPLITS}
    labels = {split: np.array([0, 1, 0, 1]) for split in SPLITS}
    with pytest.raises(UsageError, match="two labels at least"):
        linear_probe(rows, {**labels, "train": np.zeros(4, np.int64)})
    with pytest.raises(UsageError, match="0 rows of validation"):
        linear_probe(rows, {**labels, "validation": np.zeros(0, np.int64)})
    with pytest.raises(UsageError, match="unknown head of a probe; got 'forest'"):
        fit_probe("forest", rows, labels)
    with pytest.raises(UsageError, match="name of a combined feature"):
        probe_features({"product": rows["test"], "b": rows["test"]})
