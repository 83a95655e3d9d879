"""Contrastive losses over any number of modalities, and the scores that retrieval ranks by.

`symile_loss` and `SymileLoss` are the multilinear (Symile) loss, `pairwise_clip_loss` and `ClipLoss` the sum of
pairwise CLIP losses; `all_objectives()` lists these and all others by name, `make_objective` makes one, `Objective` is
their base class and `register` adds one from outside. `mip_scores` and `pairwise_scores` are what Symile and CLIP rank
candidates by. `Symile` and `MIPSimilarity` take the same arguments as the classes of the public package `symile`.
`NeutralVectors` stands in for missing modalities.

Names that need torch are imported when they are first asked for; the registry needs none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symile_data.extras import needs_extra

from .objectives import MIP_SCALES, NEGATIVES, OBJECTIVES, all_objectives, find_objective, make_objective, register

if TYPE_CHECKING:
    from .compat import MIPSimilarity, Symile
    from .neutral import NeutralVectors, missing_groups
    from .objective import BatchShape, Objective
    from .objectives.anchor import AnchorLoss
    from .objectives.clip import ClipLoss, pairwise_clip_loss
    from .objectives.confu import ConfuLoss
    from .objectives.gated import GatedSymileLoss
    from .objectives.gram import GramLoss
    from .objectives.gram_masked import MaskedGramLoss
    from .objectives.pmrl import PmrlLoss
    from .objectives.sigmoid_mip import SigmoidMipLoss
    from .objectives.simplex import SimplexLoss
    from .objectives.symile import SymileLoss, symile_loss
    from .objectives.symile_neutral import NeutralSymileLoss
    from .objectives.symile_pair import SymilePairLoss
    from .objectives.symile_subset import SubsetSymileLoss
    from .objectives.triangle import TriangleLoss
    from .similarity import PairwiseSimilarity, SymileSimilarity, mip_scores, pairwise_scores

__all__ = [
    "MIP_SCALES",
    "NEGATIVES",
    "OBJECTIVES",
    "AnchorLoss",
    "BatchShape",
    "ClipLoss",
    "ConfuLoss",
    "GatedSymileLoss",
    "GramLoss",
    "MIPSimilarity",
    "MaskedGramLoss",
    "NeutralSymileLoss",
    "NeutralVectors",
    "Objective",
    "PairwiseSimilarity",
    "PmrlLoss",
    "SigmoidMipLoss",
    "SimplexLoss",
    "SubsetSymileLoss",
    "Symile",
    "SymileLoss",
    "SymilePairLoss",
    "SymileSimilarity",
    "TriangleLoss",
    "all_objectives",
    "find_objective",
    "make_objective",
    "mip_scores",
    "missing_groups",
    "pairwise_clip_loss",
    "pairwise_scores",
    "register",
    "symile_loss",
]

_NAMES_BY_MODULE = {
    "compat": ("MIPSimilarity", "Symile"),
    "neutral": ("NeutralVectors", "missing_groups"),
    "objectives.anchor": ("AnchorLoss",),
    "objectives.sigmoid_mip": ("SigmoidMipLoss",),
    "objectives.gram": ("GramLoss",),
    "objectives.triangle": ("TriangleLoss",),
    "objectives.simplex": ("SimplexLoss",),
    "objectives.pmrl": ("PmrlLoss",),
    "objectives.confu": ("ConfuLoss",),
    "objectives.gated": ("GatedSymileLoss",),
    "objectives.gram_masked": ("MaskedGramLoss",),
    "objectives.symile_subset": ("SubsetSymileLoss",),
    "objectives.symile_neutral": ("NeutralSymileLoss",),
    "objectives.symile_pair": ("SymilePairLoss",),
    "objective": (
        "BatchShape",
        "Objective",
    ),
    "objectives.clip": ("ClipLoss", "pairwise_clip_loss"),
    "objectives.symile": ("SymileLoss", "symile_loss"),
    "similarity": ("PairwiseSimilarity", "SymileSimilarity", "mip_scores", "pairwise_scores"),
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra("losses", "computing a loss"):
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
