"""Callbacks of the trainer: the curves, the checkpoint to continue from, the handler of SIGTERM, and progress."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from symile_data.progress import Advance, stage

from .checkpoints import damaged
from .encoding import EncodingModule
from .finite import not_finite

_WANTED = {"epoch", "train_loss", "val_loss", "val_accuracy"}  # figures in a row of the curves


class Curves(lightning.Callback):
    """Keep one row of metrics per validated epoch, in checkpoints too: Lightning's logs restart in a continued run."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add the row of a validated epoch."""
        epoch = trainer.current_epoch
        if not (epoch + 1) % int(trainer.check_val_every_n_epoch or 1):
            metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
            if isinstance(pl_module, EncodingModule):
                metrics["train_loss"] = pl_module.mean_training_loss()  # logged after this, for the loggers
            self.rows.append({"epoch": epoch, **dict(sorted(metrics.items()))})

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far, to be saved in the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the rows of an interrupted run.

        Raises:
            ValueError: the saved rows are not rows of numbers.
        """
        rows = state_dict["rows"]
        if not all(
            row.keys() >= _WANTED and all(type(value) in (int, float) for value in row.values()) for row in rows
        ):
            raise ValueError("no curves")
        self.rows = list(rows)


class KeepSignals(lightning.Callback):
    """Keep the handler of SIGTERM that was set before the trainer.

    Lightning's handler ends a training with exit code 0, as if it were done, and calls a collective operation at any
    point of a distributed run. The package's handler exits at once, as in every other command, which is safe because
    checkpoints are written whole or not at all.
    """

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)
        self.began = False  # set once training starts, after the checkpoint to continue from was read

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Restore the earlier handler, and note that training has begun."""
        self.began = True
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)


class LastCheckpoint(Checkpoint):
    """The state to continue from, saved after every epoch and after a number of steps within one.

    `CheckpointFiles` writes a temporary file and renames it: a process killed while saving leaves the previous one
    whole.

    Args:
        path: File to write.
        every: Steps between saves within an epoch; 0 saves only at the end of each epoch.
    """

    def __init__(self, path: Path, every: int) -> None:
        self._path, self._every = path, every
        self._saved = -1

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Check that the restored state of the optimiser fits the weights.

        Raises:
            DamageError: a tensor of the state has another shape than its weight.
        """
        for weight, state in trainer.optimizers[0].state.items():
            sizes = [value.shape for value in state.values() if isinstance(value, Tensor) and value.dim()]
            if any(size != weight.shape for size in sizes):
                raise damaged(self._path, "the state of another optimiser")

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Save after a number of steps, except at the last batch of an epoch, after which the epoch is saved."""
        step, last = trainer.global_step, trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if self._every and step % self._every == 0 and step != self._saved and not last:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save after the best weights, because the checkpoint contains their scores."""
        self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        module = trainer.lightning_module
        if isinstance(module, EncodingModule) and not module.is_finite():
            raise not_finite("state of the weights", trainer)
        self._saved = trainer.global_step
        trainer.save_checkpoint(self._path)


class Progress(lightning.Callback):
    """Show a bar of the optimiser's steps, which counts those before an interruption.

    Args:
        title: Title of the bar.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._open = contextlib.ExitStack()
        self._advance: Advance | None = None
        self._done = 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Open the bar with the total number of steps."""
        total = int(trainer.estimated_stepping_batches)
        self._done = trainer.global_step
        self._advance = self._open.enter_context(stage(self._title, total, "steps", done=self._done))

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Advance the bar by the step of the batch."""
        self._move(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Close the bar so that later output starts on a new line."""
        self._open.close()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar so that later output starts on a new line."""
        self._open.close()

    def _move(self, trainer: lightning.Trainer) -> None:
        if self._advance is not None and trainer.global_step > self._done:
            self._advance(trainer.global_step - self._done)
            self._done = trainer.global_step
