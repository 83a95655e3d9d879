"""The registry of objectives: how each contrastive loss is made, and how retrieval scores candidates under it.

A training config, `--loss` and the evaluation name an objective by its key in `OBJECTIVES`. To add one, write a module
beside this one and add a row to the table. Importing this module does not import torch, so that configs and the
command line can read the names cheaply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from symile_data.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

NEGATIVES = ("n", "exact")
MIP_SCALES = ("none", "aligned", "unit")


class LossSettings(Protocol):
    """The settings of a training config that decide how an objective's loss is made; see `symile_loss`."""

    @property
    def negatives(self) -> str:
        """How the negatives of an anchor are chosen; one of `NEGATIVES`."""
        ...

    @property
    def shuffles(self) -> int:
        """Sets of negatives per anchor, for the negatives "n"."""
        ...

    @property
    def seed(self) -> int:
        """Seed of the shuffles."""
        ...

    @property
    def mip_scale(self) -> str:
        """How the multilinear inner product is scaled; one of `MIP_SCALES`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One contrastive objective.

    Args:
        title: Name in tables and figures.
        make_loss: Makes the loss from the settings of a config. The loss is called with M tensors (N, D), the scale of
            the logits and the group ids of `missing_groups` or None; it returns a () tensor and takes negatives from
            the rows of all ranks.
        combine_queries: Maps the query's embeddings, M - 1 tensors (Q, D), to one (Q, D) tensor. A candidate's score is
            its inner product with that tensor's row.
    """

    title: str
    make_loss: Callable[[LossSettings], nn.Module]
    combine_queries: Callable[[Sequence[Tensor]], Tensor]


def _symile_loss(settings: LossSettings) -> nn.Module:
    from .symile import SymileLoss

    return SymileLoss(
        settings.negatives, shuffles=settings.shuffles, seed=settings.seed, mip_scale=settings.mip_scale, gather=True
    )


def _clip_loss(_settings: LossSettings) -> nn.Module:
    from .clip import ClipLoss

    return ClipLoss(gather=True)


def _product(queries: Sequence[Tensor]) -> Tensor:
    from symile_data.losses.kernels.products import product_of_all

    return product_of_all(queries)


def _sum(queries: Sequence[Tensor]) -> Tensor:
    from symile_data.losses.kernels.products import sum_of_all

    return sum_of_all(queries)


OBJECTIVES: Mapping[str, Objective] = {
    "symile": Objective(title="Symile", make_loss=_symile_loss, combine_queries=_product),
    "clip": Objective(title="CLIP", make_loss=_clip_loss, combine_queries=_sum),
}


def find_objective(name: str) -> Objective:
    """Return the objective of a name in `OBJECTIVES`.

    Raises:
        UsageError: there is none of that name.

    >>> find_objective("clip").title
    'CLIP'
    """
    if name not in OBJECTIVES:
        raise UsageError("unknown loss", got=repr(name), do=f"choose among {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]
