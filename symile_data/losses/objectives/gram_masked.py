"""Masked GRAM: GRAM on the modalities that each row has.

A missing modality is an identity row of the Gram matrix, which equals leaving its vector out. Rows without the anchor,
or with nothing else, leave the anchor's term. Volumes of fewer vectors are larger, so that a row would tell its tuple
from others by what they lack; rows of another pattern of missing modalities are therefore no negatives, unless
`by_pattern` is off.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .gram import EPSILON, GramLoss


class MaskedGramLoss(GramLoss):
    """`GramLoss` that takes a mask of missing modalities.

    Args:
        by_pattern: Compare only rows that lack the same modalities.
        anchor: Index of the only anchor modality, or None for all in turn.
        smoothing: Label smoothing, from 0 to below 1.
        epsilon: Added to squared volumes before the root.
        gather: Take negatives from the rows of all ranks.

    Raises:
        UsageError: a setting is out of range.
    """

    takes_missing = True

    def __init__(
        self,
        *,
        by_pattern: bool = True,
        anchor: int | None = None,
        smoothing: float = 0.0,
        epsilon: float = EPSILON,
        gather: bool = False,
    ) -> None:
        super().__init__(anchor=anchor, smoothing=smoothing, epsilon=epsilon, gather=gather)
        self.by_pattern = by_pattern

    def groups(self, missing: Tensor, anchor: int) -> Tensor:
        """Return the groups of rows that are compared; see `VolumeObjective`."""
        groups = super().groups(missing, anchor)
        return groups if self.by_pattern else torch.where(groups < 0, -1, 0)
