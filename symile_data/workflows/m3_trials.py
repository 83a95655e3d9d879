"""Trials of the Symile-M3 sweep: each loss trained and tested on an M3 dataset, whole or with modalities taken away.

All trials with the same languages share one dataset; those that also have the same seed share its pretrained encoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.datasets.m3.ceilings import REFERENCES

from .trials import Accuracies

if TYPE_CHECKING:
    from symile_data.training.config import TrainConfig

    from .training_data import TrainingData


@dataclass(frozen=True, kw_only=True)
class M3Trial:
    """Configs that are trained on one dataset.

    Args:
        directory: Holds a run directory for each loss, and `result.json`.
        data: Directory of the dataset.
        cache: Directory of its decoded media, for all trials.
        shared: Directory of the pretrained encoders of its seed.
        configs: By loss.
    """

    directory: Path
    data: Path
    cache: Path
    shared: Path
    configs: Mapping[str, TrainConfig]

    def identity(self) -> Any:
        """Return what decides the result: the dataset's settings and the config of each loss."""
        from symile_data.format import manifest

        fingerprint = manifest.read(self.data).identity.fingerprint
        return [fingerprint, {loss: config.to_json() for loss, config in self.configs.items()}]

    def measure(self) -> Accuracies:
        """Train and test; also what the accuracies are to be compared with, by the names of
        `symile_data.datasets.m3.ceilings.REFERENCES`.
        """
        from .train import train_run

        data = self._open()
        tests = {
            loss: train_run(config, data, self.directory / loss, self.shared)["test"]
            for loss, config in self.configs.items()
        }
        accuracies = {loss: float(test["accuracy"]) for loss, test in tests.items()}
        test = next(iter(tests.values()))
        return {**accuracies, **{name: float(test[name]) for name in REFERENCES if name in test}}

    def _open(self) -> TrainingData:
        from .training_data import TrainingData

        return TrainingData(self.data, self.cache)


def build_dataset(languages: int, rows: Mapping[str, int], images: Path | None, directory: Path, workers: int) -> None:
    """Build the dataset of some trials, or finish it; nothing is done where it is whole.

    Args:
        languages: 2, 5 or 10.
        rows: Of each split.
        images: An ImageNet folder, or None for the sample pictures.
        directory: Of the dataset.
        workers: Worker processes.

    Raises:
        OutputError: the directory holds a dataset of other rows or pictures.
    """
    from symile_data.builders.engine.card_hook import no_card
    from symile_data.builders.m3.build import build_m3
    from symile_data.builders.m3.spec import M3Spec
    from symile_data.builders.m3.text.languages import languages_of

    codes = languages_of(str(languages))
    spec = M3Spec(languages=codes, words=len(codes), rows=rows, images=images)
    build_m3(spec, directory, workers=workers, write_card=no_card)


def pretrain(trial: M3Trial) -> None:
    """Make the pretrained encoders that a trial shares with others, unless they are there."""
    from symile_data.training.run import pretrained_weights

    config = next(iter(trial.configs.values()))
    data = trial._open()
    data.check(config)
    pretrained_weights(data.run_info(config), trial.shared, partial(data.pretrained, config))
