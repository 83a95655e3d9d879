"""Fit one model and leave a run directory: checkpoints, config, metrics.json and curves.png.

A run directory holds `last.ckpt` and `best.ckpt` (by validation accuracy), `curves.csv`, `curves.png` and `metrics.json`. Running again in
the same directory continues from `last.ckpt`; a run of another config or dataset there is refused.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger

from symile_data.errors import DamageError, OutputError, UsageError
from symile_data.files import canonical_json, pretty_json, write_text
from symile_data.schema import Modality
from symile_data.training.config import TrainConfig
from symile_data.training.module import SymileModule

RUN_FILE, LAST, BEST, CURVES = "run.json", "last.ckpt", "best.ckpt", "curves.csv"


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

    def make_module(self) -> SymileModule:
        """The untrained module; its initial weights are those of the config's seed."""
        lightning.seed_everything(self.config.seed, verbose=False)
        return SymileModule(self.config, self.modalities, self.vocabularies)


def read_run(directory: Path) -> RunInfo:
    """The record of a run directory.

    Raises:
        DamageError: it is none, or damaged.
    """
    path = directory / RUN_FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return RunInfo(
            config=TrainConfig.from_json(value["config"]),
            dataset=value["dataset"],
            fingerprint=value["fingerprint"],
            location=value["location"],
            modalities=tuple(Modality.from_json(entry) for entry in value["modalities"]),
            vocabularies=value["vocabularies"],
        )
    except FileNotFoundError:
        raise DamageError("this is no run directory: it has no run.json", where=directory, do="train first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DamageError("the record of a run is not readable", where=path, got=error) from None


def load_module(directory: Path) -> SymileModule:
    """The trained module of a run: its best weights by validation accuracy, in evaluation mode.

    Raises:
        DamageError: there is no checkpoint, or it cannot be read.
    """
    info = read_run(directory)
    path = directory / BEST
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except FileNotFoundError:
        raise DamageError("the run has no finished checkpoint yet", where=path, do="let the training finish") from None
    except (RuntimeError, OSError, KeyError) as error:
        raise DamageError("the checkpoint cannot be read", where=path, got=type(error).__name__, do="train again") from None
    module = info.make_module()
    module.load_state_dict(state)
    return module.eval()


def fit(info: RunInfo, train: Any, validation: Any, directory: Path) -> dict[str, Any]:
    """Train, or continue an interrupted training in the same directory.

    Args:
        info: Config, dataset and vocabularies.
        train: Any iterable of batches with a length; with `state_dict` and `load_state_dict` the run resumes exactly.
        validation: Likewise, the whole split.
        directory: Of the run.

    Returns:
        What was also written to metrics.json.

    Raises:
        OutputError: the directory holds another run.
        UsageError: the data do not fit the config.
    """
    config = info.config
    if not len(train):
        raise UsageError("the training split is smaller than one batch", got=config.batch_size, do="lower batch_size")
    _claim(directory, info)
    module = info.make_module()
    # One deterministic choice for everything Lightning would otherwise guess or warn about.
    checkpoints = [
        ModelCheckpoint(directory, filename="last", monitor=None, save_on_train_epoch_end=True, enable_version_counter=False),
        ModelCheckpoint(
            directory, filename="best", monitor="val_accuracy", mode="max", save_weights_only=True, enable_version_counter=False
        ),
    ]
    last = directory / LAST
    with _quiet():
        trainer = lightning.Trainer(
            max_epochs=config.epochs,
            precision=config.precision,  # type: ignore[arg-type]
            gradient_clip_val=config.clip_gradient or None,
            check_val_every_n_epoch=config.val_every,
            callbacks=[*checkpoints, TQDMProgressBar(refresh_rate=10)],
            logger=CSVLogger(directory, name="", version="log"),
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_progress_bar=os.isatty(2),
            deterministic="warn",
        )
        trainer.fit(module, train, validation, ckpt_path=str(last) if last.is_file() else None)
    curves = _collect_curves(directory)
    best = max(curves, key=lambda row: row["val_accuracy"])
    metrics = {
        "loss": config.loss,
        "dataset": info.dataset,
        "fingerprint": info.fingerprint,
        "seed": config.seed,
        "epochs": config.epochs,
        "best_epoch": best["epoch"],
        "val_accuracy": best["val_accuracy"],
        "curves": curves,
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


def _collect_curves(directory: Path) -> list[dict[str, float]]:
    """One row per validated epoch from Lightning's log, and the same as curves.csv."""
    rows: dict[int, dict[str, float]] = {}
    with (directory / "log" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            row = rows.setdefault(int(line["epoch"]), {})
            row.update({name: float(value) for name, value in line.items() if value and name not in ("epoch", "step")})
    return [{"epoch": epoch, **row} for epoch, row in sorted(rows.items()) if "val_accuracy" in row]


class _quiet:  # noqa: N801  # reads as a statement
    """Silence Lightning's advice about data loader workers and hardware; what matters is printed by the caller."""

    def __enter__(self) -> None:
        self._filters = warnings.catch_warnings()
        self._filters.__enter__()
        warnings.simplefilter("ignore")
        self._level = logging.getLogger("lightning.pytorch").level
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    def __exit__(self, *_exception: object) -> None:
        self._filters.__exit__(None, None, None)
        logging.getLogger("lightning.pytorch").setLevel(self._level)
