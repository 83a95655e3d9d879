"""The sweeps of Symile-M3 (Symile, section 5.2): over languages and missing modalities, the paper's figure 4, and over
the number of modalities, with keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.losses.objectives import COMPARED, COMPARED_WITH_KEYS

from .. import trials
from .m3_trials import M3Trial, build_dataset, pretrain
from .results import FIGURE, SweepResults

if TYPE_CHECKING:
    from symile_data.experiments.leaderboard import Run
    from symile_data.experiments.m3 import Point
    from symile_data.experiments.m3_keys import KeyPoint

    from ..trials import Accuracies

# Directory of a dataset -> its number of languages, and its keys beside the language of the audio.
_Datasets = Mapping[Path, tuple[int, tuple[str, ...]]]


@dataclass(frozen=True, kw_only=True)
class M3Sweep:
    """What all points of a sweep share.

    Args:
        out: Directory of the datasets, the trials and the results.
        config: Name of a bundled config, or path of a TOML file.
        rows: Split -> number of rows of each dataset.
        changes: Setting -> value in place of the config's.
        images: An ImageNet folder; None takes the sample images.
        seeds: Number of seeds of the training, from 0; on the same data.
        workers: Worker processes.
    """

    out: Path
    config: str
    rows: Mapping[str, int]
    changes: Mapping[str, Any] = field(default_factory=dict)
    images: Path | None = None
    seeds: int = 1
    workers: int = 1


def sweep_languages(sweep: M3Sweep, points: Sequence[Point], run: Run) -> SweepResults:
    """Measure Symile and CLIP over languages and missing modalities, and write figure and tables.

    Args:
        sweep: What all points share.
        points: From `experiments.m3.points`.
        run: What the leaderboard names as the command that measured.

    Raises:
        OutputError: a directory has other data or a run with another config, or cannot be written.
        SymileDataError: the sources cannot be read, or a worker died.
    """
    from symile_data.experiments.figures import draw_m3
    from symile_data.experiments.leaderboard import swept_entries
    from symile_data.experiments.m3 import m3_name, m3_notes, m3_row, m3_table

    planned = [_trial(sweep, point, seed) for point in points for seed in range(sweep.seeds)]
    datasets = {_base(sweep, point) / "data": (point.languages, ()) for point in points}
    found = _measured(sweep, planned, datasets)
    rows = [m3_row(point, sweep.rows["train"], seeds) for point, seeds in zip(points, found, strict=True)]
    draw_m3(sweep.out / FIGURE, rows)
    configs = planned[0].configs
    results = SweepResults(
        configs=configs,
        points=rows,
        table=m3_table(rows),
        entries=swept_entries(rows, COMPARED, m3_name, run),
        notes=m3_notes(sweep.rows["train"], configs["symile"].to_json()),
    )
    results.write(sweep.out)
    return results


def sweep_keys(sweep: M3Sweep, points: Sequence[KeyPoint], run: Run) -> SweepResults:
    """Measure Symile pair and CLIP over three, four and five modalities, and write figure and tables.

    Args:
        sweep: What all points share.
        points: From `experiments.m3_keys.key_points`.
        run: What the leaderboard names as the command that measured.

    Raises:
        OutputError: a directory has other data or a run with another config, or cannot be written.
        SymileDataError: the sources cannot be read, or a worker died.
    """
    from symile_data.experiments.figures import draw_keys
    from symile_data.experiments.leaderboard import swept_entries
    from symile_data.experiments.m3_keys import key_notes, key_row, key_table, keys_name

    source = max(points, key=lambda point: (point.languages, point.modalities))
    planned = [_key_trial(sweep, point, source, seed) for point in points for seed in range(sweep.seeds)]
    datasets = {sweep.out / point.name / "data": (point.languages, point.keys) for point in points}
    found = _measured(sweep, planned, datasets)
    rows = [key_row(point, sweep.rows["train"], seeds) for point, seeds in zip(points, found, strict=True)]
    draw_keys(sweep.out / FIGURE, rows)
    results = SweepResults(
        configs=planned[0].configs,
        points=rows,
        table=key_table(rows),
        entries=swept_entries(rows, COMPARED_WITH_KEYS, keys_name, run),
        notes=key_notes(sweep.rows["train"]),
    )
    results.write(sweep.out)
    return results


def _measured(sweep: M3Sweep, planned: Sequence[M3Trial], datasets: _Datasets) -> list[list[Accuracies]]:
    """Build the datasets, pretrain their encoders, run the trials, and return the accuracies of each point's seeds."""
    trials.check_runs(planned)
    for directory, (languages, keys) in datasets.items():
        build_dataset(languages, sweep.rows, sweep.images, directory, sweep.workers, keys)
    if next(iter(planned[0].configs.values())).pretrain is not None:
        sharing = list({trial.shared: trial for trial in planned}.values())
        trials.on_workers("pretraining encoders", "sets", pretrain, sharing, sweep.workers)
    found = trials.run_trials("M3 sweep", planned, sweep.workers)
    return [found[at : at + sweep.seeds] for at in range(0, len(found), sweep.seeds)]


def _base(sweep: M3Sweep, point: Point) -> Path:
    """Return the folder of all points with the same languages."""
    return sweep.out / f"m3-{point.languages}"


def _trial(sweep: M3Sweep, point: Point, seed: int) -> M3Trial:
    """Plan a trial. Missing values are filled in as in the paper, and validation rows stay complete."""
    from symile_data.training.config import read_config

    changes = {**sweep.changes, "seed": seed}
    if point.rate:
        changes |= {"missing": "input", "missingness": point.rate, "missingness_in_validation": False}
    base = _base(sweep, point)
    return M3Trial(
        directory=base / f"missing-{point.rate:g}" / f"seed-{seed}",
        data=base / "data",
        cache=base / "cache",
        shared=base / f"pretrained-{seed}",
        configs={objective: read_config(sweep.config, {**changes, "objective": objective}) for objective in COMPARED},
    )


def _key_trial(sweep: M3Sweep, point: KeyPoint, source: KeyPoint, seed: int) -> M3Trial:
    """Plan a trial whose encoders are pretrained on the dataset of the point `source`. Without further keys the target
    language of a row is that of its audio.
    """
    from symile_data.datasets.m3.keys import TARGET_LANGUAGE
    from symile_data.training.config import read_config

    configs = {}
    for objective in COMPARED_WITH_KEYS:
        config = read_config(sweep.config, {**sweep.changes, "seed": seed, "objective": objective})
        labels = {
            name: "lang" if label == TARGET_LANGUAGE and not point.keys else label
            for name, label in config.resample_within_class.items()
        }
        configs[objective] = replace(config, resample_within_class=labels)
    base = sweep.out / point.name
    return M3Trial(
        directory=base / f"seed-{seed}",
        data=base / "data",
        cache=sweep.out / "cache",
        shared=sweep.out / f"pretrained-{seed}",
        configs=configs,
        pretrained_on=sweep.out / source.name / "data",
    )
