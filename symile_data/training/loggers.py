"""Make the loggers of a run's metrics: always CSV, and TensorBoard and Weights & Biases on request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from symile_data.errors import MissingPackageError, UsageError

PROJECT = "symile-data"  # name of the project at Weights & Biases

_LOG = "log"


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
