"""Turn predictions into the contents of probe.json: figures with intervals, the table of methods, paired tests.

The table shows for each label one figure of each method: AUROC of two classes, accuracy of more. A method is a
supervised baseline, the first probe on the concatenated embeddings of a run, or, without a run, each representation of
a dataset. One method is tested against all others: for each label by DeLong's test or a paired t-test, and for the mean
over labels of two classes by the bootstrap and, with several seeds, by a paired t-test over seeds. Holm's correction is
applied to each of these families of tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symile_data.datasets.mimic.labels import LabelPolicy, is_finding
from symile_data.datasets.mimic.sample_terms import known_aurocs
from symile_data.datasets.pid.probe_bayes import information_of, label_accuracy
from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS

from .labels import NULL, Labels, design_in, read_clusters
from .methods import FROZEN, SUPERVISED, Found, Method, Predicted
from .networks import TRAINED

if TYPE_CHECKING:
    from symile_data.evaluation.clusters import Clusters
    from symile_data.evaluation.probes import IntArray
    from symile_data.evaluation.scores import LabelRows, Score
    from symile_data.workflows.training_data import TrainingData

MLP_RESULTS = "mlp"  # the key of a trained network's results by an MLP probe
SYMILE = "symile"

Scored = dict[Method, dict[str, dict[str, "Score"]]]  # label -> figure -> score


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The complete test rows.

    Args:
        labels: Label -> its rows.
        clusters: Clusters of all of the rows.
        group: Column whose equal values are one cluster; None where each row is its own.
    """

    labels: Mapping[str, LabelRows]
    clusters: Clusters
    group: str | None


def rows_of_labels(data: TrainingData, labels: Labels, ids: IntArray, group: str | None, replicates: int) -> Rows:
    """Describe the test rows of each label, with the bootstrap replicates that all of them share.

    Args:
        data: The dataset.
        labels: The labels.
        ids: (N,) sample ids of the complete test rows.
        group: Column of the clusters; None makes each row its own.
        replicates: B; 0 for no bootstrap.
    """
    from symile_data.evaluation.clusters import draw_counts
    from symile_data.evaluation.scores import LabelRows

    clusters = read_clusters(data, "test", ids, group)
    counts = draw_counts(clusters.count, replicates) if replicates else None
    rows = {}
    for label, parts in labels.values.items():
        known = parts["test"] != NULL
        if not known.any():
            raise UsageError("no complete test row has the label", got=label, do="leave it out of `labels`")
        rows[label] = LabelRows(
            labels=parts["test"][known],
            classes=len(labels.classes[label]),
            clusters=clusters.take(known),
            counts=counts,
        )
    return Rows(labels=rows, clusters=clusters, group=group)


def results_of(
    data: TrainingData,
    labels: Labels,
    rows: Rows,
    found: Found,
    seeds: Mapping[str, Sequence[int]],
    against: str | None,
) -> dict[str, Any]:
    """Compute "labels", "left_out", "runs", "table", "mean" and "differences" of probe.json.

    Raises:
        UsageError: there is no method `against` which to test.
    """
    scored = _scored(rows, found)
    shown = _shown(scored)
    reference = _reference(shown, against)
    table = {
        label: {name: _main(rows, label, scored[method]) for name, method in shown.items() if label in scored[method]}
        for label in labels.values
    }
    means = _means(rows, scored, shown)
    ideal = _ideal(data, labels)
    return {
        "labels": {label: _described(data, labels, label, ideal) for label in labels.values},
        "left_out": dict(labels.left_out),
        "runs": _runs(scored, found, seeds),
        "table": table,
        "mean": {name: one.to_json() for name, one in means.items()},
        "differences": {
            "against": reference,
            "labels": _label_differences(rows, found, shown, reference),
            "mean": _mean_differences(means, reference),
        },
    }


def _scored(rows: Rows, found: Found) -> Scored:
    from symile_data.evaluation.scores import score

    return {
        method: {
            label: score(rows.labels[label], [one[label].probabilities for one in predictions])
            for label in predictions[0]
        }
        for method, predictions in found.items()
    }


def _shown(scored: Scored) -> dict[str, Method]:
    """Choose the methods of the table, by the name of their column."""
    from symile_data.evaluation.probes import CONCATENATION

    shown: dict[str, Method] = {}
    for method in scored:
        if method.network in (FROZEN, SUPERVISED):
            shown.setdefault(method.features, method)
    for run in dict.fromkeys(method.run for method in scored if method.network == TRAINED):
        own = [method for method in scored if method.run == run and method.network == TRAINED]
        joined = [method for method in own if method.features == CONCATENATION]
        shown[run] = (joined or own)[0]
    return shown


def _reference(shown: Mapping[str, Method], against: str | None) -> str:
    if against is not None and against not in shown:
        raise UsageError("there is no such method", got=against, do=f"choose among {', '.join(shown)}")
    return against or (SYMILE if SYMILE in shown else list(shown)[-1])


def _main(rows: Rows, label: str, figures: Mapping[str, Mapping[str, Score]]) -> dict[str, Any]:
    figure = rows.labels[label].main_figure
    return {"figure": figure, **figures[label][figure].to_json()}


def _means(rows: Rows, scored: Scored, shown: Mapping[str, Method]) -> dict[str, Score]:
    """Average AUROC over the labels of two classes that every method predicts and that the test rows show."""
    from symile_data.evaluation.classification import AUROC
    from symile_data.evaluation.scores import mean_score

    defined = [
        label
        for label, its in rows.labels.items()
        if its.classes == 2
        and all(label in scored[method] and scored[method][label][AUROC].value is not None for method in shown.values())
    ]
    if len(defined) < 2:
        return {}
    return {name: mean_score([scored[method][label][AUROC] for label in defined]) for name, method in shown.items()}


def _label_differences(rows: Rows, found: Found, shown: Mapping[str, Method], reference: str) -> dict[str, Any]:
    """Test one method against all others for every label: label -> other method -> test, with Holm's p over all."""
    from symile_data.evaluation.comparison import holm
    from symile_data.evaluation.scores import compare_scores

    tests: dict[str, dict[str, Any]] = {}
    first = found[shown[reference]]
    for label, its in rows.labels.items():
        for name, method in shown.items():
            if name == reference or label not in first[0] or label not in found[method][0]:
                continue
            tests.setdefault(label, {})[name] = compare_scores(
                its, _probabilities(first, label), _probabilities(found[method], label)
            )
    flat = [test for others in tests.values() for test in others.values()]
    for test, adjusted in zip(flat, holm([test["p"] for test in flat]), strict=True):
        test["p_holm"] = adjusted
    return tests


def _mean_differences(means: Mapping[str, Score], reference: str) -> dict[str, Any]:
    """Test the mean over labels of one method against all others: other method -> test by cluster and over seeds."""
    from symile_data.evaluation.comparison import compare, holm
    from symile_data.evaluation.scores import compare_means

    if not means:
        return {}
    others = [name for name in means if name != reference]
    tests = {name: compare_means(means[reference], means[name]) for name in others}
    for name, adjusted in zip(others, holm([tests[name]["p"] for name in others]), strict=True):
        tests[name]["p_holm"] = adjusted
    values = {name: [value or 0.0 for value in means[name].seeds] for name in (reference, *others)}
    if len({len(series) for series in values.values()}) == 1:
        over_seeds = compare(values, shares=True).get("differences", {})
        for name in others:
            tests[name]["over_seeds"] = over_seeds.get(name)
    return tests


def _probabilities(predictions: Sequence[Mapping[str, Predicted]], label: str) -> list[Any]:
    return [one[label].probabilities for one in predictions]


def _runs(scored: Scored, found: Found, seeds: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Arrange all figures by run, network, label and feature."""
    from symile_data.evaluation.comparison import summary
    from symile_data.evaluation.probes import MLP

    runs: dict[str, Any] = {}
    for method, labels in scored.items():
        run = runs.setdefault(method.run, {"seeds": list(seeds.get(method.run, [0]))})
        network = MLP_RESULTS if method.head == MLP and method.network == TRAINED else method.network
        network = f"{MLP_RESULTS} {method.network}" if method.head == MLP and method.network == FROZEN else network
        for label, figures in labels.items():
            predictions = [one[label] for one in found[method]]
            probes = {
                "penalties" if method.head != MLP else "epochs": [one.chosen for one in predictions],
                "converged": all(one.converged for one in predictions),
            }
            run.setdefault(network, {}).setdefault(label, {})[method.features] = {
                **summary([value or 0.0 for value in figures["accuracy"].seeds], shares=True),
                **({} if method.network == SUPERVISED else probes),
                "figures": {name: one.to_json() for name, one in figures.items()},
            }
    return runs


def _ideal(data: TrainingData, labels: Labels) -> dict[str, dict[str, Any]]:
    """Compute the exact areas of synthetic admissions; of findings under the default policy alone, since they are those
    of rows whose report is certain.
    """
    changed = labels.policy != LabelPolicy()
    return {label: of for label, of in known_aurocs(data.manifest).items() if not (changed and is_finding(label))}


def _described(
    data: TrainingData, labels: Labels, label: str, ideal: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Describe a label: its classes, its rows, and what can be reached without and with the data."""
    from symile_data.evaluation.probes import COMBINED, majority_accuracy

    values = labels.values[label]
    known = {split: values[split][values[split] != NULL] for split in SPLITS}
    described: dict[str, Any] = {
        "classes": len(labels.classes[label]),
        "chance": majority_accuracy(known["train"], known["test"]),
        "rows": {split: len(known[split]) for split in SPLITS},
    }
    if len(labels.classes[label]) == 2:
        described["positive"] = labels.classes[label][1]
        described["positives"] = {split: int(np.sum(known[split] == 1)) for split in SPLITS}
    if label in ideal:
        described["ideal"] = ideal[label]["auroc"]
    design = design_in(data)
    if design is None:
        return described
    # Combined features are functions of all modalities, and no reader of such a feature knows more than they tell.
    readers = {**{name: (name,) for name in design.names}, **dict.fromkeys(COMBINED, design.names)}
    bayes = {feature: label_accuracy(design, label, names) for feature, names in readers.items()}
    return {**described, "information": information_of(design, label), "bayes": bayes}
