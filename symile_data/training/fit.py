"""Fit one model and leave a run directory (see `symile_data.training.run`).

Running again in the same directory continues from `last.ckpt`, also in the middle of an epoch, and ends with the same
weights and metrics as an uninterrupted run. A run of another config or dataset in that directory is refused.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from symile_data.errors import UsageError
from symile_data.evaluation.embeddings import Embeddings
from symile_data.files import write_errors

from .callbacks import Curves, KeepSignals, LastCheckpoint, Progress
from .checkpoints import KEPT, CheckpointFiles, damaged
from .config import TrainConfig
from .encoding import EncodingModule, on_device
from .finite import StopWhereNotFinite
from .loggers import PROFILE, LoadTimes, make_loggers
from .module import SymileModule
from .ranks import is_lost, is_main_process
from .run import BEST, LAST, check_last, check_run, claim
from .run_record import RunInfo
from .supervised.module import SupervisedModule

# Errors that reading a checkpoint with foreign contents can raise.
_UNFIT = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # only writing raises these


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a run is carried out; it changes the result by no more than rounding.

    Args:
        accelerator: Accelerator of Lightning: "auto", "cpu" or "gpu".
        devices: Number of devices. With several, each has its own process and its part of every batch (DDP).
        loggers: Loggers besides CSV; see `make_loggers`.
        save_every: Steps between checkpoints within an epoch; every epoch ends with one.
        profile: Log where the time of the training loader goes, and write its report to `profile.txt`.
    """

    accelerator: str = "auto"
    devices: int = 1
    loggers: tuple[str, ...] = ()
    save_every: int = 1000
    profile: bool = False


def fit(
    info: RunInfo,
    module: EncodingModule,
    data: lightning.LightningDataModule,
    directory: Path,
    execution: Execution | None = None,
) -> dict[str, Any]:
    """Train, or continue an interrupted training in the same directory.

    Args:
        info: Config, dataset and vocabularies of the run.
        module: Untrained module from `info.make_module`.
        data: Loaders of training and validation batches, with features of frozen encoders. Their state, if they have
            one, is saved in the checkpoints.
        directory: Directory of the run.
        execution: Devices, loggers and checkpoints.

    Returns:
        The figures of the training: "objective", "dataset", "fingerprint", "seed", "epochs", "best_epoch",
        "val_accuracy", "val_loss" and "curves". The caller tests the weights, adds their figures and writes
        metrics.json.

    Raises:
        OutputError: the directory has another run.
        UsageError: the data do not fit the config.
    """
    config = info.config
    check_run(directory, config, info.fingerprint)
    claim(directory, info)
    curves, signals = Curves(), KeepSignals()
    last = directory / LAST
    check_last(directory, module, data)
    lightning.seed_everything(config.seed, verbose=False)
    with _quiet(), _usual_endings(directory):
        trainer = _trainer(config, directory, execution or Execution(), [signals, curves])
        resumed = last.is_file()
        try:
            trainer.fit(module, datamodule=data, ckpt_path=str(last) if resumed else None, weights_only=True)
        except _UNFIT as error:
            if not resumed or signals.began or is_lost(error):
                raise
            raise damaged(last, f"{type(error).__name__} while it is read") from error
    return {
        "objective": config.method,
        "dataset": info.dataset,
        "fingerprint": info.fingerprint,
        "seed": config.seed,
        "epochs": config.epochs,
        "best_epoch": _best(curves.rows, config.select)["epoch"],
        "val_accuracy": _best(curves.rows, "val_accuracy")["val_accuracy"],
        "val_loss": _best(curves.rows, "val_loss")["val_loss"],
        "curves": curves.rows,
    }


def check_devices(how: Execution) -> None:
    """See that this machine has what a run is to be carried out on, before anything is prepared.

    Raises:
        UsageError: it has no such accelerator.
    """
    if how.devices == 1:  # a trainer of several devices would look for their processes
        with _quiet(), _devices_of(how):
            lightning.Trainer(accelerator=how.accelerator, devices=1, logger=False, enable_checkpointing=False)


@contextlib.contextmanager
def _devices_of(how: Execution) -> Iterator[None]:
    try:
        yield
    except (MisconfigurationException, ValueError) as error:
        raise UsageError(
            "this machine cannot train with these devices",
            got=f"`accelerator={how.accelerator!r}`, `devices={how.devices!r}`: {error}",
            do="choose others",
        ) from error


def _trainer(
    config: TrainConfig, directory: Path, how: Execution, callbacks: Sequence[lightning.Callback]
) -> lightning.Trainer:
    """Make a trainer with one deterministic choice for everything Lightning would otherwise guess or warn about.

    Raises:
        UsageError: this machine does not have the accelerator or devices.
    """
    loggers = make_loggers(how.loggers, directory)
    with _devices_of(how):
        return lightning.Trainer(
            accelerator=how.accelerator,
            devices=how.devices,
            max_epochs=config.epochs,
            precision=config.precision,  # type: ignore[arg-type]
            gradient_clip_val=config.clip_gradient or None,
            accumulate_grad_batches=config.accumulate,
            check_val_every_n_epoch=min(config.val_every, config.epochs),
            callbacks=[
                *callbacks,
                StopWhereNotFinite(),
                *_best_checkpoints(directory),
                LastCheckpoint(directory / LAST, how.save_every),
                *([LoadTimes(directory / PROFILE)] if how.profile else []),
                *([Progress(f"training {config.method}")] if is_main_process() else []),
            ],
            logger=loggers,
            plugins=[CheckpointFiles()],
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            deterministic="warn",
        )


def embed_split(
    module: SymileModule, batches: Iterable[Mapping[str, Any]], rows: int, label: str | None = None
) -> Embeddings:
    """Embed the rows of a split that have every modality.

    Args:
        module: Module in evaluation mode, on any device.
        batches: Batches on the CPU.
        rows: Number of rows of the split.
        label: Column of the labels; None uses the config's.
    """
    with torch.inference_mode():
        return Embeddings.join((module.embedded(on_device(batch, module.device), label) for batch in batches), rows)


def predict_split(module: SupervisedModule, batches: Iterable[Mapping[str, Any]]) -> tuple[Tensor, list[Tensor]]:
    """Predict the rows of a split that have every modality.

    Args:
        module: Module in evaluation mode, on any device.
        batches: Batches on the CPU.

    Returns:
        (N,) int64 sample ids, and for each label of the baseline (N, its classes) float64 probabilities.
    """
    ids, parts = [], []
    with torch.inference_mode():
        for batch in batches:
            rows = ~batch["missing"].any(dim=1) & ~batch["padding"]
            ids.append(batch["sample_id"][rows])
            parts.append([one[rows] for one in module.probabilities(on_device(batch, module.device))])
    return torch.cat(ids), [torch.cat(columns) for columns in zip(*parts, strict=True)]


def _best(rows: list[dict[str, float]], figure: str) -> dict[str, float]:
    """Return the first row with the best value of a figure."""
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
def _usual_endings(directory: Path) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and full disks end a training as they end every other command.

    Raises:
        KeyboardInterrupt: Ctrl-C, which Lightning would turn into a silent exit.
        OutputError: the disk is full while a file beside the checkpoints is written.
        SystemExit: SIGTERM arrived before our handler was restored.
    """
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SIGTERMException:
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, on_interrupt)  # Lightning ignores SIGINT after the first one
        raise KeyboardInterrupt from None
    except OSError as error:
        if error.errno not in _FULL:
            raise
        with write_errors(directory, KEPT):
            raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice about data loader workers and hardware; the caller prints what matters."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
