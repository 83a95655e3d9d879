"""Make the objective of a config, and check that the two fit each other."""

from __future__ import annotations

from symile_data.errors import UsageError
from symile_data.losses.objective import BatchShape, Objective
from symile_data.losses.objectives import make_objective

from .config import TrainConfig


def config_objective(config: TrainConfig, modalities: int) -> tuple[Objective, bool]:
    """Make the objective that a config names, for a number of modalities.

    Returns:
        The objective, and whether embeddings are L2-normalised for it.

    Raises:
        UsageError: the objective has no such setting, is not defined for so many modalities, or cannot be trained with
            the config's `normalise`, `group_missing` or `missing`.
    """
    name = config.objective
    shape = BatchShape(modalities=modalities, dim=config.dim, rows=config.batch_size, seed=config.seed)
    loss = make_objective(name, shape, config.settings)
    normalise = loss.unit if config.normalise is None else config.normalise
    if loss.unit and not normalise:
        raise UsageError(f"the objective {name} takes L2-normalised embeddings", do="leave normalise out, or true")
    if config.group_missing and not loss.takes_groups:
        raise UsageError(
            f"the objective {name} takes no groups of missing values", do="set group_missing = false for it"
        )
    if config.missing == "neutral" and loss.unit and not loss.takes_missing:
        raise UsageError(
            f"the objective {name} takes L2-normalised embeddings, and neutral vectors of ones are none",
            do='set missing = "embedding" or "input" for it',
        )
    return loss, normalise
