"""Rows of a split in which a modality is misaligned or noisy, and the accuracies of these and of the other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from symile_data.evaluation.embeddings import Embeddings
    from symile_data.evaluation.retrieval import Retrieval
    from symile_data.loaders import Split

    from .training_data import TrainingData


def affected_rows(split: Split) -> npt.NDArray[np.bool_]:
    """(N,) bool: rows in which a modality is misaligned or noisy by the columns of the build."""
    names = [f"{modality.name}_{what}" for modality in split.modalities for what in ("misaligned", "noisy")]
    flags = [name for name in names if name in split.columns]
    affected = np.zeros(split.rows, dtype=bool)
    if flags:
        table = split.read_all(flags)
        for name in flags:
            affected |= np.asarray(table[name].to_numpy()).astype(bool)
    return affected


def accuracies_apart(data: TrainingData, split: str, embedded: Embeddings, retrieval: Retrieval) -> dict[str, float]:
    """Compute the retrieval accuracy of clean and of affected rows apart; all rows are candidates of both.

    Args:
        data: The dataset.
        split: Name of the split.
        embedded: The split's complete rows, in file order.
        retrieval: The protocol.

    Returns:
        "rows_clean", "accuracy_clean", "rows_affected" and "accuracy_affected"; an accuracy is left out where there are
        no such rows, and everything where no row of the split is affected.
    """
    import torch

    from symile_data.evaluation.retrieval import query_rows, ranks_of

    opened = data.split(split)
    affected = affected_rows(opened)
    if not affected.any():
        return {}
    masks = opened.read_all([modality.mask for modality in opened.modalities])
    complete = ~np.any([np.asarray(masks[name].to_numpy()).astype(bool) for name in masks.column_names], axis=0)
    hits = ranks_of(embedded, retrieval).hits()
    of_queries = affected[complete][query_rows(embedded, retrieval).numpy()]
    found: dict[str, float] = {}
    for name, chosen in (("clean", ~of_queries), ("affected", of_queries)):
        found[f"rows_{name}"] = int(chosen.sum())
        if chosen.any():
            found[f"accuracy_{name}"] = hits[torch.from_numpy(chosen)].mean().item()
    return found
