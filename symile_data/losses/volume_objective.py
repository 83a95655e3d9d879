"""Objectives that compare one vector with a tuple by a volume; GRAM and the simplex form say which.

One modality at a time is the anchor: its row i and the tuple of the other modalities of row j have the similarity
minus a volume, and the loss is the symmetric contrast of these similarities.

Where a mask of missing modalities is given, a tuple holds what its row has; rows that lack the anchor, or have nothing
else, leave its term.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from symile_data.errors import UsageError

from .kernels.contrast import contrast
from .objective import Objective


class VolumeObjective(Objective):
    """The contrast of volumes, over all modalities as anchors or one.

    Args:
        anchor: Index of the only anchor modality, or None for all in turn.
        smoothing: Label smoothing, from 0 to below 1.
        gather: Take negatives from the rows of all ranks.

    Raises:
        UsageError: a setting is out of range.
    """

    unit = True

    def __init__(self, *, anchor: int | None = None, smoothing: float = 0.0, gather: bool = False) -> None:
        super().__init__(gather=gather)
        if not 0 <= smoothing < 1:
            raise UsageError("smoothing is at least 0 and below 1", got=smoothing)
        if anchor is not None and anchor < 0:
            raise UsageError("anchor is the index of a modality, from 0", got=anchor)
        self.anchor, self.smoothing = anchor, smoothing

    @abstractmethod
    def describe(self, tuples: Tensor, absent: Tensor | None) -> Sequence[Tensor]:
        """Return what a volume needs of each tuple.

        Args:
            tuples: (N, M - 1, D).
            absent: (N, M - 1) bool, True where a vector is left out, or None.

        Returns:
            Tensors (N, ...), differentiable.
        """

    @abstractmethod
    def similarity(self, vectors: Sequence[Tensor], tuples: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Return minus the volumes, (B, N), of one tensor of vectors (B, D) and the described tuples."""

    def groups(self, missing: Tensor, anchor: int) -> Tensor:
        """Return the groups of rows that are compared, (N,) int64, of a mask (N, M); see `patterns`."""
        return patterns(missing, anchor)

    def check_modalities(self, modalities: int) -> None:
        """Check that the anchor is one of the modalities; see `Objective`."""
        super().check_modalities(modalities)
        if self.anchor is not None and self.anchor >= modalities:
            raise UsageError(f"anchor is the index of one of the {modalities} modalities, from 0", got=self.anchor)

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        """Return the mean over anchors of the symmetric contrast of volumes; see the module."""
        anchors = range(len(embeddings)) if self.anchor is None else [self.anchor]
        terms = []
        for m in anchors:
            others = [o for o in range(len(embeddings)) if o != m]
            described = self.describe(
                torch.stack([embeddings[o] for o in others], dim=1), None if missing is None else missing[:, others]
            )
            groups = None if missing is None else self.groups(missing, m)
            terms.append(
                contrast(self.similarity, [embeddings[m]], described, scale, smoothing=self.smoothing, groups=groups)
            )
        return sum(terms[1:], terms[0]) / len(terms)

    def scores(self, queries: Mapping[int, Tensor], candidates: Tensor, target: int) -> Tensor:
        """Return minus the volume of every candidate with every query, (Q, C); see `Objective`."""
        wide = torch.promote_types(candidates.dtype, torch.float32)
        with self.outside_autocast(candidates):
            described = self.describe(torch.stack([queries[m].to(wide) for m in sorted(queries)], dim=1), None)
            return self.similarity([candidates.to(wide)], described, []).t()


def patterns(missing: Tensor, anchor: int) -> Tensor:
    """Number the patterns of missing modalities for `contrast`: -1 where a row has no anchor, or nothing else.

    Args:
        missing: (N, M) bool.
        anchor: Index of the anchor modality.

    Returns:
        (N,) int64.

    >>> patterns(torch.tensor([[False, False], [True, False], [False, True]]), 0).tolist()
    [0, -1, -1]
    """
    bits = 2 ** torch.arange(missing.shape[1], device=missing.device)
    pattern = (missing * bits).sum(dim=1)
    alone = (~missing).sum(dim=1) < 2
    return torch.where(missing[:, anchor] | alone, -1, pattern)
