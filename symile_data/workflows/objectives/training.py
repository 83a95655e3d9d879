"""A training of one objective on data in memory: a plain loop, since a trial takes about a second.

Legend: B rows of a batch, M modalities, D embedding size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from symile_data.evaluation.embeddings import Embeddings
from symile_data.evaluation.retrieval import Retrieval, retrieval_accuracy
from symile_data.experiments.objective_plan import MISSING, Point, Recipe
from symile_data.losses.objective import BatchShape, Objective
from symile_data.losses.objectives import make_objective
from symile_data.rng import Stream

BAYES_AFFECTED = "bayes_affected"  # among a task's references: the best accuracy on affected test rows

_WARM_UP = 0.1  # fraction of the steps in which the learning rate rises


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some rows of the training split.

    Args:
        values: M values that the task's encoders take, B rows each.
        missing: (B, M) bool, True where a row lacks a modality; None where none is missing.
    """

    values: Sequence[Any]
    missing: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Rows:
    """All rows of a held-out split, none of which lacks a modality.

    Args:
        values: M values that the task's encoders take.
        labels: (N,) int64, equal for right candidates of the target.
    """

    values: Sequence[Any]
    labels: Tensor


class Task(Protocol):
    """Data to train, validate and test on."""

    @property
    def names(self) -> Sequence[str]:
        """Return the names of the modalities, in the order of all values."""
        ...

    @property
    def target(self) -> str:
        """Return the name of the modality that is retrieved."""
        ...

    def identity(self) -> Any:
        """Return what decides the data, JSON-like."""
        ...

    def encoders(self, recipe: Recipe, imputed: bool) -> list[nn.Module]:
        """Make one encoder per modality, with weights from torch's generator.

        Args:
            recipe: Size of the embeddings and dropout.
            imputed: Whether encoders fill in what is missing.
        """
        ...

    def batches(self, rows: int, seed: int) -> Iterator[Batch]:
        """Yield batches of so many training rows without end, in an order that follows from the seed."""
        ...

    def held_out(self, split: str, affected: bool = False) -> Rows:
        """Return the rows of the validation or the test split.

        Args:
            split: Name of the split.
            affected: Whether the rows are misaligned or noisy as those of training are; else they are reliable.
        """
        ...

    def references(self) -> Mapping[str, float]:
        """Return what test accuracies are compared with: "bayes", "random_candidate" and what pairs tell.

        The name of the last is that of `comparison.PAIRWISE`. Where test rows may be affected, `BAYES_AFFECTED` too.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One training.

    Args:
        objective: Name of the objective.
        lr: Peak learning rate.
        scale: Start of the logit scale, as a multiple of the objective's own.
        seed: Of weights, order and shuffles.
        tuning: Whether the training is one of the grid, which takes the steps of tuning and ends where validation is
            perfect.
    """

    objective: str
    lr: float
    scale: float
    seed: int
    tuning: bool


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The result of a training.

    Args:
        encoders: One per modality.
        objective: With whatever it has learned.
        steps: Steps that were taken.
        finite: Whether all embeddings and losses were finite; otherwise the training ended where one was not.
    """

    encoders: Sequence[nn.Module]
    objective: Objective
    steps: int
    finite: bool

    def accuracy(self, task: Task, split: str, affected: bool = False) -> float:
        """Return the accuracy of retrieving the target among the rows of a split; see `Task.held_out`.

        Where the training did not stay finite, no candidate can be ranked, and it is that of a random candidate.
        """
        if not self.finite:
            return task.references()["random_candidate"]
        rows = task.held_out(split, affected)
        for module in (*self.encoders, self.objective):
            module.eval()
        with torch.no_grad():
            values = embed(self.encoders, Batch(values=rows.values))
        for module in (*self.encoders, self.objective):
            module.train()
        embedded = Embeddings(dict(zip(task.names, values, strict=True)), rows.labels)
        return retrieval_accuracy(embedded, Retrieval(target=task.target, objective=self.objective))


def train(task: Task, recipe: Recipe, setting: Setting) -> Trained:
    """Train encoders and an objective from nothing.

    The initial encoders and the order of rows follow from the seed alone, so that seeds pair the objectives.

    Raises:
        UsageError: the objective is unknown, or not defined for so many modalities.
    """
    with torch.random.fork_rng(devices=[]):
        return _train(task, recipe, setting)


def _train(task: Task, recipe: Recipe, setting: Setting) -> Trained:
    shape = BatchShape(modalities=len(task.names), dim=recipe.dim, rows=recipe.batch, seed=setting.seed)
    torch.manual_seed(Stream(setting.seed, "objectives/objective").integer())
    objective = make_objective(setting.objective, shape)
    torch.manual_seed(Stream(setting.seed, "objectives/encoders").integer())
    encoders = task.encoders(recipe, imputed=not objective.takes_missing)
    start = objective.start_scale(shape.modalities, recipe.dim, True) * setting.scale
    log_scale = nn.Parameter(torch.tensor(math.log(start)), requires_grad=objective.learns_scale)
    learned = [parameter for module in (*encoders, objective) for parameter in module.parameters()]
    learned = [parameter for parameter in (*learned, log_scale) if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in learned if parameter.dim()], "weight_decay": recipe.weight_decay},
        {"params": [parameter for parameter in learned if not parameter.dim()], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=setting.lr, foreach=True)
    steps = recipe.tuning_steps if setting.tuning else recipe.steps
    for step, batch in enumerate(itertools.islice(task.batches(recipe.batch, setting.seed), steps)):
        for group in optimizer.param_groups:
            group["lr"] = setting.lr * _schedule(step, steps)
        embeddings = embed(encoders, batch)
        finite = all(bool(embedding.isfinite().all()) for embedding in embeddings)
        if finite:
            missing = batch.missing if objective.takes_missing else None
            loss = objective(embeddings, log_scale.exp(), missing=missing)
            finite = math.isfinite(loss.item())
        if not finite:
            return Trained(encoders=encoders, objective=objective, steps=step, finite=False)
        optimizer.zero_grad()
        if loss.requires_grad:  # a batch of which no row takes part has no gradient
            loss.backward()
        optimizer.step()
        done = step + 1
        if setting.tuning and done % recipe.check_every == 0 and done < steps:
            so_far = Trained(encoders=encoders, objective=objective, steps=done, finite=True)
            if so_far.accuracy(task, "validation") == 1.0:
                return so_far
    return Trained(encoders=encoders, objective=objective, steps=steps, finite=True)


def embed(encoders: Sequence[nn.Module], batch: Batch) -> list[Tensor]:
    """Embed a batch as M tensors (B, D) of unit length."""
    absent = [None if batch.missing is None else batch.missing[:, m] for m in range(len(encoders))]
    return [
        F.normalize(encoder(value, away), dim=1)
        for encoder, value, away in zip(encoders, batch.values, absent, strict=True)
    ]


def missing_identity(point: Point, names: Sequence[str]) -> Any:
    """Return what decides which modalities of training rows are missing, JSON-like."""
    rates = point.rates(names) if point.unreliable == MISSING else {}
    return rates if rates and point.affected else point.rate if rates else 0.0


def row_order(rows: int, batch: int, seed: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the epoch and the (B,) int64 row numbers of each batch, without end; each epoch has its own order."""
    for epoch in itertools.count():
        order = torch.from_numpy(Stream(seed, "objectives/order").generator(epoch).permutation(rows))
        for start in range(0, rows - batch + 1, batch):
            yield epoch, order[start : start + batch]


def _schedule(step: int, steps: int) -> float:
    """Return the factor of the learning rate: a linear rise over the first tenth, then half a cosine to zero."""
    rise = max(1, round(_WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
