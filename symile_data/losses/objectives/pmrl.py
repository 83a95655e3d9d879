"""PMRL: the vectors of a row should have one large singular value, and rows different leading directions.

With s_1 >= ... >= s_M the singular values of a row's M unit vectors and u_1 its leading direction,

    L = mean over i of -log softmax(s(i) / tau1)_1  +  CE_j(|<u_1(i), u_1(j)>| / tau2)

A candidate's score is s_1 of the query's vectors together with the candidate. Both temperatures are fixed.

Source: Liu et al., Principled multimodal representation learning (PMRL), 2025. Its sign: u_1 is defined up to its sign,
which a linear algebra library chooses, so that the value of the public code depends on the library; the absolute value
is the only form without it. That code also takes negatives from one GPU only, and ranks by a head that the loss does
not train.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from symile_data.errors import UsageError
from symile_data.losses.inputs import LossInputs, LossResult
from symile_data.losses.kernels.contrast import contrast
from symile_data.losses.kernels.powers import LOG2_E
from symile_data.losses.kernels.spectrum import finite_only, gradient_of_spectrum, leading_spectrum, spectrum
from symile_data.losses.kernels.together import fit_together, losses_to_slopes
from symile_data.losses.objective import Objective

_LEAST = 1e-12  # of eigenvalues below it the root has no gradient
_CHUNK = 1 << 18  # Gram matrices decomposed at a time


class PmrlLoss(Objective):
    """The loss on the singular values of rows and on their leading directions.

    Args:
        tau1: Temperature of the singular values.
        tau2: Temperature of the leading directions.
        gather: Take negatives from the rows of all ranks.

    Raises:
        UsageError: a temperature is not above 0.
    """

    unit = True
    learns_scale = False

    def __init__(self, *, tau1: float = 0.01, tau2: float = 0.1, gather: bool = False) -> None:
        super().__init__(gather=gather)
        for name, value in (("tau1", tau1), ("tau2", tau2)):
            if not value > 0:
                raise UsageError(f"{name} is above 0", got=value)
        self.tau1, self.tau2 = tau1, tau2

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        """Return the loss of the module; the scale of the logits has no part in it."""
        rows = torch.stack(list(embeddings), dim=1)
        wide = rows.double()
        values, vectors = leading_spectrum(wide @ wide.mT)
        singular = values.clamp(min=_LEAST).sqrt()
        leading = ((vectors / singular[:, :1])[:, None].to(rows.dtype) @ rows)[:, 0]
        first = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        alignment = F.cross_entropy(singular.to(rows.dtype) / self.tau1, first)
        contrasted = contrast(_unsigned, [leading], [leading], torch.ones_like(scale) / self.tau2, direction="rows")
        return alignment + contrasted

    def closed_form(self, inputs: LossInputs, wanted: bool) -> LossResult | None:
        """Return value and gradients of a small batch; see `Objective`."""
        if not fit_together(1, inputs.embeddings[0].shape[0]):
            return None
        rows = torch.stack(inputs.embeddings, dim=1)
        wide = rows.double()
        values, vectors = spectrum(wide @ wide.mT)
        singular = values.clamp(min=_LEAST).sqrt()
        first = singular[:, :1]
        weights = vectors[..., 0] / first
        coefficients = weights.to(rows.dtype)[..., None]
        leading = (coefficients * rows).sum(dim=1)
        contrasted = _unsigned_contrast(leading, 1 / self.tau2, wanted)
        if contrasted is None:
            return None
        value, by_leading = contrasted
        # Relative to the largest, a loss near zero keeps its digits.
        others = ((singular[:, 1:] - first) / self.tau1).exp_()
        total = others.sum(dim=1, keepdim=True)
        value = value + total.log1p().mean().to(value.dtype)
        if not wanted:
            return LossResult(value, [], torch.zeros_like(inputs.scale))
        by_singular = torch.cat([-total, others], dim=1) / ((1 + total) * (self.tau1 * len(rows)))
        by_weights = (rows * by_leading[:, None]).sum(dim=2).double()
        by_singular[:, 0] -= (by_weights * weights).sum(dim=1) / first[:, 0]
        by_values = (by_singular / (2 * singular)).masked_fill_(values < _LEAST, 0.0)
        by_gram = gradient_of_spectrum(values, vectors, by_values, by_weights / first)
        # The Gram matrix of rows Z is Z Z', whose gradient is symmetric.
        by_rows = torch.matmul(by_gram.mul_(2).to(rows.dtype), rows)
        by_rows.addcmul_(coefficients, by_leading[:, None])
        return LossResult(value, list(by_rows.unbind(dim=1)), torch.zeros_like(inputs.scale))

    def tuple_score(self, embeddings: Sequence[Tensor], target: int) -> Tensor:
        """Return the largest singular value of each row's vectors, (R,); see `Objective`."""
        rows = torch.stack([embedding.double() for embedding in embeddings], dim=1)
        return _largest(rows @ rows.mT).to(embeddings[0].dtype)

    def scores(self, queries: Mapping[int, Tensor], candidates: Tensor, target: int) -> Tensor:
        """Return the largest singular value of every candidate with every query, (Q, C); see `Objective`."""
        tuples = torch.stack([queries[m].double() for m in sorted(queries)], dim=1)
        if tuples.shape[1] == 2:
            three = _largest_of_three(tuples, candidates.double())
            return three.to(torch.promote_types(candidates.dtype, torch.float32))
        found: list[Tensor] = []
        wide = candidates.double()
        for one in torch.split(tuples, max(1, _CHUNK // max(len(candidates), 1))):
            rows, size, count = one.shape[0], one.shape[1], len(wide)
            gram = one.new_empty((rows, count, size + 1, size + 1))
            gram[..., :size, :size] = (one @ one.mT)[:, None]
            gram[..., :size, size] = (one.flatten(0, 1) @ wide.t()).view(rows, size, count).mT
            gram[..., size, :size] = gram[..., :size, size]
            gram[..., size, size] = wide.square().sum(dim=1)
            found.append(_largest(gram).to(torch.promote_types(candidates.dtype, torch.float32)))
        return torch.cat(found)


def _largest(gram: Tensor) -> Tensor:
    finite, unfit = finite_only(gram)
    largest: Tensor = torch.linalg.eigvalsh(finite)[..., -1].clamp(min=0.0).sqrt()
    return largest.masked_fill(unfit, torch.nan)


def _largest_of_three(tuples: Tensor, candidates: Tensor) -> Tensor:
    """Return the largest singular values of three unit vectors by Viete's solution of a cubic, (Q, C)."""
    first, second = tuples.unbind(dim=1)
    p = torch.linalg.vecdot(first, second)[:, None]
    q, r = first @ candidates.t(), second @ candidates.t()
    third = (p.square() + q.square() + r.square()) / 3
    ratio = (p * q * r) / third.clamp(min=_LEAST) ** 1.5
    eigenvalue: Tensor = 1 + 2 * third.sqrt() * (ratio.clamp(-1.0, 1.0).acos() / 3).cos()
    return eigenvalue.sqrt()


def _unsigned_contrast(vectors: Tensor, scale: float, wanted: bool) -> tuple[Tensor, Tensor] | None:
    """Return the contrast by rows of the absolute inner products of few vectors, and its gradient by them.

    Returns None where the range of the logits is too wide.
    """
    products = vectors @ vectors.t()
    logits = products.abs().mul_(scale * LOG2_E)[None]
    value = losses_to_slopes(logits, "rows", wanted, factor=scale)
    if value is None or not wanted:
        return None if value is None else (value, vectors)
    slopes = logits[0].mul_(products.sign_())
    return value, (slopes + slopes.t()) @ vectors


def _unsigned(left: Sequence[Tensor], right: Sequence[Tensor], _shared: Sequence[Tensor]) -> Tensor:
    return (left[0] @ right[0].t()).abs()
