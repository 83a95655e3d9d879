"""Symile pair: the modalities of a row other than the target stay together, and only the target varies.

For each target modality t, with MIP(e_t(j), tuple i) = sum_d e_t(j)_d prod_{m != t} e_m(i)_d,

    L = mean over t of  CE_j(s MIP(e_t(j), tuple i))

where CE_j is the mean over rows i of -log softmax over candidates j. It costs M matrix products (N, D) x (D, N), the
same as one set of shuffles, and needs no random numbers. It bounds the information between a modality and all the
others together, not the total correlation as Symile's own negatives do. With M = 2 it is the loss of CLIP.

It is the contrast that the public code of Gated Symile calls "pair", without its gates.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symile_data.losses.inputs import LossInputs, LossResult
from symile_data.losses.kernels.products import add_through_products, products_of_others
from symile_data.losses.kernels.together import contrasts_at_once, fit_together, sum_of_contrasts, sum_of_products
from symile_data.losses.objective import ProductObjective


class SymilePairLoss(ProductObjective):
    """The Symile loss with whole tuples as negatives.

    Args:
        both: Also contrast the tuples among which each target finds its own; the loss is then the mean of both
            directions.
        gather: Take negatives from the rows of all ranks.

    >>> import torch
    >>> round(SymilePairLoss()([torch.eye(3)] * 3, 10.0).item(), 6)
    9.1e-05
    """

    def __init__(self, *, both: bool = False, gather: bool = False) -> None:
        super().__init__(gather=gather)
        self.both = both

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        """Return the mean over targets of the contrast of tuples with targets; see the module."""
        return pair_loss(embeddings, scale, both=self.both)

    def closed_form(self, inputs: LossInputs, wanted: bool) -> LossResult | None:
        """Return value and gradients of a small batch; see `Objective`."""
        return pair_at_once(inputs.embeddings, inputs.scale, wanted, both=self.both)


def pair_loss(embeddings: Sequence[Tensor], scale: Tensor, *, both: bool = False) -> Tensor:
    """Return the loss of the module in plain torch, for rows that are here already.

    Args:
        embeddings: M tensors (N, D).
        scale: () tensor.
        both: Contrast in both directions.

    Returns:
        () tensor.
    """
    tuples = products_of_others(embeddings)
    return sum_of_contrasts(tuples, embeddings, scale, "both" if both else "rows") / len(tuples)


def pair_at_once(
    embeddings: Sequence[Tensor], scale: Tensor, wanted: bool, *, both: bool = False, share: float = 1.0
) -> LossResult | None:
    """Return `pair_loss` and its gradients in few operations, or None where rows are many or logits wide.

    Args:
        embeddings: M tensors (N, D), without gradient.
        scale: () tensor.
        wanted: Also compute gradients.
        both: Contrast in both directions.
        share: Factor of the loss.
    """
    if not fit_together(len(embeddings), embeddings[0].shape[0]):
        return None
    tuples = products_of_others(embeddings)
    found = contrasts_at_once(tuples, embeddings, scale, "both" if both else "rows", wanted, share / len(tuples))
    if found is None or not wanted:
        return None if found is None else LossResult(found[0], [], torch.zeros_like(scale))
    value, slopes = found
    gradients = [slope.t() @ one for slope, one in zip(slopes, tuples, strict=True)]
    by_tuples = [slope @ one for slope, one in zip(slopes, embeddings, strict=True)]
    add_through_products(gradients, by_tuples, embeddings)
    # Every logit is s times a product with one factor of each modality, so that s dL/ds = <E_m, dL/dE_m> for any m.
    return LossResult(value, gradients, sum_of_products(embeddings[:1], gradients[:1]) / scale)
