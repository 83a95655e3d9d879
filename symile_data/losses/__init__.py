"""Contrastive losses over any number of modalities, and the similarities that retrieval ranks by.

`symile_loss` and `SymileLoss` are the multilinear (Symile) loss, `pairwise_clip_loss` and `ClipLoss` the sum of
pairwise CLIP losses; `mip_scores` and `pairwise_scores` are what each of them ranks candidates by. `Symile` and
`MIPSimilarity` take the same arguments as the classes of the public package `symile`. `NeutralVectors` stands in for
modalities that are missing.
"""

from symile_data.extras import needs_extra

with needs_extra("train", "symile_data.losses"):
    from symile_data.losses.objectives.clip import ClipLoss, pairwise_clip_loss
    from symile_data.losses.objectives.symile import NEGATIVES, SymileLoss, symile_loss

    from .compat import MIPSimilarity, Symile
    from .inputs import MIP_SCALES
    from .neutral import NeutralVectors, missing_groups
    from .similarity import PairwiseSimilarity, SymileSimilarity, mip_scores, pairwise_scores

__all__ = [
    "MIP_SCALES",
    "NEGATIVES",
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
