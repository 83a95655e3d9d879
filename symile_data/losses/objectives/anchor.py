"""Anchor: every modality is contrasted with one modality only, as ImageBind does with images.

    L = sum over m != a of  (CE(s E_a E_m') + CE(s E_m E_a')) / 2

for the anchor modality a. It sees the pairs with the anchor and nothing else, and ranks by the sum of inner products
as CLIP does.

Source: Girdhar et al., ImageBind, CVPR 2023, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symile_data.errors import UsageError
from symile_data.losses.inputs import LossInputs, LossResult
from symile_data.losses.kernels.together import (
    contrasts_at_once,
    fit_together,
    sum_of_contrasts,
    sum_of_products,
)
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

    def closed_form(self, inputs: LossInputs, wanted: bool) -> LossResult | None:
        """Return value and gradients of a small batch; see `Objective`."""
        every = inputs.embeddings
        numbers = [m for m in range(len(every)) if m != self.anchor]
        if not fit_together(len(numbers), every[0].shape[0]):
            return None
        anchor, others = every[self.anchor], [every[m] for m in numbers]
        found = contrasts_at_once([anchor] * len(others), others, inputs.scale, "both", wanted)
        if found is None or not wanted:
            return None if found is None else LossResult(found[0], [], torch.zeros_like(inputs.scale))
        value, slopes = found
        by_anchor = slopes[0] @ others[0]
        for slope, other in zip(slopes[1:], others[1:], strict=True):
            by_anchor.addmm_(slope, other)
        gradients = [slope.t() @ anchor for slope in slopes]
        gradients.insert(self.anchor, by_anchor)
        return LossResult(value, gradients, sum_of_products([anchor], [by_anchor]) / inputs.scale)
