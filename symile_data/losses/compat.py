"""The two classes of the public package `symile`, with the same arguments, built on the functions of this package.

`from symile_data.losses import MIPSimilarity, Symile` replaces `from symile import MIPSimilarity, Symile`. Three things
differ: the shuffles come from a seeded generator of the object, none of them yields a false negative, and the exact
loss needs a few megabytes instead of gigabytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symile_data.errors import UsageError
from symile_data.losses.objectives.symile import symile_loss

from .similarity import mip_scores

NEGATIVE_SAMPLING = {"n": "n", "n_squared": "exact"}


class Symile:
    """The Symile loss, called with a list of (N, D) tensors and the logit scale.

    Args:
        negative_sampling: "n", or "n_squared" for all combinations.
        seed: Seed of the shuffles of "n".

    Raises:
        UsageError: another name of `negative_sampling`.

    >>> Symile("n_squared")([torch.eye(3)] * 3, 0.0)
    tensor(2.1972)
    """

    def __init__(self, negative_sampling: str = "n", seed: int = 0) -> None:
        if negative_sampling not in NEGATIVE_SAMPLING:
            raise UsageError(
                "negative_sampling is unknown",
                got=repr(negative_sampling),
                do=f"choose among {', '.join(NEGATIVE_SAMPLING)}",
            )
        self.negative_sampling = negative_sampling
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, representations: Sequence[Tensor], logit_scale: Tensor | float) -> Tensor:
        """Compute the loss of M tensors (N, D), a () tensor."""
        negatives = NEGATIVE_SAMPLING[self.negative_sampling]
        return symile_loss(representations, logit_scale, negatives=negatives, generator=self.generator)


class MIPSimilarity:
    """Multilinear inner products of queries with candidates.

    >>> MIPSimilarity()(torch.eye(2), [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])])
    tensor([[3., 8.]])
    """

    def __call__(self, candidates: Tensor, query_reps: Sequence[Tensor]) -> Tensor:
        """Scores of (Q, D) or (D,) query tensors with (C, D) candidates, (Q, C)."""
        return mip_scores([query[None] if query.dim() == 1 else query for query in query_reps], candidates)
