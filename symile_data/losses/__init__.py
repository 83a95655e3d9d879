"""Contrastive losses over any number of modalities, and the similarities that retrieval ranks by.

`symile_loss` and `SymileLoss` are the multilinear (Symile) loss, `pairwise_clip_loss` and `ClipLoss` the sum of
pairwise CLIP losses; `mip_scores` and `pairwise_scores` are what each of them ranks candidates by. `Symile` and
`MIPSimilarity` take the same arguments as the classes of the public package `symile`. `NeutralVectors` stands in for
missing modalities. `OBJECTIVES` is the table from which training and evaluation choose.

Names that need torch are imported when they are first asked for; `OBJECTIVES` and the choices of settings need none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symile_data.extras import needs_extra

from .objectives import MIP_SCALES, NEGATIVES, OBJECTIVES

if TYPE_CHECKING:
    from .compat import MIPSimilarity, Symile
    from .neutral import NeutralVectors, missing_groups
    from .objectives.clip import ClipLoss, pairwise_clip_loss
    from .objectives.symile import SymileLoss, symile_loss
    from .similarity import PairwiseSimilarity, SymileSimilarity, mip_scores, pairwise_scores

__all__ = [
    "MIP_SCALES",
    "NEGATIVES",
    "OBJECTIVES",
    "ClipLoss",
    "MIPSimilarity",
    "NeutralVectors",
    "PairwiseSimilarity",
    "Symile",
    "SymileLoss",
    "SymileSimilarity",
    "mip_scores",
    "missing_groups",
    "pairwise_clip_loss",
    "pairwise_scores",
    "symile_loss",
]

_NAMES_BY_MODULE = {
    "compat": ("MIPSimilarity", "Symile"),
    "neutral": ("NeutralVectors", "missing_groups"),
    "objectives.clip": ("ClipLoss", "pairwise_clip_loss"),
    "objectives.symile": ("SymileLoss", "symile_loss"),
    "similarity": ("PairwiseSimilarity", "SymileSimilarity", "mip_scores", "pairwise_scores"),
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra("train", __name__):
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
