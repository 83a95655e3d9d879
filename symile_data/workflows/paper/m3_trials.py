"""Trials of the Symile-M3 sweep: train and test each objective on an M3 dataset, complete or with missing modalities.

All trials with the same languages share one dataset; those that also have the same seed share pretrained encoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.datasets.m3.ceilings import REFERENCES

from ..trials import Accuracies

if TYPE_CHECKING:
    from symile_data.training.config import TrainConfig

    from ..training_data import TrainingData


@dataclass(frozen=True, kw_only=True)
class M3Trial:
    """Configs that are trained on one dataset.

    Args:
        directory: Folder of a run directory for each objective, and of `result.json`.
        data: Directory of the dataset.
        cache: Directory of decoded media, which all trials share.
        shared: Directory of the pretrained encoders of the trial's seed.
        configs: Objective -> its config.
        pretrained_on: Directory of the dataset on whose training split encoders are pretrained; None takes `data`.
    """

    directory: Path
    data: Path
    cache: Path
    shared: Path
    configs: Mapping[str, TrainConfig]
    pretrained_on: Path | None = None

    def identity(self) -> Any:
        """Return what decides the result: the settings of the datasets and the config of each objective."""
        from symile_data.format import manifest

        datasets = [self.data, *([] if self.pretrained_on is None else [self.pretrained_on])]
        fingerprints = [manifest.read(directory).identity.fingerprint for directory in datasets]
        return [*fingerprints, {objective: config.to_json() for objective, config in self.configs.items()}]

    def measure(self) -> Accuracies:
        """Train and test each objective.

        Returns:
            The test accuracy by objective; by "objective/modality" the accuracy with that modality shuffled among rows;
            and the references by the names of `symile_data.datasets.m3.ceilings.REFERENCES`.
        """
        from symile_data.evaluation.ablation import SHUFFLED

        from ..train import train_run

        data = self._open(self.data)
        source = data if self.pretrained_on is None else self._open(self.pretrained_on)
        tests = {
            objective: train_run(config, data, self.directory / objective, self.shared, pretrained_on=source)["test"]
            for objective, config in self.configs.items()
        }
        accuracies = {objective: float(test["accuracy"]) for objective, test in tests.items()}
        shuffled = {
            f"{objective}/{name.removeprefix(SHUFFLED)}": float(value)
            for objective, test in tests.items()
            for name, value in test.items()
            if name.startswith(SHUFFLED)
        }
        test = next(iter(tests.values()))
        return {**accuracies, **shuffled, **{name: float(test[name]) for name in REFERENCES if name in test}}

    def _open(self, directory: Path) -> TrainingData:
        from ..training_data import TrainingData

        return TrainingData(directory, self.cache)


def build_dataset(
    languages: int,
    rows: Mapping[str, int],
    images: Path | None,
    directory: Path,
    workers: int,
    keys: tuple[str, ...] = (),
) -> None:
    """Build the dataset of some trials, or finish it; a finished one stays.

    Args:
        languages: Number of languages: 2, 5 or 10.
        rows: Split -> number of rows.
        images: An ImageNet folder, or None for the sample images.
        directory: Directory of the dataset.
        workers: Worker processes.
        keys: Keys beside the language of the audio.

    Raises:
        OutputError: the directory has a dataset of other rows or images.
    """
    from symile_data.builders.engine.card_hook import no_card
    from symile_data.builders.m3.build import build_m3
    from symile_data.builders.m3.spec import M3Spec
    from symile_data.builders.m3.text.languages import languages_of

    codes = languages_of(str(languages))
    spec = M3Spec(languages=codes, words=len(codes), rows=rows, images=images, keys=keys)
    build_m3(spec, directory, workers=workers, write_card=no_card)


def pretrain(trial: M3Trial) -> None:
    """Make the pretrained encoders that a trial shares with others, unless they exist."""
    from symile_data.training.run import pretrained_weights

    data = trial._open(trial.pretrained_on or trial.data)
    config = next(iter(trial.configs.values())).fitted([modality.name for modality in data.manifest.modalities])
    data.check(config)
    pretrained_weights(data.run_info(config), trial.shared, partial(data.pretrained, config))
