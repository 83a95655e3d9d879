"""Train one config on one dataset directory and test it: where loaders and training meet.

`train_run` is the whole of it for whoever has a config and a directory; `symile-data train` and `reproduce` stand on
it. The training code takes any batches, so the loaders are made here and handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data import manifest as manifests
from symile_data.errors import DamageError

if TYPE_CHECKING:
    from symile_data.evaluation.retrieval import Embedded
    from symile_data.loaders.datamodule import DataModule
    from symile_data.manifest import Manifest
    from symile_data.training.config import TrainConfig
    from symile_data.training.fit import RunInfo, Weights
    from symile_data.training.module import SymileModule


class TrainingData:
    """A dataset directory as training sees it.

    Args:
        directory: With a manifest.

    Raises:
        DamageError: there is no finished dataset.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manifest: Manifest = manifests.read(directory)

    def run_info(self, config: TrainConfig) -> RunInfo:
        """What a run of this config on these data is."""
        from symile_data.training.fit import RunInfo

        identity = self.manifest.identity
        return RunInfo(
            config=config,
            dataset=identity.dataset,
            fingerprint=identity.fingerprint,
            location=str(self.directory),
            modalities=self.manifest.modalities,
            vocabularies=self._vocabularies,
        )

    def pretrained(self, config: TrainConfig) -> Weights:
        """Pretrain the encoders that the config names, on augmented pictures of the training split."""
        from symile_data.loaders import BatchLoader, ImageJitter, open_split
        from symile_data.training.pretrain import pretrain

        settings = config.pretrain
        if settings is None:
            return {}
        modalities = self.manifest.modalities
        split = open_split(self.directory, "train")
        pictures = [modality.name for modality in modalities if modality.kind == "image"]
        batches = BatchLoader(
            split,
            settings.batch_size,
            seed=config.seed,
            cache=True,
            transforms=self._transforms(config),
            columns=list(settings.labels.values()),
            augment={name: ImageJitter(shift=settings.jitter) for name in pictures} if settings.jitter else {},
        )
        values = {
            name: sorted(set(split.read_all([column])[column].to_pylist())) for name, column in settings.labels.items()
        }
        return pretrain(config, settings, modalities, batches, values)

    def fitting(self, module: SymileModule) -> DataModule:
        """Training and validation loaders, decoded once and kept in memory; features where encoders are frozen."""
        from symile_data.loaders.datamodule import DataModule

        config = module.config
        common = {
            "cache": True,
            "transforms": self._transforms(config),
            "columns": self._labels(config.label, *config.redraw_media.values()),
            "encoders": module.frozen_features(),
        }
        redrawn = {"redraw_words": config.redraw_words, "redraw_media": config.redraw_media}
        return DataModule(
            self.directory,
            config.batch_size,
            train={**common, "seed": config.seed, **redrawn},
            evaluation=common,
        )

    def embedded(self, module: SymileModule, split: str) -> Embedded:
        """Embeddings of the complete rows of a split."""
        from symile_data.loaders import BatchLoader, open_split
        from symile_data.training.fit import embed_split

        batches = BatchLoader(
            open_split(self.directory, split),
            module.config.batch_size,
            shuffle=False,
            cache=True,
            transforms=self._transforms(module.config),
            columns=self._labels(module.config.label),
            encoders=module.frozen_features(),
        )
        return embed_split(module, batches)

    @cached_property
    def _vocabularies(self) -> dict[str, list[str]]:
        from symile_data.encoders.text import vocabulary_of
        from symile_data.loaders import open_split

        split = open_split(self.directory, "train")
        texts = [modality for modality in self.manifest.modalities if modality.kind == "text"]
        return {
            modality.name: vocabulary_of(split.read_all([modality.column])[modality.column].to_pylist())
            for modality in texts
        }

    def _labels(self, *columns: str) -> list[str]:
        """Those columns, each once, that do not come as a modality anyway."""
        modalities = [modality.name for modality in self.manifest.modalities]
        return [column for column in dict.fromkeys(columns) if column not in modalities]

    def _transforms(self, config: TrainConfig) -> dict[str, Any]:
        from symile_data.loaders.decode import DECODERS

        return {
            modality.name: DECODERS[modality.kind].settings(**config.inputs[modality.kind])
            for modality in self.manifest.modalities
            if modality.kind in config.inputs
        }


def train_run(config: TrainConfig, data: TrainingData, run: Path, shared: Path | None = None) -> dict[str, Any]:
    """Train a config, or continue where an interrupted training stopped, and test the best weights.

    Args:
        config: With the loss and the seed of this run.
        data: To train, validate and test on.
        run: Directory of the run; see `symile_data.training.fit` for what it holds.
        shared: Where pretrained encoders are kept for several runs; `run` where not given.

    Returns:
        What was also written to metrics.json: "loss", "seed", "epochs", "best_epoch", "val_accuracy", "curves" (one
        entry for each validated epoch), and "test" with "rows", "accuracy", "chance" and "shuffled_<modality>".

    Raises:
        OutputError: `run` holds another run.
        UsageError: the data do not fit the config.
    """
    from symile_data.files import pretty_json, write_text
    from symile_data.training.curves import draw_curves
    from symile_data.training.fit import fit, pretrained_weights

    info = data.run_info(config)
    weights = pretrained_weights(info, shared or run, partial(data.pretrained, config))
    metrics = fit(info, data.fitting(info.make_module(weights)), run, weights)
    metrics["test"] = evaluate_run(run, data)
    write_text(run / "metrics.json", pretty_json(metrics))
    draw_curves(run / "curves.png", {config.loss: metrics["curves"]}, bounds(data, metrics["test"]))
    return metrics


def evaluate_run(run: Path, data: TrainingData, split: str = "test") -> dict[str, float]:
    """Retrieval on a split with a trained run, intact and ablated.

    Raises:
        DamageError: the run was trained on another dataset, or is not finished.
    """
    from symile_data.evaluation.ablation import ablate
    from symile_data.training.fit import load_module, read_run

    info = read_run(run)
    if data.manifest.identity.fingerprint != info.fingerprint:
        raise DamageError(
            "the run was trained on another dataset",
            where=data.directory,
            do="give its own with --data, or train on this one",
        )
    embedded = data.embedded(load_module(run), split)
    return {"rows": len(embedded.labels), **ablate(embedded, info.config.target, info.config.loss)}


def bounds(data: TrainingData, test: Mapping[str, float]) -> dict[str, float]:
    """Accuracies to compare with: chance, and for M3 that of a model that reads only the text."""
    spec = data.manifest.identity.spec
    return {"chance": test["chance"], **({"one word in W": 1 / spec["words"]} if "words" in spec else {})}
