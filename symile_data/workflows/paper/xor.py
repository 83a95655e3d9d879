"""The sweeps of binary XOR (Symile, section 5.1): over p-hat, the paper's figure 3, and over missing variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.losses.objectives import COMPARED

from .. import trials
from .results import FIGURE, SweepResults
from .xor_trials import XorTrial

if TYPE_CHECKING:
    from symile_data.builders.xor.spec import XorSpec
    from symile_data.experiments.leaderboard import Run

    from ..trials import Accuracies


@dataclass(frozen=True, kw_only=True)
class XorSweep:
    """What all points of a sweep share.

    Args:
        out: Directory of the trials and the results.
        dims: Bits of each variable.
        seeds: Number of seeds, from 0; each has data of its own.
        epochs: Passes over the training split; None takes the config's.
        workers: Worker processes.
    """

    out: Path
    dims: int = 5
    seeds: int = 3
    epochs: int | None = None
    workers: int = 1


def sweep_p_hat(sweep: XorSweep, p_hats: Sequence[float], run: Run) -> SweepResults:
    """Measure Symile, CLIP and the Bayes-optimal reader over the share of XOR rows, and write figure and tables.

    Args:
        sweep: What all points share.
        p_hats: The shares, from 0 to 1.
        run: What the leaderboard names as the command that measured.

    Raises:
        OutputError: the directory of a trial has a run with another config, or cannot be written.
        UsageError: the test split of a point lacks some of the values among which the target is retrieved.
        SymileDataError: a worker died.
    """
    from symile_data.builders.xor.spec import XorSpec
    from symile_data.experiments.figures import draw_p_hat
    from symile_data.experiments.leaderboard import swept_entries
    from symile_data.experiments.xor import p_hat_row, p_hat_table

    planned = _trials(sweep, "p-hat", p_hats, lambda p_hat, seed: XorSpec(dims=sweep.dims, p_hat=p_hat, seed=seed))
    found = _measured(sweep, "p-hat sweep", planned)
    points = [p_hat_row(p_hat, sweep.dims, seeds) for p_hat, seeds in zip(p_hats, found, strict=True)]
    draw_p_hat(sweep.out / FIGURE, points, sweep.dims)
    data = f"XOR, d = {sweep.dims}"
    results = SweepResults(
        configs=planned[0].configs,
        points=points,
        table=p_hat_table(points),
        entries=swept_entries(points, COMPARED, lambda point: (data, f"p-hat {point['p_hat']:g}"), run),
    )
    results.write(sweep.out)
    return results


def sweep_missing(sweep: XorSweep, rates: Sequence[float], run: Run) -> SweepResults:
    """Measure Symile and CLIP on complete rows over the rate of missing variables, and write figure and tables.

    Args:
        sweep: What all points share.
        rates: Rates at which each variable is missing in training and validation rows, from 0 to 1.
        run: What the leaderboard names as the command that measured.

    Raises:
        OutputError: the directory of a trial has a run with another config, or cannot be written.
        UsageError: the test split of a point lacks some of the values among which the target is retrieved.
        SymileDataError: a worker died.
    """
    from symile_data.builders.xor.spec import XorSpec
    from symile_data.experiments.figures import draw_missing
    from symile_data.experiments.leaderboard import swept_entries
    from symile_data.experiments.xor import missing_row, missing_table

    names = XorSpec().names

    def spec(rate: float, seed: int) -> XorSpec:
        return XorSpec(dims=sweep.dims, missing=dict.fromkeys(names, rate), seed=seed)

    planned = _trials(sweep, "missing", rates, spec)
    found = _measured(sweep, "missingness sweep", planned)
    points = [missing_row(rate, len(names), sweep.dims, seeds) for rate, seeds in zip(rates, found, strict=True)]
    draw_missing(sweep.out / FIGURE, points)
    data = f"XOR, d = {sweep.dims}"
    results = SweepResults(
        configs=planned[0].configs,
        points=points,
        table=missing_table(points),
        entries=swept_entries(points, COMPARED, lambda point: (data, f"missing at {point['rate']:g}"), run),
    )
    results.write(sweep.out)
    return results


def _trials(
    sweep: XorSweep, name: str, values: Sequence[float], spec: Callable[[float, int], XorSpec]
) -> list[XorTrial]:
    """Plan the trials of a sweep, all seeds of one value after the other.

    Args:
        sweep: What all trials share.
        name: What is swept; the folders of the trials have it.
        values: The values that it takes.
        spec: (value, seed) -> settings of the trial's dataset.
    """
    from symile_data.training.config import read_config

    planned = []
    for value in values:
        for seed in range(sweep.seeds):
            changes = {"seed": seed, **({} if sweep.epochs is None else {"epochs": sweep.epochs})}
            configs = {objective: read_config("xor", {**changes, "objective": objective}) for objective in COMPARED}
            directory = sweep.out / f"{name}-{value:g}" / f"seed-{seed}"
            planned.append(XorTrial(directory=directory, spec=spec(value, seed), configs=configs))
    return planned


def _measured(sweep: XorSweep, title: str, planned: Sequence[XorTrial]) -> list[list[Accuracies]]:
    """Run the trials, and return the accuracies of the seeds of each point."""
    trials.check_runs(planned)
    found = trials.run_trials(title, planned, sweep.workers)
    return [found[at : at + sweep.seeds] for at in range(0, len(found), sweep.seeds)]
