"""Scores that retrieval ranks candidates by: the multilinear inner product (Symile) or a sum of pairwise ones (CLIP).

A query holds the embeddings of the modalities that are given, a candidate one of the modality that is sought. Both
scores are one matrix product, of the product or the sum of the query's embeddings with the candidates. Shapes: Q
queries, C candidates, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from symile_data.errors import UsageError
from symile_data.losses.kernels.products import product_of_all, sum_of_all

CHUNK = 4096


def mip_scores(queries: Sequence[Tensor], candidates: Tensor, chunk: int = CHUNK) -> Tensor:
    """Multilinear inner products sum_d prod_m queries_m[q, d] candidates[c, d], unscaled.

    Args:
        queries: One or more tensors (Q, D).
        candidates: (C, D).
        chunk: Queries handled at a time; bounds the temporaries, not the result.

    Returns:
        (Q, C), float32 or better.

    Raises:
        UsageError: shapes that do not fit.

    >>> mip_scores([torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])], torch.eye(2)).tolist()
    [[3.0, 8.0]]
    """
    return combined_scores(queries, candidates, product_of_all, chunk)


def pairwise_scores(queries: Sequence[Tensor], candidates: Tensor, chunk: int = CHUNK) -> Tensor:
    """Sum over the query's modalities of the inner product with the candidate, sum_m <queries_m[q], candidates[c]>.

    The inner products among the query's own modalities, also part of CLIP's sum over pairs, are left out: they are the
    same for all candidates of a query and change no rank.

    Args:
        queries: One or more tensors (Q, D).
        candidates: (C, D).
        chunk: Queries handled at a time; bounds the temporaries, not the result.

    Returns:
        (Q, C), float32 or better.

    Raises:
        UsageError: shapes that do not fit.

    >>> pairwise_scores([torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])], torch.eye(2)).tolist()
    [[4.0, 6.0]]
    """
    return combined_scores(queries, candidates, sum_of_all, chunk)


class SymileSimilarity(nn.Module):
    """`mip_scores` as a module.

    Args:
        chunk: Queries handled at a time.
    """

    def __init__(self, chunk: int = CHUNK) -> None:
        super().__init__()
        self.chunk = chunk

    def forward(self, queries: Sequence[Tensor], candidates: Tensor) -> Tensor:
        """(Q, C) scores of tensors (Q, D) against (C, D)."""
        return mip_scores(queries, candidates, self.chunk)


class PairwiseSimilarity(nn.Module):
    """`pairwise_scores` as a module.

    Args:
        chunk: Queries handled at a time.
    """

    def __init__(self, chunk: int = CHUNK) -> None:
        super().__init__()
        self.chunk = chunk

    def forward(self, queries: Sequence[Tensor], candidates: Tensor) -> Tensor:
        """(Q, C) scores of tensors (Q, D) against (C, D)."""
        return pairwise_scores(queries, candidates, self.chunk)


def combined_scores(
    queries: Sequence[Tensor],
    candidates: Tensor,
    combine: Callable[[Sequence[Tensor]], Tensor],
    chunk: int = CHUNK,
) -> Tensor:
    """Inner products of candidates with the tensor into which each query's embeddings are combined.

    Args:
        queries: One or more tensors (Q, D).
        candidates: (C, D).
        combine: Maps the tensors (Q, D) to one; see `Objective.combine_queries`.
        chunk: Queries handled at a time; bounds the temporaries, not the result.

    Returns:
        (Q, C), float32 or better.

    Raises:
        UsageError: shapes that do not fit.
    """
    shapes = [tuple(query.shape) for query in queries]
    fits = (
        candidates.dim() == 2 and len(set(shapes)) == 1 and len(shapes[0]) == 2 and shapes[0][1] == candidates.shape[1]
    )
    if not fits:
        raise UsageError(
            "queries are (Q, D) tensors of one shape and candidates a (C, D) tensor of the same width",
            got=f"queries {', '.join(map(str, shapes)) or 'none'}; candidates {tuple(candidates.shape)}",
        )
    if chunk < 1:
        raise UsageError("chunk is at least 1", got=chunk)
    with torch.autocast(candidates.device.type, enabled=False):
        wide = candidates.to(torch.promote_types(candidates.dtype, torch.float32)).t()
        parts = [
            combine([query[start : start + chunk].to(wide.dtype) for query in queries]) @ wide
            for start in range(0, max(shapes[0][0], 1), chunk)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)
