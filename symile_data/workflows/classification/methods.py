"""Every way in which a label is predicted, with its probabilities for the test rows: probes and baselines.

Legend: N test rows of a label, C classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS
from symile_data.progress import stage

from .labels import NULL, Labels
from .networks import TRAINED, UNTRAINED, Features, embedded, networks, representations
from .runs import baseline_of
from .supervised import predict_run, to_classes

if TYPE_CHECKING:
    from symile_data.evaluation.probes import FloatArray
    from symile_data.training.supervised.config import SupervisedConfig
    from symile_data.workflows.training_data import TrainingData

# Networks beside `NETWORKS`: a baseline, and a dataset's own representation.
SUPERVISED, FROZEN = "supervised", "frozen"


class Method(NamedTuple):
    """One way to predict labels.

    Args:
        run: Name of the run; "frozen" for a dataset without one.
        network: "trained", "untrained", "supervised" or "frozen".
        features: What the head sees: a modality, "concatenation", "product" or "both"; the fusion of a baseline.
        head: "linear" or "mlp" of a probe; "own" of a baseline.
    """

    run: str
    network: str
    features: str
    head: str


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What a method predicts for the test rows of one label, with one seed.

    Args:
        probabilities: (N, C) of the rows that have the label.
        chosen: The penalty or the epochs of a probe; None for a baseline.
        converged: Whether the fit of a probe reached its optimum.
    """

    probabilities: FloatArray
    chosen: float | None = None
    converged: bool = True


Found = dict[Method, list[dict[str, Predicted]]]  # for each seed: label -> prediction


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which probes are fitted.

    Args:
        heads: "linear", "mlp" or both.
        features: Names of features; all where there are none.
        select: Figure that chose the weights of runs; None takes each config's choice.
    """

    heads: Sequence[str] = ("linear",)
    features: Sequence[str] = ()
    select: str | None = None


def predict_runs(runs: Mapping[str, Mapping[int, Path]], data: TrainingData, labels: Labels, asked: Asked) -> Found:
    """Predict the labels of the complete test rows by every run: by probes on its network and on an untrained one, or
    by a baseline itself.

    Untrained networks that are equal, such as those of two objectives with one seed, are probed once.

    Raises:
        DamageError: a run is not finished.
        UsageError: a feature does not exist, or a baseline was trained on labels of another policy.
    """
    found: Found = {}
    probed: dict[bytes, dict[str, dict[str, dict[str, Predicted]]]] = {}
    with stage("probing", sum(map(len, runs.values())), "runs") as advance:
        for name, seeds in runs.items():
            for run in seeds.values():
                if (baseline := baseline_of(run)) is not None:
                    method = Method(name, SUPERVISED, _fusion(run, baseline, labels), "own")
                    found.setdefault(method, []).append(_by_baseline(run, data, labels, asked.select))
                else:
                    for network, module in networks(run, data, asked.select).items():
                        features = embedded(module, data)
                        heads = asked.heads if network == TRAINED else asked.heads[:1]
                        key = _digest(features) if network == UNTRAINED else b""
                        results = probed.get(key) or _probed(features, labels, asked, heads)
                        probed |= {key: results} if key else {}
                        _add(found, name, network, results)
                advance()
    return found


def predict_frozen(data: TrainingData, labels: Labels, asked: Asked) -> tuple[Found, dict[str, str]]:
    """Predict the labels by probes on the dataset's own representations; also describe these (modality -> words)."""
    features, told = representations(data)
    found: Found = {}
    _add(found, FROZEN, FROZEN, _probed(features, labels, asked, asked.heads))
    return found, told


def _add(found: Found, run: str, network: str, results: Mapping[str, Mapping[str, dict[str, Predicted]]]) -> None:
    for feature, heads in results.items():
        for head, predictions in heads.items():
            found.setdefault(Method(run, network, feature, head), []).append(predictions)


def _probed(
    features: Features, labels: Labels, asked: Asked, heads: Sequence[str]
) -> dict[str, dict[str, dict[str, Predicted]]]:
    """Probe every label on every feature: feature -> head -> label -> prediction."""
    from symile_data.evaluation.probes import fit_probe

    names = list(asked.features) or list(features["train"])
    for name in names:
        if name not in features["train"]:
            raise UsageError(
                "there is no such feature to probe", got=name, do=f"choose among {', '.join(features['train'])}"
            )
    results: dict[str, dict[str, dict[str, Predicted]]] = {name: {head: {} for head in heads} for name in names}
    for label, values in labels.values.items():
        kept = {split: values[split] != NULL for split in SPLITS}
        numbers = {split: values[split][kept[split]] for split in SPLITS}
        for name in names:
            shown = {split: features[split][name][kept[split]] for split in SPLITS}
            for head in heads:
                probe = fit_probe(head, shown, numbers, len(labels.classes[label]))
                results[name][head][label] = Predicted(
                    probabilities=probe.probabilities, chosen=probe.chosen, converged=probe.converged
                )
    return results


def _by_baseline(run: Path, data: TrainingData, labels: Labels, select: str | None) -> dict[str, Predicted]:
    """Predict those of the labels that a baseline knows."""
    from symile_data.training.run_record import read_run

    _, probabilities = predict_run(run, data, "test", select)
    classes = read_run(run).classes
    return {
        label: Predicted(
            probabilities=to_classes(
                probabilities[label][values["test"] != NULL], classes[label], labels.classes[label]
            )
        )
        for label, values in labels.values.items()
        if label in probabilities
    }


def _fusion(run: Path, baseline: SupervisedConfig, labels: Labels) -> str:
    """Return the fusion of a baseline.

    Raises:
        UsageError: it was trained on labels of another policy.
    """
    if baseline.policy != labels.policy:
        raise UsageError(
            "a supervised baseline was trained on labels of another policy",
            where=run,
            got=f"uncertain {baseline.policy.uncertain}, unmentioned {baseline.policy.unmentioned}",
            do="give the same policy with `uncertain` and `unmentioned`, or train it again in another directory",
        )
    return baseline.fusion


def _digest(features: Features) -> bytes:
    hashed = hashlib.blake2b(digest_size=16)
    for parts in features.values():
        for name, value in parts.items():
            hashed.update(name.encode() + value.tobytes())
    return hashed.digest()
