"""Trials of the XOR sweeps: build one XOR dataset, and train and test each objective on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.errors import UsageError
from symile_data.progress.amounts import counted

from ..trials import Accuracies

if TYPE_CHECKING:
    from symile_data.builders.xor.spec import XorSpec
    from symile_data.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class XorTrial:
    """One dataset and the configs that are trained on it.

    Args:
        directory: Folder of `data/`, a run directory for each objective, and `result.json`.
        spec: Settings of the dataset.
        configs: Objective -> its config.

    Raises:
        UsageError: the test split lacks some of the values among which the target is retrieved.
    """

    directory: Path
    spec: XorSpec
    configs: Mapping[str, TrainConfig]

    def __post_init__(self) -> None:
        _check_candidates(self.spec)

    def identity(self) -> Any:
        """Return what decides the result: the dataset's settings and the config of each objective."""
        return [self.spec.to_json(), {objective: config.to_json() for objective, config in self.configs.items()}]

    def measure(self) -> Accuracies:
        """Build the dataset, train and test each objective, and return the test accuracy by objective."""
        from symile_data.builders.engine.card_hook import no_card
        from symile_data.builders.xor.build import build_xor

        from ..train import train_run
        from ..training_data import TrainingData

        build_xor(self.spec, self.directory / "data", workers=1, write_card=no_card)
        data = TrainingData(self.directory / "data")
        return {
            objective: float(train_run(config, data, self.directory / objective)["test"]["accuracy"])
            for objective, config in self.configs.items()
        }


def _check_candidates(spec: XorSpec) -> None:
    """Check that all 2^d values occur in the test split, since the paper retrieves among all of them."""
    import numpy as np

    from symile_data.builders.xor.build import draw_bits

    values = draw_bits(spec, "test", 0, spec.rows["test"])[1]
    found = len(np.unique(values, axis=0))
    if found < 2**spec.dims:
        raise UsageError(
            f"the test split lacks some of the {2**spec.dims} values among which the target is retrieved",
            got=f"{found} in {counted(spec.rows['test'], 'row')}",
            do="lower `dims`",
        )
