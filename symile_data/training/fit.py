"""Fit one model and leave a run directory (see `symile_data.training.run`).

Running again in the same directory continues from `last.ckpt`, also in the middle of an epoch, and ends with the same
weights and metrics as an undisturbed run; a run of another config or dataset there is refused.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from symile_data.evaluation.embedded import Embedded
from symile_data.files import pretty_json, write_text
from symile_data.training.callbacks import Curves, LastCheckpoint, Progress
from symile_data.training.loggers import make_loggers
from symile_data.training.module import SymileModule
from symile_data.training.run import BEST, LAST, RunInfo, check_last, claim


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a run is carried out; it decides nothing of the result but rounding.

    Args:
        accelerator: Of Lightning: "auto", "cpu", "gpu".
        devices: How many. With several, each is a process of its own with its part of every batch (DDP).
        loggers: Besides CSV; see `make_loggers`.
        save_every: Steps between checkpoints within an epoch; every epoch ends with one.
    """

    accelerator: str = "auto"
    devices: int = 1
    loggers: tuple[str, ...] = ()
    save_every: int = 1000


def fit(
    info: RunInfo,
    module: SymileModule,
    data: lightning.LightningDataModule,
    directory: Path,
    execution: Execution | None = None,
) -> dict[str, Any]:
    """Train, or continue an interrupted training in the same directory.

    Args:
        info: Config, dataset and vocabularies.
        module: From `info.make_module`.
        data: Loaders of training and validation batches; its state, where it has one, goes into the checkpoints.
            Where encoders are frozen they give their features.
        directory: Of the run.
        execution: How.

    Returns:
        What was also written to metrics.json.

    Raises:
        OutputError: the directory holds another run.
        UsageError: the data do not fit the config.
    """
    config, how = info.config, execution or Execution()
    claim(directory, info)
    curves = Curves()
    last = directory / LAST
    check_last(directory, module)
    lightning.seed_everything(config.seed, verbose=False)
    with _quiet():
        # One deterministic choice for everything Lightning would otherwise guess or warn about.
        trainer = lightning.Trainer(
            accelerator=how.accelerator,
            devices=how.devices,
            max_epochs=config.epochs,
            precision=config.precision,  # type: ignore[arg-type]
            gradient_clip_val=config.clip_gradient or None,
            accumulate_grad_batches=config.accumulate,
            check_val_every_n_epoch=min(config.val_every, config.epochs),
            callbacks=[
                curves,
                *_best_checkpoints(directory),
                LastCheckpoint(last, how.save_every),
                *([Progress(f"training {config.loss}")] if is_main_process() else []),
            ],
            logger=make_loggers(how.loggers, directory),
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            deterministic="warn",
        )
        trainer.fit(module, datamodule=data, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    metrics = {
        "loss": config.loss,
        "dataset": info.dataset,
        "fingerprint": info.fingerprint,
        "seed": config.seed,
        "epochs": config.epochs,
        "best_epoch": _best(curves.rows, config.select)["epoch"],
        "val_accuracy": _best(curves.rows, "val_accuracy")["val_accuracy"],
        "val_loss": _best(curves.rows, "val_loss")["val_loss"],
        "curves": curves.rows,
    }
    if is_main_process():
        write_text(directory / "metrics.json", pretty_json(metrics))
    return metrics


def embed_split(
    module: SymileModule, batches: Iterable[Mapping[str, Any]], rows: int, label: str | None = None
) -> Embedded:
    """Embeddings of the complete rows of a split.

    Args:
        module: In evaluation mode, on any device.
        batches: On the CPU.
        rows: Of the split.
        label: Column by which rows are told apart; the config's where not given.
    """
    with torch.inference_mode():
        return Embedded.join((module.embedded(_on(batch, module.device), label) for batch in batches), rows)


def is_main_process() -> bool:
    """Whether this process is the one that writes and prints; the only one where there are not several."""
    return int(getattr(lightning.pytorch.utilities.rank_zero_only, "rank", 0)) == 0


def _on(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}


def _best(rows: list[dict[str, float]], figure: str) -> dict[str, float]:
    """The first row with the best of a figure."""
    return (
        max(rows, key=lambda row: row[figure]) if figure == "val_accuracy" else min(rows, key=lambda row: row[figure])
    )


def _best_checkpoints(directory: Path) -> list[lightning.Callback]:
    return [
        ModelCheckpoint(
            directory,
            filename=name.removesuffix(".ckpt"),
            monitor=figure,
            mode="max" if figure == "val_accuracy" else "min",
            save_weights_only=True,
            enable_version_counter=False,
        )
        for figure, name in BEST.items()
    ]


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
