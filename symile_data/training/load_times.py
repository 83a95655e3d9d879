"""Log where the time of a run's training loader goes, and leave its report with the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning

from symile_data.errors import UsageError
from symile_data.files import write_text

from .checkpoints import KEPT

PROFILE = "profile.txt"  # of a run directory: the report of its last training


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
