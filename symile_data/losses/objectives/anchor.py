"""Anchor: every modality is contrasted with one modality only, as ImageBind does with images.

    L = sum over m != a of  (CE(s E_a E_m') + CE(s E_m E_a')) / 2

for the anchor modality a. It sees the pairs with the anchor and nothing else, and ranks by the sum of inner products
as CLIP does.

Source: Girdhar et al., ImageBind, CVPR 2023, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from symile_data.errors import UsageError
from symile_data.losses.kernels.together import sum_of_contrasts
from symile_data.losses.objective import PairwiseObjective


class AnchorLoss(PairwiseObjective):
    """The sum of the CLIP losses of one modality with each of the others.

    Args:
        anchor: Index of the anchor modality, in the order of the embeddings.
        gather: Take negatives from the rows of all ranks.

    Raises:
        UsageError: the anchor is negative.
    """

    def __init__(self, *, anchor: int = 0, gather: bool = False) -> None:
        super().__init__(gather=gather)
        if anchor < 0:
            raise UsageError("anchor is the index of a modality, from 0", got=anchor)
        self.anchor = anchor

    def check_modalities(self, modalities: int) -> None:
        """Check that the anchor is one of the modalities; see `Objective`."""
        super().check_modalities(modalities)
        if self.anchor >= modalities:
            raise UsageError(f"anchor is the index of one of the {modalities} modalities, from 0", got=self.anchor)

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        """Return the sum over the other modalities of the symmetric contrast with the anchor; see the module."""
        others = [embedding for m, embedding in enumerate(embeddings) if m != self.anchor]
        return sum_of_contrasts([embeddings[self.anchor]] * len(others), others, scale)
