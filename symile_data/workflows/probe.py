"""Probe the frozen embeddings of trained runs for the labels of a dataset, beside untrained networks of their shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symile_data.datasets.pid.probe_bayes import information_of, label_accuracy
from symile_data.errors import DamageError, UsageError
from symile_data.format.schema import SPLITS
from symile_data.progress import stage

from .probe_labels import NULL, Labels, design_in, read_labels
from .training_data import TrainingData

if TYPE_CHECKING:
    from symile_data.evaluation.probes import FloatArray, IntArray, ProbeResult
    from symile_data.training.module import SymileModule
    from symile_data.training.run import RunInfo

TRAINED, UNTRAINED = "trained", "untrained"
NETWORKS = (TRAINED, UNTRAINED)

Features = dict[str, dict[str, "FloatArray"]]  # split -> feature -> (N, D)
Results = dict[str, dict[str, "ProbeResult"]]  # label -> feature -> what its probe found


def probe_runs(
    place: Path, data: Path | None = None, labels: Sequence[str] = (), select: str | None = None
) -> dict[str, Any]:
    """Probe one run, or all runs of a directory, and write `probe.json` and `probe.png` into it.

    The rows are those that have every modality. Probes are fitted on the embeddings of the training split; see
    `symile_data.evaluation.probes`.

    Args:
        place: Directory of a run; or one of runs of several objectives, each with one seed or with several in `seed-*`.
        data: Directory of the dataset whose rows are probed, with the modalities of the runs; None takes the dataset
            that the runs were trained on.
        labels: Columns to predict; every label column where none is given.
        select: Figure that chose the weights, "val_accuracy" or "val_loss"; None takes the config's choice.

    Returns:
        The contents of probe.json: "rows" (split -> number), "labels" (column -> "classes", "chance", "rows",
        "information" and, for PID data, "bayes": feature -> accuracy), "left_out" (column -> reason) and "runs" (name
        -> "seeds", and "trained" and "untrained": column -> feature -> the `summary` of its test accuracies over
        seeds, with "penalties" and "converged").

    Raises:
        DamageError: there is no finished run, or its dataset has changed.
        UsageError: the dataset has other modalities than a run, no such label, or no complete rows in a split.
    """
    from symile_data.evaluation.probe_figure import draw_probes
    from symile_data.files import pretty_json, write_text

    runs = find_runs(place)
    opened = _dataset(runs, data)
    found: dict[str, dict[str, list[Results]]] = {}
    described: tuple[Labels, dict[str, IntArray]] | None = None
    total = len(NETWORKS) * sum(map(len, runs.values()))
    with stage("probing", total, "networks") as advance:
        for name, seeds in runs.items():
            for run in seeds.values():
                for network, module in _networks(run, opened, select).items():
                    features, ids = _embedded(module, opened)
                    if described is None:
                        described = read_labels(opened, ids, labels), ids
                    results = _probed(features, described[0])
                    found.setdefault(name, {}).setdefault(network, []).append(results)
                    advance()
    assert described is not None  # noqa: S101  # `find_runs` finds one at least
    read, ids = described
    result = {
        "dataset": opened.manifest.identity.dataset,
        "fingerprint": opened.manifest.identity.fingerprint,
        "rows": {split: len(ids[split]) for split in SPLITS},
        "labels": {label: _described(opened, label, values) for label, values in read.values.items()},
        "left_out": dict(read.left_out),
        "runs": {
            name: {"seeds": list(runs[name]), **{network: _summaries(seeds) for network, seeds in networks.items()}}
            for name, networks in found.items()
        },
    }
    write_text(place / "probe.json", pretty_json(result))
    draw_probes(place / "probe.png", result)
    return result


def find_runs(place: Path) -> dict[str, dict[int, Path]]:
    """Find the runs in a directory.

    Returns:
        Name of a run (its folder's) -> seed -> directory, seeds in ascending order.

    Raises:
        DamageError: there is no run.
        UsageError: two runs have the same name and seed.
    """
    from symile_data.training.run import RUN_FILE, read_run

    if (place / RUN_FILE).exists():
        return {read_run(place).config.objective: {read_run(place).config.seed: place}}
    paths = sorted(path.parent for pattern in ("*", "seed-*/*") for path in place.glob(f"{pattern}/{RUN_FILE}"))
    if not paths:
        read_run(place)  # raises with the advice that fits
    found: dict[str, dict[int, Path]] = {}
    for path in paths:
        seed = read_run(path).config.seed
        if seed in found.setdefault(path.name, {}):
            raise UsageError(
                "two runs of a directory have the same name and seed",
                where=path,
                got=f"{path.name}, seed {seed}",
                do="give the directory of one of them",
            )
        found[path.name][seed] = path
    return {name: dict(sorted(seeds.items())) for name, seeds in found.items()}


def _dataset(runs: Mapping[str, Mapping[int, Path]], directory: Path | None) -> TrainingData:
    """Open the dataset that is probed, and check that every run fits it."""
    from symile_data.training.run import read_run

    infos = {run: read_run(run) for seeds in runs.values() for run in seeds.values()}
    data = TrainingData(directory or Path(next(iter(infos.values())).location))
    for run, info in infos.items():
        if directory is None and info.fingerprint != data.manifest.identity.fingerprint:
            raise DamageError(
                "the run was trained on another dataset",
                where=run,
                do="name the dataset to probe with `data`",
            )
        if _shape(info) != _shape(here := data.run_info(info.config)):
            raise UsageError(
                "the dataset to probe has other modalities than the run",
                where=data.directory,
                got=_told(here),
                do=f"the run has {_told(info)}",
            )
    for split in SPLITS:
        if not data.manifest.splits.get(split):
            raise UsageError(
                "probes need rows of every split", where=data.directory, got=f"0 rows of {split}", do="build some"
            )
    return data


def _shape(info: RunInfo) -> list[tuple[Any, ...]]:
    """What a network needs of the data: names, kinds, lengths of vectors, and the meaning of their places."""
    return [
        (modality.name, modality.kind, info.sizes.get(modality.name), modality.details.get("places"))
        for modality in info.modalities
    ]


def _told(info: RunInfo) -> str:
    sizes = {name: f" of {size}" for name, size in info.sizes.items()}
    return ", ".join(f"{modality.name} ({modality.kind}{sizes.get(modality.name, '')})" for modality in info.modalities)


def _networks(run: Path, data: TrainingData, select: str | None) -> dict[str, SymileModule]:
    from symile_data.training.run import load_module, read_run

    return {TRAINED: load_module(run, select), UNTRAINED: _untrained(read_run(run), data)}


def _untrained(info: RunInfo, data: TrainingData) -> SymileModule:
    """Make the network of a run with fresh weights, also in place of the encoders that the config pretrains."""
    import lightning

    from symile_data.encoders import make_encoder

    config = info.config
    kinds = {modality.name: modality.kind for modality in info.modalities}
    lightning.seed_everything(config.seed, verbose=False)
    names = () if config.pretrain is None else config.pretrain.labels
    fresh = {
        name: make_encoder(kinds[name], config.dim, config.encoders.get(kinds[name], {})).state_dict() for name in names
    }
    module = info.make_module(fresh)
    module.fill_means(data.means(module))
    return module.eval()


def _embedded(module: SymileModule, data: TrainingData) -> tuple[Features, dict[str, IntArray]]:
    """Embed the complete rows of every split; also return their sample ids."""
    from symile_data.evaluation.probes import probe_features

    features: Features = {}
    ids: dict[str, IntArray] = {}
    for split in SPLITS:
        embedded = data.embedded(module, split, "sample_id")
        ids[split] = embedded.labels.numpy()
        if not len(ids[split]):
            raise UsageError("no row of a split has every modality", where=data.directory, got=split)
        features[split] = probe_features({name: value.numpy() for name, value in embedded.values.items()})
    return features, ids


def _probed(features: Features, labels: Labels) -> Results:
    """Probe every label on every feature."""
    from symile_data.evaluation.probes import linear_probe

    results: Results = {}
    for label, values in labels.values.items():
        kept = {split: values[split] != NULL for split in SPLITS}
        numbers = {split: values[split][kept[split]] for split in SPLITS}
        results[label] = {
            feature: linear_probe({split: features[split][feature][kept[split]] for split in SPLITS}, numbers)
            for feature in features["train"]
        }
    return results


def _summaries(seeds: Sequence[Results]) -> dict[str, dict[str, dict[str, Any]]]:
    """Summarise the accuracies of the same network with several seeds: label -> feature -> summary."""
    from symile_data.evaluation.comparison import summary

    return {
        label: {
            feature: {
                **summary([one[label][feature].accuracy for one in seeds], shares=True),
                "penalties": [one[label][feature].penalty for one in seeds],
                "converged": all(one[label][feature].converged for one in seeds),
            }
            for feature in features
        }
        for label, features in seeds[0].items()
    }


def _described(data: TrainingData, label: str, values: Mapping[str, IntArray]) -> dict[str, Any]:
    """Describe a label: its classes, its rows, and what can be reached without and with the data."""
    from symile_data.evaluation.probes import COMBINED, majority_accuracy

    known = {split: values[split][values[split] != NULL] for split in SPLITS}
    described: dict[str, Any] = {
        "classes": len(np.unique(known["train"])),
        "chance": majority_accuracy(known["train"], known["test"]),
        "rows": {split: len(known[split]) for split in SPLITS},
    }
    design = design_in(data)
    if design is None:
        return described
    # Combined features are functions of all modalities, and no reader of such a feature knows more than they tell.
    readers = {**{name: (name,) for name in design.names}, **dict.fromkeys(COMBINED, design.names)}
    bayes = {feature: label_accuracy(design, label, names) for feature, names in readers.items()}
    return {**described, "information": information_of(design, label), "bayes": bayes}
