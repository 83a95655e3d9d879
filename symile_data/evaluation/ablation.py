"""Ablation: the same retrieval with the values of one query modality at a time permuted among rows.

On Symile-M3 a model that uses all modalities falls to the ceiling of the text alone when the audio is shuffled (the
text still names some of the candidates' classes; see `datasets.m3.ceilings`), and lower when the texts are shuffled.
"""

from __future__ import annotations

import torch

from .embeddings import Embeddings
from .retrieval import Retrieval, retrieval_accuracy

SHUFFLED = "shuffled_"  # before the name of a modality in results
_REPEATS = 5  # number of averaged permutations, since a single one of a thousand rows is noisy


def ablate(embedded: Embeddings, retrieval: Retrieval, seed: int = 0) -> dict[str, float]:
    """Compute the accuracy with each query modality permuted among rows, averaged over five permutations.

    Args:
        embedded: The rows.
        retrieval: The protocol.
        seed: Seed of the permutations.

    Returns:
        "shuffled_<modality>" for every modality but the target.
    """
    result = {}
    generator = torch.Generator().manual_seed(seed)
    for modality in embedded.values:
        if modality != retrieval.target:
            repeats = [retrieval_accuracy(embedded.shuffled(modality, generator), retrieval) for _ in range(_REPEATS)]
            result[f"{SHUFFLED}{modality}"] = sum(repeats) / _REPEATS
    return result
