"""Linear probes: how much of a label a linear classifier reads off frozen embeddings.

A probe is a multinomial logistic regression (scikit-learn) on standardised features. It is fitted on training rows, the
penalty is chosen by the accuracy on validation rows, and the accuracy is measured on test rows.

Legend: N rows, D embedding size.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from symile_data.errors import UsageError
from symile_data.extras import needs_extra
from symile_data.format.schema import SPLITS

CONCATENATION, PRODUCT, BOTH = "concatenation", "product", "both"
COMBINED = (CONCATENATION, PRODUCT, BOTH)
PENALTIES = (1e-1, 1e-2, 1e-3)  # of half the squared weights, beside the mean loss of a row; strongest first

_ITERATIONS = 200
_CONSTANT = 1e-6  # a feature with a smaller share of the typical deviation holds rounding errors only

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What one probe found.

    Args:
        predicted: (N,) int64, the predicted labels of the test rows.
        accuracy: Share of test rows whose label is predicted, from 0 to 1.
        validation: The same share of the validation rows.
        penalty: The chosen one of `PENALTIES`.
        converged: Whether the fit with this penalty reached its optimum within the allowed iterations.
    """

    predicted: IntArray
    accuracy: float
    validation: float
    penalty: float
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


def linear_probe(features: Mapping[str, FloatArray], labels: Mapping[str, IntArray]) -> ProbeResult:
    """Fit one probe for each penalty, choose among them, and test the chosen one.

    Of penalties with the same validation accuracy the strongest is chosen. A label of a test row that no training row
    has cannot be predicted and counts as wrong.

    Args:
        features: "train", "validation" and "test" -> (N, D) finite numbers.
        labels: The same splits -> (N,) int64.

    Raises:
        UsageError: a split has no rows, or the training rows have one label only.
    """
    for split in SPLITS:
        if not len(labels[split]):
            raise UsageError("a probe needs rows in every split", got=f"0 rows of {split}")
    if len(np.unique(labels["train"])) < 2:
        raise UsageError("a probe needs two labels at least", got="one label in all training rows")
    scaled = _standardised(features)
    best: ProbeResult | None = None
    for penalty in PENALTIES:
        result = _fitted(scaled, labels, penalty)
        best = result if best is None or result.validation > best.validation else best
        if best.validation == 1.0:  # no weaker penalty can be better
            break
    assert best is not None  # noqa: S101  # there are penalties
    return best


def majority_accuracy(train: IntArray, test: IntArray) -> float:
    """Compute the accuracy on test labels of the guess that is best without features: the most frequent training label.

    >>> majority_accuracy(np.array([3, 3, 5]), np.array([3, 5, 5, 5]))
    0.25
    """
    found, counts = np.unique(train, return_counts=True)
    return float(np.mean(test == found[np.argmax(counts)]))


def _fitted(features: Mapping[str, FloatArray], labels: Mapping[str, IntArray], penalty: float) -> ProbeResult:
    with needs_extra("train", "a linear probe"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    # scikit-learn weighs the sum of the rows' losses by C against half the squared weights.
    model = LogisticRegression(C=1 / (penalty * len(labels["train"])), max_iter=_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(features["train"], labels["train"])
    predicted = model.predict(features["test"])
    return ProbeResult(
        predicted=predicted,
        accuracy=float(np.mean(predicted == labels["test"])),
        validation=float(np.mean(model.predict(features["validation"]) == labels["validation"])),
        penalty=penalty,
        converged=not any(issubclass(warning.category, ConvergenceWarning) for warning in caught),
    )


def _standardised(features: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Shift and scale every feature by its mean and standard deviation in the training rows."""
    train = np.asarray(features["train"], dtype=np.float64)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    constant = deviation <= _CONSTANT * max(float(np.sqrt(np.mean(train**2))), np.finfo(np.float64).tiny)
    scale = np.where(constant, 1.0, deviation)
    return {split: np.where(constant, 0.0, (values - mean) / scale) for split, values in features.items()}
