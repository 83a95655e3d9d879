"""Find the runs that are probed, and open the dataset whose rows are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS
from symile_data.workflows.train import check_fingerprint
from symile_data.workflows.training_data import TrainingData, data_of_run

if TYPE_CHECKING:
    from symile_data.training.config import TrainConfig
    from symile_data.training.run_record import FoldChoice, RunInfo
    from symile_data.training.supervised.config import SupervisedConfig

_FUSIONS = ("unimodal", "early", "late")  # in the order in which they are shown


def find_runs(place: Path) -> dict[str, dict[int, Path]]:
    """Find the runs in a directory: first supervised baselines, then objectives.

    Returns:
        Name of a run (its folder's) -> seed -> directory, seeds in ascending order.

    Raises:
        DamageError: there is no run.
        UsageError: two runs have the same name and seed.
    """
    from symile_data.training.run_record import RUN_FILE, read_run

    if (place / RUN_FILE).exists():
        config = read_run(place).config
        return {name_of(config): {config.seed: place}}
    paths = sorted(path.parent for pattern in ("*", "seed-*/*") for path in place.glob(f"{pattern}/{RUN_FILE}"))
    if not paths:
        read_run(place)  # raises with the advice that fits
    found: dict[str, dict[int, Path]] = {}
    baselines: dict[str, int] = {}
    for path in paths:
        config = read_run(path).config
        if config.seed in found.setdefault(path.name, {}):
            raise UsageError(
                "two runs of a directory have the same name and seed",
                where=path,
                got=f"{path.name}, seed {config.seed}",
                do="give the directory of one of them",
            )
        found[path.name][config.seed] = path
        if config.supervised is not None:
            baselines[path.name] = _FUSIONS.index(config.supervised.fusion.partition(":")[0])
    order = sorted(found, key=lambda name: (baselines.get(name, len(_FUSIONS)), name))
    return {name: dict(sorted(found[name].items())) for name in order}


def name_of(config: TrainConfig) -> str:
    """Name a run that is given alone."""
    return config.objective if config.supervised is None else config.supervised.run_name


def baseline_of(run: Path) -> SupervisedConfig | None:
    """Return the supervised baseline that a run has trained; None for a run of an objective."""
    from symile_data.training.run_record import read_run

    return read_run(run).config.supervised


def open_dataset(
    runs: Mapping[str, Mapping[int, Path]], directory: Path | None, folds: FoldChoice | None = None
) -> TrainingData:
    """Open the dataset that is probed, and check that every run fits it.

    Args:
        runs: What `find_runs` returned.
        directory: Directory of the dataset; None takes the one that the runs were trained on.
        folds: Fold that gives the splits; None takes that of the runs, or the own splits of `directory`.

    Raises:
        DamageError: the dataset of a run has changed.
        UsageError: the dataset has other modalities than a run, or a split without rows.
    """
    from symile_data.training.run_record import read_run

    infos = {run: read_run(run) for seeds in runs.values() for run in seeds.values()}
    first = next(iter(infos.values()))
    if directory is None:
        data = data_of_run(first, folds=folds)
    else:
        data = TrainingData(directory, folds=folds, features=first.features)
    for run, info in infos.items():
        if directory is None:
            check_fingerprint(run, info, data)
        if _shape(info) != _shape(here := data.run_info(info.config)):
            raise UsageError(
                "the dataset to probe has other modalities than the run",
                where=data.directory,
                got=_told(here),
                do=f"the run has {_told(info)}",
            )
    check_rows(data)
    return data


def check_rows(data: TrainingData) -> None:
    """Check that every split has rows.

    Raises:
        UsageError: a split has none.
    """
    for split in SPLITS:
        if not data.manifest.splits.get(split):
            raise UsageError(
                "probes need rows of every split", where=data.directory, got=f"0 rows of {split}", do="build some"
            )


def _shape(info: RunInfo) -> list[tuple[Any, ...]]:
    """What a network needs of the data: names, kinds, lengths of vectors, and the meaning of their places."""
    return [
        (modality.name, modality.kind, info.sizes.get(modality.name), modality.details.get("places"))
        for modality in info.modalities
    ]


def _told(info: RunInfo) -> str:
    sizes = {name: f" of {size}" for name, size in info.sizes.items()}
    return ", ".join(f"{modality.name} ({modality.kind}{sizes.get(modality.name, '')})" for modality in info.modalities)
