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
from symile_data.losses.kernels.contrast import contrast
from symile_data.losses.kernels.spectrum import finite_only, leading_spectrum
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


def _unsigned(left: Sequence[Tensor], right: Sequence[Tensor], _shared: Sequence[Tensor]) -> Tensor:
    return (left[0] @ right[0].t()).abs()
