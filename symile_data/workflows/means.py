"""The means of a training split by which encoders replace missing values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.errors import DamageError

if TYPE_CHECKING:
    from torch import Tensor

    from symile_data.training.encoding import EncodingModule


def training_means(
    module: EncodingModule, batches: Iterable[Mapping[str, Any]], wanted: Collection[str], directory: Path
) -> dict[str, Tensor]:
    """Compute the mean of each wanted modality over the rows that have it, entry by entry.

    Args:
        module: The module whose encoders replace missing values.
        batches: All rows of the training split.
        wanted: Names of the modalities.
        directory: The dataset's directory, for messages.

    Returns:
        By modality, (F,) float32.

    Raises:
        DamageError: a mean is not finite.
    """
    import torch

    positions = {name: module.modalities.index(name) for name in wanted}
    sums: dict[str, Tensor] = {}
    counts: dict[str, Tensor] = {}
    for batch in batches:
        for name, position in positions.items():
            values = module.fixed_features(name, batch[name]).double()
            present = ~batch["missing"][:, position, None] & ~values.isnan()
            sums[name] = sums.get(name, 0.0) + torch.where(present, values, 0.0).sum(dim=0)
            counts[name] = counts.get(name, 0) + present.sum(dim=0)
    means = {name: (sums[name] / counts[name].clamp(min=1)).float() for name in positions}
    for name, mean in means.items():
        if not mean.isfinite().all():
            raise DamageError(
                "the training split's mean of a modality is not finite",
                where=directory,
                got=name,
                do="declare values that are not finite missing and build again",
            )
    return means
