"""Stop a training whose loss or weights are no longer finite, before any of them is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
from torch import Tensor

from symile_data.encoders import LabsEncoder
from symile_data.errors import SymileDataError

from .encoding import EncodingModule

_FULL = "32-true"
_ADVICE = "lower the learning rate (lr) or set clip_gradient, and train with another `out`"


class StopWhereNotFinite(lightning.Callback):
    """Check the loss of every step before its gradients are taken, and the loss of every validation.

    `LastCheckpoint` checks the weights, so that the checkpoints of a run are always finite.
    """

    def __init__(self) -> None:
        self._batch: Mapping[str, Any] = {}

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep the batch, because its values may be the cause."""
        self._batch = batch

    def on_before_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: Tensor
    ) -> None:
        """Check the loss of a step."""
        if not loss.isfinite():
            raise not_finite("training loss", trainer, loss.item(), _faulty_values(pl_module, self._batch))

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Check the validation loss before the best weights are chosen by it."""
        loss = trainer.callback_metrics["val_loss"]
        if not loss.isfinite():
            raise not_finite("validation loss", trainer, loss.item())


def not_finite(what: str, trainer: lightning.Trainer, got: object = None, cause: str = "") -> SymileDataError:
    """Return the error for a loss or weights that are not finite.

    Args:
        what: Name of the loss or the weights.
        trainer: The trainer, whose step and learning rate are reported.
        got: The value.
        cause: Advice for a known cause.
    """
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    if not cause and trainer.precision != _FULL:
        cause = f'take precision = "{_FULL}", or {_ADVICE}'
    return diverged(what, trainer.global_step + 1, rate, got, cause)


def diverged(what: str, step: int, rate: float, got: object = None, cause: str = "") -> SymileDataError:
    """Return the error of `not_finite` for a training without a trainer; steps count from 1."""
    where = f"step {step}, learning rate {rate:.3g}"
    return SymileDataError(f"the {what} is not finite", where=where, got=got, do=cause or _ADVICE)


def _faulty_values(module: lightning.LightningModule, batch: Mapping[str, Any]) -> str:
    """Return advice where values of the data are not finite; NaN is allowed only for unmeasured laboratory values."""
    if not isinstance(module, EncodingModule):
        return ""
    for position, name in enumerate(module.names):
        values = batch.get(name)
        if not isinstance(values, Tensor) or not values.is_floating_point():
            continue
        present = values[~batch["missing"][:, position]]
        unfit = present.isinf() if isinstance(module.encoders[name], LabsEncoder) else ~present.isfinite()
        if unfit.any():
            return f"the data are the cause: values of {name} in this batch are not finite; declare them missing"
    return ""
