"""Reference values for an accuracy on a dataset: a random candidate and, for Symile-M3 and PID data, the ceilings for
readers of some of the modalities, counted from the evaluated rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symile_data.datasets.m3.ceilings import REFERENCES, named_ceilings, subset_ceilings
from symile_data.datasets.m3.keys import KEYS
from symile_data.datasets.m3.word_rows import WordRows, WordRowsReader, columns_of
from symile_data.datasets.pid import ceilings as pid

from .affected import affected_rows
from .pid_rows import pid_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from symile_data.evaluation.retrieval import Protocol
    from symile_data.loaders import Split
    from symile_data.training.config import TrainConfig

    from .training_data import TrainingData

    BoolArray = npt.NDArray[np.bool_]

# Target -> columns by which a candidate is right and for which ceilings are known.
_LABELS = {
    "image": ("cls_id", "cls", "wnid"),
    "audio": ("lang",),
    "text": ("sample_id",),
    **{key.name: (key.label,) for key in KEYS.values()},
}
_MEDIA = ("image", "audio", "ecg")  # kinds whose values cannot be labels


def references(figures: Mapping[str, Any]) -> dict[str, float]:
    """Select the references among some figures, by name: the `REFERENCES` of the datasets' ceilings."""
    return {name: float(figures[name]) for name in (*pid.REFERENCES, *REFERENCES) if name in figures}


def ceilings_of(data: TrainingData, split: str, retrieval: Protocol, label: str) -> dict[str, float]:
    """Compute the ceilings of retrieval among the complete rows of a split; see `named_ceilings` of
    `datasets.m3.ceilings` and of `datasets.pid.ceilings`.

    Args:
        data: The dataset.
        split: Name of the split.
        retrieval: The protocol.
        label: Column by which a candidate is right.

    Returns:
        Name -> accuracy; empty where the dataset has no ceilings, those of this protocol are not known, or rows of the
        split are misaligned or noisy.
    """
    opened = data.split(split)
    return _ceilings(opened, _incomplete(opened), retrieval, label)


def subsets_of(data: TrainingData, split: str) -> dict[str, dict[str, float]]:
    """Compute the ceilings of every set of modalities among the complete rows of a split; empty where the dataset is
    neither Symile-M3 nor PID data. See `subset_ceilings` of `datasets.m3.ceilings` and of `datasets.pid.ceilings`.
    """
    opened = data.split(split)
    incomplete = _incomplete(opened)
    if affected_rows(opened).any():
        return {}
    if (found := pid_rows(opened, incomplete)) is not None:
        return pid.subset_ceilings(found.design, found.symbols)
    rows = _word_rows(opened, incomplete)
    return {} if rows is None else subset_ceilings(rows)


def validation_references(data: TrainingData, config: TrainConfig) -> dict[str, float]:
    """Compute the references of the rows on which a run validates; its validation curves show them."""
    from symile_data.datasets.m3.ceilings import RANDOM
    from symile_data.evaluation.retrieval import Protocol

    split = data.split("validation")
    incomplete = _incomplete(split, config.missingness if config.missingness_in_validation else 0.0, config.seed)
    retrieval = Protocol(target=config.target, candidates=config.candidates, seed=config.seed)
    random = _random_candidate(split, incomplete, config)
    return references({RANDOM: random} | _ceilings(split, incomplete, retrieval, config.label))


def _random_candidate(split: Split, incomplete: BoolArray, config: TrainConfig) -> float:
    import torch

    from symile_data.evaluation.embeddings import label_numbers
    from symile_data.evaluation.retrieval import random_candidate

    rows = int((~incomplete).sum())
    media = [modality.name for modality in split.modalities if modality.kind in _MEDIA]
    if config.candidates or not rows:
        return 1 / max(config.candidates, 1)
    if config.label in media or config.label not in split.columns:  # only the value of the row itself is right
        return 1 / rows
    labels = label_numbers(split.read_all([config.label])[config.label].to_pylist())
    return random_candidate(labels[torch.from_numpy(~incomplete)])


def _ceilings(split: Split, incomplete: BoolArray, retrieval: Protocol, label: str) -> dict[str, float]:
    if affected_rows(split).any():  # the ceilings are of rows whose modalities belong together
        return {}
    if (found := pid_rows(split, incomplete)) is not None:
        known, block = found.block_of(retrieval.target, label)
        known &= not retrieval.candidates
        return pid.named_ceilings(found.design, found.symbols, retrieval.target, block) if known else {}
    rows = _word_rows(split, incomplete) if label in _LABELS.get(retrieval.target, ()) else None
    if rows is None or (rows.keys and retrieval.candidates and retrieval.target != "image"):
        return {}
    return named_ceilings(rows, retrieval.target, _sets(rows, retrieval) if retrieval.candidates else None)


def _word_rows(split: Split, incomplete: BoolArray) -> WordRows | None:
    if not WordRowsReader.fits(split.schema):
        return None
    reader, start = WordRowsReader(), 0
    for table in split.tables(columns_of(split.schema)):
        reader.add(table, incomplete[start : start + len(table)])
        start += len(table)
    return reader.rows()


def _incomplete(split: Split, rate: float = 0.0, seed: int = 0) -> BoolArray:
    """(N,) bool: rows that lack a modality by the masks on disk, or in a loader with this missing rate and seed."""
    import numpy as np
    import pyarrow.compute as pc

    from symile_data.missingness import missing

    masks = [modality.mask for modality in split.modalities if modality.mask in split.columns]
    ids = ["sample_id"] if "sample_id" in split.columns else []
    table = split.read_all([*masks, *ids])
    incomplete = np.zeros(split.rows, dtype=bool)
    for name in masks:
        incomplete |= np.asarray(pc.fill_null(table[name], True)).astype(bool)
    numbers = table["sample_id"].to_numpy() if ids else np.arange(split.rows)
    for modality in split.modalities:
        incomplete |= missing(seed, numbers, modality.name, rate, "load")
    return incomplete


def _sets(rows: WordRows, retrieval: Protocol) -> npt.NDArray[np.int64]:
    """(N, K) int64: the sets of candidates that retrieval draws for these rows, by the labels of its target."""
    import torch

    from symile_data.evaluation.embeddings import Embeddings
    from symile_data.evaluation.retrieval import candidate_rows

    labels = rows.classes if retrieval.target == "image" else rows.languages
    return candidate_rows(Embeddings({}, torch.from_numpy(labels).long()), retrieval).numpy()
