"""Linear probes read what is linear in the features, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symile_data.errors import UsageError
from symile_data.evaluation.probes import PENALTIES, linear_probe, majority_accuracy, probe_features
from symile_data.format.schema import SPLITS


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**32), st.floats(1e-3, 1e3))
def test_a_probe_on_one_hot_codes_is_exact(classes: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    labels = {split: np.concatenate([np.arange(classes), rng.integers(classes, size=20)]) for split in SPLITS}
    codes = {split: scale * np.eye(classes)[values].astype(np.float32) for split, values in labels.items()}
    found = linear_probe(codes, labels)
    assert found.accuracy == found.validation == 1.0
    assert found.predicted.tolist() == labels["test"].tolist()


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
    assert (flipped.penalty, flipped.validation) == (found.penalty, found.validation)
    assert flipped.accuracy == pytest.approx(1 - found.accuracy)
    assert found.penalty in PENALTIES


def test_a_constant_feature_does_no_harm() -> None:
    labels = {split: np.arange(20) % 2 for split in SPLITS}
    features = {split: np.stack([values, np.full(20, 0.1)], axis=1) for split, values in labels.items()}
    features["test"][:, 1] = 1e6
    assert linear_probe(features, labels).accuracy == 1.0


def test_a_label_that_training_rows_lack_counts_as_wrong() -> None:
    labels = {"train": np.array([0, 1] * 5), "validation": np.array([0, 1]), "test": np.array([0, 1, 2, 2])}
    features = {split: np.eye(3)[values] for split, values in labels.items()}
    assert linear_probe(features, labels).accuracy == 0.5


def test_the_majority_is_that_of_the_training_rows() -> None:
    assert majority_accuracy(np.array([1, 1, 0]), np.array([0, 0, 1])) == pytest.approx(1 / 3)


def test_unusable_rows_and_names_are_refused() -> None:
    rows = {split: np.zeros((4, 1)) for split in SPLITS}
    labels = {split: np.array([0, 1, 0, 1]) for split in SPLITS}
    with pytest.raises(UsageError, match="two labels at least"):
        linear_probe(rows, {**labels, "train": np.zeros(4, np.int64)})
    with pytest.raises(UsageError, match="0 rows of validation"):
        linear_probe(rows, {**labels, "validation": np.zeros(0, np.int64)})
    with pytest.raises(UsageError, match="name of a combined feature"):
        probe_features({"product": rows["test"], "b": rows["test"]})
