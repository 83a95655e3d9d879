"""Make the loggers of a run's metrics: always CSV, and TensorBoard and Weights & Biases on request; and log where the
time of the training loader goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from symile_data.errors import MissingPackageError, UsageError
from symile_data.files import write_text

from .checkpoints import KEPT

PROJECT = "symile-data"  # name of the project at Weights & Biases

_LOG = "log"
PROFILE = "profile.txt"  # of a run directory: the report of its last training


def make_loggers(names: Sequence[str], directory: Path) -> list[Logger]:
    """Make the loggers of a run.

    Args:
        names: "tensorboard" and "wandb", which are used besides CSV.
        directory: Directory of the run. CSV goes to `log/<n>/metrics.csv`, where n counts how often the run was
            continued; TensorBoard to `log/tensorboard`; Weights & Biases to its project "symile-data", following its
            settings and environment variables.

    Raises:
        UsageError: a name is unknown.
        MissingPackageError: the logger's package is not installed.
    """
    continued = sum(1 for path in (directory / _LOG).glob("*/metrics.csv"))
    return [CSVLogger(directory, name=_LOG, version=str(continued)), *(_logger(name, directory) for name in names)]


def _tensorboard(directory: Path) -> Logger:
    return TensorBoardLogger(directory, name=_LOG, version="tensorboard")


def _wandb(directory: Path) -> Logger:
    return WandbLogger(name="/".join(directory.resolve().parts[-2:]), save_dir=directory, project=PROJECT)


_LOGGERS: dict[str, tuple[str, Callable[[Path], Logger]]] = {
    "tensorboard": ("tensorboard", _tensorboard),
    "wandb": ("wandb", _wandb),
}


def _logger(name: str, directory: Path) -> Logger:
    if name not in _LOGGERS:
        raise UsageError("unknown logger", got=repr(name), do=f"choose among {', '.join(_LOGGERS)}")
    package, make = _LOGGERS[name]
    try:
        return make(directory)
    except ModuleNotFoundError:
        raise MissingPackageError(package, "loggers", f"`logger={name!r}`") from None


class LoadTimes(lightning.Callback):
    """Add the columns of the loader's report to the logs after each epoch, and write the report at the end.

    The loader is any with a method `report` that returns what `symile_data.loaders.report.LoadReport` has. A run that
    is continued counts from where it was continued.

    Args:
        path: File of the report.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counted: dict[str, float] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Check that the loader reports its time.

        Raises:
            UsageError: it does not.
        """
        if not hasattr(trainer.train_dataloader, "report"):
            raise UsageError(
                "`profile` needs a loader that reports its time",
                got=type(trainer.train_dataloader).__name__,
                do="train from a BatchLoader",
            )

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log what this epoch added to each column."""
        columns: dict[str, float] = self._report(trainer).columns
        added = {name: max(value - self._counted.get(name, 0.0), 0.0) for name, value in columns.items()}
        self._counted = columns
        for logger in trainer.loggers:
            logger.log_metrics({"epoch": trainer.current_epoch, **added}, step=trainer.global_step)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the report of all epochs."""
        if trainer.is_global_zero:
            write_text(self._path, f"{self._report(trainer)}\n", KEPT)

    def _report(self, trainer: lightning.Trainer) -> Any:
        loader: Any = trainer.train_dataloader
        return loader.report()
