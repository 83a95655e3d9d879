"""Probes: how much of a label a small classifier reads off frozen embeddings.

A probe is fitted on the standardised features of training rows and tested on test rows. The linear probe is a
multinomial logistic regression (scikit-learn), whose penalty is chosen by the log loss on validation rows. The MLP
probe has one hidden layer; its number of epochs is chosen in the same way.

Legend: N rows, D embedding size, C classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.errors import UsageError
from symile_data.extras import needs_extra
from symile_data.format.schema import SPLITS

from .classification import is_right

CONCATENATION, PRODUCT, BOTH = "concatenation", "product", "both"
COMBINED = (CONCATENATION, PRODUCT, BOTH)
LINEAR, MLP = "linear", "mlp"
HEADS = (LINEAR, MLP)
PENALTIES = (1.0, 1e-1, 1e-2, 1e-3)  # of half the squared weights, beside the mean loss of a row; strongest first

_ITERATIONS = 200
_HIDDEN, _BATCH, _MLP_PENALTY = 64, 128, 1e-2  # units, rows of a step, and weight of half the squared weights
_EPOCHS, _PATIENCE = 60, 8  # at most so many epochs, and so many without a lower log loss on validation rows
_LEAST_PROBABILITY = 1e-12  # of a class, in the log loss of validation rows
_CONSTANT = 1e-6  # a feature with a smaller share of the typical deviation holds rounding errors only

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What one probe found.

    Args:
        probabilities: (N, C) float64, those of each class for the test rows.
        accuracy: Share of test rows whose most probable class is their label, from 0 to 1.
        validation: Log loss of the validation rows, by which penalty or epochs were chosen.
        chosen: The penalty, one of `PENALTIES`, of a linear probe; the number of epochs of an MLP probe.
        converged: Whether the linear fit with this penalty reached its optimum within the allowed iterations; False for
            an MLP whose log loss on validation rows still fell in the last epoch.
    """

    probabilities: FloatArray
    accuracy: float
    validation: float
    chosen: float
    converged: bool


def probe_features(values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Derive the features on which labels are probed from the embeddings of all modalities.

    Args:
        values: Modality -> (N, D) embeddings.

    Returns:
        Each modality -> (N, D); "concatenation" of all, (N, M D); the elementwise "product" of all, (N, D); and "both",
        (N, M D + D).

    Raises:
        UsageError: a modality has the name of one of the combined features.

    >>> features = probe_features({"a": np.array([[1.0, 2.0]]), "b": np.array([[3.0, -1.0]])})
    >>> features["product"].tolist(), features["both"].tolist()
    ([[3.0, -2.0]], [[1.0, 2.0, 3.0, -1.0, 3.0, -2.0]])
    """
    if taken := sorted(set(values) & set(COMBINED)):
        raise UsageError("a modality has the name of a combined feature", got=taken[0], do="rename the modality")
    embeddings = list(values.values())
    product = np.prod(np.stack(embeddings), axis=0)
    joined = np.concatenate(embeddings, axis=1)
    return {**values, CONCATENATION: joined, PRODUCT: product, BOTH: np.concatenate([joined, product], axis=1)}


def fit_probe(
    head: str, features: Mapping[str, FloatArray], labels: Mapping[str, IntArray], classes: int | None = None
) -> ProbeResult:
    """Fit a probe on training rows, choose its penalty or its epochs on validation rows, and test the choice.

    Penalties are tried from the strongest on, until one has a higher log loss on validation rows than the one before.
    The choice does not depend on the test rows. A label that no training row has gets the probability 0 and counts as
    wrong.

    Args:
        head: "linear" or "mlp".
        features: "train", "validation" and "test" -> (N, D) finite numbers.
        labels: The same splits -> (N,) int64 from 0 to C - 1.
        classes: C; None takes the largest label of all splits.

    Raises:
        UsageError: there is no such head, a split has no rows, or the training rows have one label only.
    """
    if head not in HEADS:
        raise UsageError("unknown head of a probe", got=repr(head), do=f"choose among {', '.join(HEADS)}")
    for split in SPLITS:
        if not len(labels[split]):
            raise UsageError("a probe needs rows in every split", got=f"0 rows of {split}")
    if len(np.unique(labels["train"])) < 2:
        raise UsageError("a probe needs two labels at least", got="one label in all training rows")
    count = classes or 1 + max(int(values.max()) for values in labels.values())
    scaled = _standardised(features)
    return (_linear_probe if head == LINEAR else _mlp_probe)(scaled, labels, count)


def majority_accuracy(train: IntArray, test: IntArray) -> float:
    """Compute the accuracy on test labels of the guess that is best without features: the most frequent training label.

    >>> majority_accuracy(np.array([3, 3, 5]), np.array([3, 5, 5, 5]))
    0.25
    """
    found, counts = np.unique(train, return_counts=True)
    return float(np.mean(test == found[np.argmax(counts)]))


def _linear_probe(features: Mapping[str, FloatArray], labels: Mapping[str, IntArray], classes: int) -> ProbeResult:
    strongest, *weaker = PENALTIES
    best = _logistic_regression(features, labels, classes, strongest)
    for penalty in weaker:
        result = _logistic_regression(features, labels, classes, penalty)
        if result.validation >= best.validation:
            break
        best = result
    return best


def _logistic_regression(
    features: Mapping[str, FloatArray], labels: Mapping[str, IntArray], classes: int, penalty: float
) -> ProbeResult:
    with needs_extra("train", "a linear probe"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    # scikit-learn weighs the sum of the rows' losses by C against half the squared weights.
    model = LogisticRegression(C=1 / (penalty * len(labels["train"])), max_iter=_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(features["train"], labels["train"])
    return _tested(
        {split: _spread(model, features[split], classes) for split in SPLITS[1:]},
        labels,
        chosen=penalty,
        converged=not any(issubclass(warning.category, ConvergenceWarning) for warning in caught),
    )


def _mlp_probe(features: Mapping[str, FloatArray], labels: Mapping[str, IntArray], classes: int) -> ProbeResult:
    with needs_extra("train", "an MLP probe"):
        from sklearn.neural_network import MLPClassifier
    batch = min(_BATCH, len(labels["train"]))
    model = MLPClassifier((_HIDDEN,), alpha=_MLP_PENALTY, batch_size=batch, random_state=0)
    single = {split: values.astype(np.float32) for split, values in features.items()}

    def train_epoch() -> FloatArray:
        """Pass over the training rows once; return the probabilities of the validation rows."""
        model.partial_fit(single["train"], labels["train"], classes=np.unique(labels["train"]))
        return _spread(model, single["validation"], classes)

    def tested(epoch: int, validation: FloatArray) -> ProbeResult:
        known = {"validation": validation, "test": _spread(model, single["test"], classes)}
        return _tested(known, labels, chosen=epoch, converged=epoch < _EPOCHS)

    best = tested(1, train_epoch())
    for epoch in range(2, _EPOCHS + 1):
        validation = train_epoch()
        if _log_loss(validation, labels["validation"]) < best.validation:
            best = tested(epoch, validation)
        elif epoch >= best.chosen + _PATIENCE:
            break
    return best


def _tested(
    probabilities: Mapping[str, FloatArray], labels: Mapping[str, IntArray], *, chosen: float, converged: bool
) -> ProbeResult:
    return ProbeResult(
        probabilities=probabilities["test"],
        accuracy=float(np.mean(is_right(labels["test"], probabilities["test"]))),
        validation=_log_loss(probabilities["validation"], labels["validation"]),
        chosen=chosen,
        converged=converged,
    )


def _spread(model: Any, features: FloatArray, classes: int) -> FloatArray:
    """Predict the probabilities of all classes (N, C): those that no training row has get 0."""
    spread = np.zeros((len(features), classes))
    spread[:, model.classes_] = model.predict_proba(features)
    return spread


def _log_loss(probabilities: FloatArray, labels: IntArray) -> float:
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.mean(np.log(np.maximum(own, _LEAST_PROBABILITY))))


def _standardised(features: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Shift and scale every feature by its mean and standard deviation in the training rows."""
    train = np.asarray(features["train"], dtype=np.float64)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    constant = deviation <= _CONSTANT * max(float(np.sqrt(np.mean(train**2))), np.finfo(np.float64).tiny)
    scale = np.where(constant, 1.0, deviation)
    return {split: np.where(constant, 0.0, (values - mean) / scale) for split, values in features.items()}
