"""Run a plan: prepare the Symile-M3 datasets, then measure every objective at every point for which it is defined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symile_data.datasets.m3.ceilings import RANDOM, TEXT_READERS
from symile_data.errors import UsageError
from symile_data.experiments.objective_plan import M3, MISSING, PID, XOR, Plan, Point
from symile_data.losses.objectives import ObjectiveEntry, all_objectives, find_objective
from symile_data.workflows.trials import on_workers

from .m3_task import M3Data, prepare
from .training import BAYES_AFFECTED
from .trials import Cell, CellResult, measure_cell

PAIRWISE = {XOR: RANDOM, PID: "pairwise", M3: TEXT_READERS[0]}  # which reference of a task is what pairs tell


def run_comparison(plan: Plan, out: Path, objectives: Sequence[str] = (), workers: int = 1) -> list[dict[str, Any]]:
    """Train, tune and test objectives; trials that are there already are not run again.

    An objective that was added by `symile_data.losses.register` is found by worker processes too, if they can import
    its class: give `register` "module:Class", or a class that does not stand in the script that is run.

    Args:
        plan: Points, steps, grids and seeds.
        out: Directory of the datasets and trials.
        objectives: Names of the objectives; all of the registry where none is given.
        workers: Processes, of one thread each.

    Returns:
        One row for each point, objective and seed: "point", "dataset", "modalities", "dims", "languages" and "design"
        (None where it does not apply), "encoder", "objective", "unreliable" (how training rows are, None where they
        are reliable), "affected" (of which modalities, None where of all), "rate", "lr", "scale" (start of the logit
        scale as a multiple of the objective's own), "seed", "validation" (of the chosen setting in tuning), "accuracy",
        "bayes", "accuracy_affected" and "bayes_affected" (among test rows as unreliable as those of training, None
        where they are missing or reliable), "pairwise" (the best accuracy by what pairs with the target tell),
        "random_candidate" and "finite" (False where training did not stay finite and the accuracy is that of a random
        candidate).

    Raises:
        UsageError: an objective is unknown or named twice, or no point has one for which it is defined.
        SymileDataError: a worker died.
    """
    names = list(objectives) or list(all_objectives())
    if len(set(names)) != len(names):
        raise UsageError("`objectives` names one twice", got=", ".join(names))
    entries = {name: find_objective(name) for name in names}
    cells = [
        Cell(
            point=point,
            objective=name,
            entry=entry,
            plan=plan,
            out=out,
            data=M3Data(directory=out / f"m3-{point.languages}", languages=point.languages, rows=plan.m3_rows)
            if point.dataset == M3
            else None,
        )
        for point in plan.points
        for name, entry in entries.items()
        if is_compared(plan, point, name, entry)
    ]
    if not cells:
        raise UsageError("no objective is defined for the plan's points", got=", ".join(names))
    datasets = list({cell.data.directory: cell.data for cell in cells if cell.data is not None}.values())
    on_workers("datasets and features", "datasets", prepare, datasets, workers)
    heavy_first = sorted(range(len(cells)), key=lambda place: -cells[place].point.languages)
    found = on_workers("objectives", "cells", measure_cell, [cells[place] for place in heavy_first], workers)
    results = dict(zip(heavy_first, found, strict=True))
    return [row for place, cell in enumerate(cells) for row in _rows(cell, results[place])]


def is_compared(plan: Plan, point: Point, name: str, entry: ObjectiveEntry) -> bool:
    """Whether an objective is compared at a point: it is defined there, and fits missing modalities if there are any.

    Raises:
        UsageError: the objective cannot be imported.
    """
    implementation = entry.load()
    defined = implementation.least <= point.modalities <= (implementation.most or point.modalities)
    complete = not point.rate or point.unreliable != MISSING
    filled = plan.filled is None or name in plan.filled
    return defined and (complete or filled or implementation.takes_missing)


def _rows(cell: Cell, result: CellResult) -> list[dict[str, Any]]:
    point = cell.point
    return [
        {
            "point": point.name,
            "dataset": point.dataset,
            "modalities": point.modalities,
            "dims": point.dims or None,
            "languages": point.languages or None,
            "design": point.design or None,
            "encoder": point.encoder,
            "objective": cell.objective,
            "unreliable": point.unreliable if point.rate else None,
            "affected": "+".join(point.affected) or None,
            "rate": point.rate,
            "lr": result.lr,
            "scale": result.scale,
            "seed": seed,
            "validation": result.validation,
            "accuracy": test["test"],
            "accuracy_affected": test.get("affected"),
            BAYES_AFFECTED: test.get(BAYES_AFFECTED),
            "bayes": test["bayes"],
            "pairwise": test[PAIRWISE[point.dataset]],
            RANDOM: test[RANDOM],
            "finite": bool(test["finite"]),
        }
        for seed, test in enumerate(result.tests)
    ]
