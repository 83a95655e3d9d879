"""What happens beside the training loop: the curves, the checkpoint to continue from, and progress."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint

from symile_data.progress import Advance, stage
from symile_data.training.module import SymileModule


class Curves(lightning.Callback):
    """One row of metrics per validated epoch, kept in checkpoints: Lightning's logs start anew when a run continues."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add the epoch's row."""
        epoch = trainer.current_epoch
        if not (epoch + 1) % int(trainer.check_val_every_n_epoch or 1):
            metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
            if isinstance(pl_module, SymileModule):
                metrics["train_loss"] = pl_module.mean_training_loss()  # logged after this, for the loggers
            self.rows.append({"epoch": epoch, **dict(sorted(metrics.items()))})

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the rows of an interrupted run."""
        self.rows = list(state_dict["rows"])


class LastCheckpoint(Checkpoint):
    """The state to continue from, saved after every epoch and every so many steps within one.

    It is written beside and then renamed: a process killed while saving leaves the previous one whole.

    Args:
        path: Of the file.
        every: Steps between saves within an epoch; 0 for none.
    """

    def __init__(self, path: Path, every: int) -> None:
        self._path, self._every = path, every
        self._saved = -1

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Save where a step was just done, unless the epoch ends with it and is saved then."""
        step, last = trainer.global_step, trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if self._every and step % self._every == 0 and step != self._saved and not last:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save; after the best weights, whose scores it holds."""
        self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        self._saved = trainer.global_step
        unfinished = self._path.with_name(f".{self._path.name}")
        trainer.save_checkpoint(unfinished)
        if trainer.is_global_zero:
            unfinished.replace(self._path)


class Progress(lightning.Callback):
    """A bar of the optimiser's steps, those of an interrupted run included.

    Args:
        title: Of the stage.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._open = contextlib.ExitStack()
        self._advance: Advance | None = None
        self._done = 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Open the bar."""
        total = int(trainer.estimated_stepping_batches)
        self._advance = self._open.enter_context(stage(self._title, total, "steps"))
        self._move(trainer)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Count the batch's step."""
        self._move(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Close the bar."""
        self._open.close()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar."""
        self._open.close()

    def _move(self, trainer: lightning.Trainer) -> None:
        if self._advance is not None and trainer.global_step > self._done:
            self._advance(trainer.global_step - self._done)
            self._done = trainer.global_step
