"""Trials of the comparison: one training each, kept under a key of all that decides it; and the tuning of a cell.

A cell is one objective at one point. Its trials follow one another in one worker, since the search on the validation
split ends where validation is perfect; cells run in parallel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.experiments.objective_plan import PID, Plan, Point
from symile_data.losses.objectives import ObjectiveEntry, all_objectives, register
from symile_data.workflows.trials import Accuracies, run_trial

if TYPE_CHECKING:
    from .m3_task import M3Data
    from .training import Setting, Task


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One objective at one point.

    Args:
        point: Where.
        objective: Name of the objective.
        entry: Its row in the registry, from which worker processes take an objective that is registered in this
            process only.
        plan: Steps, grids and seeds.
        out: Directory of the comparison.
        data: Of a Symile-M3 point; None for others.
    """

    point: Point
    objective: str
    entry: ObjectiveEntry
    plan: Plan
    out: Path
    data: M3Data | None = None

    def task(self, seed: int) -> Task:
        """Return the data; those that are drawn are drawn anew for each seed."""
        from .m3_task import M3Task
        from .pid_task import PidTask
        from .xor_task import XorTask

        if self.data is not None:
            return M3Task(self.point, self.data)
        task = PidTask if self.point.dataset == PID else XorTask
        return task(self.point, self.plan.vector_rows, seed)


@dataclass(frozen=True, kw_only=True)
class ObjectiveTrial:
    """One training of a cell: a tuning trial is measured on the validation split, any other on the test split."""

    cell: Cell
    setting: Setting

    @property
    def directory(self) -> Path:
        """Return where the result stands."""
        setting, cell = self.setting, self.cell
        recipe = cell.plan.recipe(cell.point, cell.objective)
        kind = f"tuning-{recipe.tuning_steps}" if setting.tuning else f"test-{recipe.steps}"
        name = f"lr-{setting.lr:g}-scale-{setting.scale:g}-seed-{setting.seed}"
        return cell.out / "trials" / cell.point.name / cell.objective / kind / name

    def identity(self) -> Any:
        """Return what decides the result: the data, the encoder, the objective, the recipe and the setting."""
        cell = self.cell
        recipe = asdict(cell.plan.recipe(cell.point, cell.objective))
        steps = recipe.pop("steps"), recipe.pop("tuning_steps"), recipe.pop("check_every")
        for grid in ("lrs", "scales"):
            recipe.pop(grid)
        return [
            cell.task(self.setting.seed).identity(),
            cell.point.encoder,
            [implementation_of(cell.entry), dict(cell.entry.settings)],
            recipe,
            steps[1:] if self.setting.tuning else steps[:1],
            asdict(self.setting),
        ]

    def measure(self) -> Accuracies:
        """Train with the setting, and retrieve on the split that it is measured on."""
        from .training import BAYES_AFFECTED, train

        cell = self.cell
        task = cell.task(self.setting.seed)
        trained = train(task, cell.plan.recipe(cell.point, cell.objective), self.setting)
        split = "validation" if self.setting.tuning else "test"
        found = {split: trained.accuracy(task, split), "steps": float(trained.steps), "finite": float(trained.finite)}
        if self.setting.tuning:
            return found
        references = task.references()
        if BAYES_AFFECTED in references:
            found["affected"] = trained.accuracy(task, "test", affected=True)
        return {**found, **references}


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What was found of one objective at one point.

    Args:
        lr: Chosen learning rate.
        scale: Chosen start of the scale, as a multiple of the objective's own.
        validation: Validation accuracy of that setting in tuning.
        tests: For each seed "test", the accuracy, "steps", "finite", 1 or 0, the references of the task and, where
            test rows may be affected, the accuracy among those, "affected".
    """

    lr: float
    scale: float
    validation: float
    tests: tuple[Accuracies, ...]


def measure_cell(cell: Cell) -> CellResult:
    """Tune an objective at a point, then train and test it with each seed; what was found before is read.

    It runs on one thread: the tensors are small, and results are then the same for any number of workers.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measured(cell)
    finally:
        torch.set_num_threads(threads)


def _measured(cell: Cell) -> CellResult:
    if cell.objective not in all_objectives():
        register(cell.objective, cell.entry.implementation, cell.entry.title)
    tried: list[tuple[float, Setting]] = []
    for setting in _grid(cell):
        tried.append((run_trial(ObjectiveTrial(cell=cell, setting=setting))["validation"], setting))
        if tried[-1][0] == 1.0:
            break
    validation, chosen = max(tried, key=lambda one: one[0])  # of equal ones the first
    tests = tuple(run_trial(trial) for trial in _tests(cell, chosen))
    return CellResult(lr=chosen.lr, scale=chosen.scale, validation=validation, tests=tests)


def _grid(cell: Cell) -> Iterator[Setting]:
    """Yield the settings of the grid; an objective with fixed temperatures has no start of the scale to tune."""
    from .training import Setting

    recipe = cell.plan.recipe(cell.point, cell.objective)
    scales = recipe.scales if cell.entry.load().learns_scale else (1.0,)
    for scale in scales:
        for lr in recipe.lrs:
            yield Setting(objective=cell.objective, lr=lr, scale=scale, seed=0, tuning=True)


def _tests(cell: Cell, chosen: Setting) -> Iterator[ObjectiveTrial]:
    from .training import Setting

    for seed in range(cell.plan.seeds):
        setting = Setting(objective=cell.objective, lr=chosen.lr, scale=chosen.scale, seed=seed, tuning=False)
        yield ObjectiveTrial(cell=cell, setting=setting)


def implementation_of(entry: ObjectiveEntry) -> str:
    """Return the "module:Class" of an objective."""
    found = entry.implementation
    return found if isinstance(found, str) else f"{found.__module__}:{found.__qualname__}"
