"""Fit one model and leave a run directory: checkpoints, config, metrics.json and curves.png.

A run directory holds `run.json`, `last.ckpt`, `best.ckpt` (by validation accuracy), Lightning's `log/` and
`metrics.json`. Running again in the same directory continues from `last.ckpt`; a run of another config or dataset
there is refused.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from symile_data.errors import DamageError, OutputError
from symile_data.evaluation.retrieval import Embedded
from symile_data.files import atomic_path, canonical_json, digest, pretty_json, write_text
from symile_data.progress import Advance, stage
from symile_data.records import read_json, record
from symile_data.schema import Modality
from symile_data.training.config import TrainConfig
from symile_data.training.module import SymileModule

RUN_FILE, LAST, BEST, PRETRAINED = "run.json", "last.ckpt", "best.ckpt", "pretrained.pt"

Weights = Mapping[str, Mapping[str, torch.Tensor]]


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What a run needs beside its weights to be used again.

    Args:
        config: Of the run.
        dataset: The dataset's name.
        fingerprint: Of the dataset; a run belongs to it.
        location: Where the dataset was, relative to the working directory or absolute, as given.
        modalities: Of the dataset.
        vocabularies: Words of each text modality.
    """

    config: TrainConfig
    dataset: str
    fingerprint: str
    location: str
    modalities: tuple[Modality, ...]
    vocabularies: Mapping[str, Sequence[str]]

    def to_json(self) -> dict[str, Any]:
        """As written to run.json."""
        return {
            "config": self.config.to_json(),
            "dataset": self.dataset,
            "fingerprint": self.fingerprint,
            "location": self.location,
            "modalities": [modality.to_json() for modality in self.modalities],
            "vocabularies": {name: list(words) for name, words in self.vocabularies.items()},
        }

    def make_module(self, pretrained: Weights | None = None) -> SymileModule:
        """The untrained module; its initial weights are those of the config's seed."""
        lightning.seed_everything(self.config.seed, verbose=False)
        return SymileModule(self.config, self.modalities, self.vocabularies, pretrained)


def read_run(directory: Path) -> RunInfo:
    """The record of a run directory.

    Raises:
        DamageError: it is none, or damaged.
    """
    path = directory / RUN_FILE
    try:
        return record(RunInfo, read_json(path))
    except FileNotFoundError:
        raise DamageError("this is no run directory: it has no run.json", where=directory, do="train first") from None
    except (OSError, ValueError, TypeError) as error:
        raise DamageError("the record of a run is not readable", where=path, got=error) from None


def pretrained_weights(info: RunInfo, directory: Path, make: Callable[[], Weights]) -> Weights:
    """The pretrained encoders of a run, made once and kept in `directory` (beside the runs that share them).

    Args:
        info: Of the run; the weights belong to its dataset, encoders, pretraining and seed.
        directory: Where `pretrained.pt` is or goes.
        make: Pretrains.

    Raises:
        DamageError: the file cannot be read.
    """
    config = info.config
    if config.pretrain is None:
        return {}
    settings = config.to_json()
    key = digest([info.fingerprint, *(settings[name] for name in ("pretrain", "encoders", "inputs", "seed", "dim"))])
    path = directory / PRETRAINED
    if path.is_file():
        saved = _load(path)
        if saved["key"] == key:
            return dict(saved["weights"])
    weights = make()
    with atomic_path(path) as temporary:
        torch.save({"key": key, "weights": weights}, temporary)
    return weights


def load_module(directory: Path) -> SymileModule:
    """The trained module of a run: its best weights by validation accuracy, in evaluation mode.

    Raises:
        DamageError: there is no checkpoint, or it cannot be read.
    """
    info = read_run(directory)
    path = directory / BEST
    if not path.is_file():
        raise DamageError("the run has no finished checkpoint yet", where=path, do="let the training finish")
    state = _load(path)["state_dict"]
    pretrained = {name: _encoder_weights(state, name) for name in _pretrained_names(info)}
    module = info.make_module(pretrained)
    module.load_state_dict(state)
    return module.eval()


def _pretrained_names(info: RunInfo) -> list[str]:
    return [] if info.config.pretrain is None else list(info.config.pretrain.labels)


def _encoder_weights(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    prefix = f"encoders.{name}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _load(path: Path) -> dict[str, Any]:
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise DamageError(
            "a file of weights cannot be read", where=path, got=type(error).__name__, do="remove it"
        ) from None
    return saved


def embed_split(module: SymileModule, batches: Iterable[Mapping[str, Any]]) -> Embedded:
    """Embeddings of the complete rows of a split."""
    with torch.inference_mode():
        return Embedded.join([module.embedded(batch) for batch in batches])


def fit(
    info: RunInfo, data: lightning.LightningDataModule, directory: Path, pretrained: Weights | None = None
) -> dict[str, Any]:
    """Train, or continue an interrupted training in the same directory.

    Args:
        info: Config, dataset and vocabularies.
        data: Loaders of training and validation batches; its state, where it has one, goes into the checkpoints.
        directory: Of the run.
        pretrained: Encoders that are frozen; the data then hold their features.

    Returns:
        What was also written to metrics.json.

    Raises:
        OutputError: the directory holds another run.
        UsageError: the data do not fit the config.
    """
    config = info.config
    _claim(directory, info)
    module = info.make_module(pretrained)
    # One deterministic choice for everything Lightning would otherwise guess or warn about.
    curves = _Curves()
    callbacks: list[lightning.Callback] = [
        curves,
        ModelCheckpoint(
            directory,
            filename="best",
            monitor="val_accuracy",
            mode="max",
            save_weights_only=True,
            enable_version_counter=False,
        ),
        # After the best one, whose score it holds: a continued run must not take a worse epoch for the best.
        ModelCheckpoint(
            directory, filename="last", monitor=None, save_on_train_epoch_end=True, enable_version_counter=False
        ),
    ]
    last = directory / LAST
    if last.is_file():
        _load(last)  # a damaged file is named here
    with _quiet(), stage(f"training {config.loss}", config.epochs, "epochs") as advance:
        trainer = lightning.Trainer(
            max_epochs=config.epochs,
            precision=config.precision,  # type: ignore[arg-type]
            gradient_clip_val=config.clip_gradient or None,
            check_val_every_n_epoch=min(config.val_every, config.epochs),
            callbacks=[*callbacks, _Progress(advance)],
            logger=CSVLogger(directory, name="", version="log"),
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            deterministic="warn",
        )
        trainer.fit(module, datamodule=data, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    best = max(curves.rows, key=lambda row: row["val_accuracy"])
    metrics = {
        "loss": config.loss,
        "dataset": info.dataset,
        "fingerprint": info.fingerprint,
        "seed": config.seed,
        "epochs": config.epochs,
        "best_epoch": best["epoch"],
        "val_accuracy": best["val_accuracy"],
        "curves": curves.rows,
    }
    write_text(directory / "metrics.json", pretty_json(metrics))
    return metrics


def _claim(directory: Path, info: RunInfo) -> None:
    """Write run.json, or check that the run already there is this one."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / RUN_FILE
    if not path.is_file():
        write_text(path, pretty_json(info.to_json()))
        return
    there = read_run(directory)
    for name, mine, other in (
        ("dataset", info.fingerprint, there.fingerprint),
        ("config", canonical_json(info.config.to_json()), canonical_json(there.config.to_json())),
    ):
        if mine != other:
            raise OutputError(
                f"the run directory holds a run with another {name}",
                where=directory,
                do="choose another --out, or remove the directory",
            )


class _Curves(lightning.Callback):
    """One row of metrics per validated epoch, kept in checkpoints: Lightning's log starts anew when a run continues."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add the epoch's row."""
        epoch = trainer.current_epoch
        if not (epoch + 1) % int(trainer.check_val_every_n_epoch or 1):
            metrics = {name: value.item() for name, value in sorted(trainer.callback_metrics.items())}
            self.rows.append({"epoch": epoch, **metrics})

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the rows of an interrupted run."""
        self.rows = list(state_dict["rows"])


class _Progress(lightning.Callback):
    """Moves the stage's bar on with every epoch, those of an interrupted run included."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Count the epochs that are already done."""
        self._advance(trainer.current_epoch)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Count this one."""
        self._advance()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice about data loader workers and hardware; what matters is printed by the caller."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
