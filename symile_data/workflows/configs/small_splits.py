"""Fit a config to a dataset with few training rows, and say which of its settings do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from symile_data.errors import UsageError
from symile_data.progress.amounts import counted

if TYPE_CHECKING:
    from symile_data.training.config import TrainConfig

    from ..training_data import TrainingData

_LEAST_BATCHES = 4  # of an epoch of a fitted config
_LEAST_ROWS = 2  # of a batch, as one row has no negatives
_BATCHES = ("batch_size", "pretrain.batch_size")
_WORDS = "redraw_words"


def bounded_batch(size: int, rows: int) -> int:
    """Return the rows of a batch: `size`, or the largest power of two of which an epoch has four where it is less.

    >>> [bounded_batch(256, rows) for rows in (8_000, 1_000, 300, 200, 5)]
    [256, 128, 64, 32, 2]
    >>> bounded_batch(1_000, 400)
    64
    """
    if size * _LEAST_BATCHES <= rows:
        return size
    return min(size, max(1 << (rows // _LEAST_BATCHES).bit_length() >> 1, _LEAST_ROWS))


def fitted_settings(batches: Mapping[str, int], rows: int, *, words_fit: bool) -> dict[str, Any]:
    """Return the settings that a dataset with few rows needs in place of a config's.

    Args:
        batches: Setting -> rows of a batch.
        rows: Rows of the training split.
        words_fit: Whether the config redraws no words, or the split has words enough for it.

    >>> fitted_settings({"batch_size": 256, "pretrain.batch_size": 64}, 300, words_fit=False)
    {'batch_size': 64, 'redraw_words': False}
    """
    bounded = {name: bounded_batch(size, rows) for name, size in batches.items()}
    changed: dict[str, Any] = {name: size for name, size in bounded.items() if size != batches[name]}
    return changed if words_fit else {**changed, _WORDS: False}


def small_build_settings(data: TrainingData, config: TrainConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in which the default config of a dataset yields to its few training rows.

    Args:
        data: The dataset.
        config: Its default config.
        given: Settings that somebody chose, by name, which stay as they are.
    """
    chosen = {*given, *(_BATCHES[1:] if "pretrain" in given else ())}
    batches = {name: size for name, size in _batches(config).items() if name not in chosen}
    words_fit = _WORDS in chosen or words_problem(data, config) is None
    fitted = fitted_settings(batches, data.manifest.splits.get("train", 0), words_fit=words_fit)
    return fitted if {"candidates", "target"} & chosen else {**fitted, **_own_candidates(data, config)}


def set_sizes(data: TrainingData, split: str, column: str) -> list[int]:
    """Return the sizes of the sets of candidates in a column of a split, each once."""
    sets = data.split(split).read_all([column])[column].combine_chunks().drop_null()
    sizes: list[int] = pc.unique(pc.list_value_length(sets)).to_pylist()
    return sizes


def _own_candidates(data: TrainingData, config: TrainConfig) -> dict[str, int]:
    """Return the size of the dataset's own sets of candidates, where they all have one that is not the config's."""
    held_out = [split for split in ("validation", "test") if data.manifest.splits.get(split)]
    columns = {split: data.candidate_columns(config.candidates, split, config.target) for split in held_out}
    sizes = {size for split, names in columns.items() for name in names for size in set_sizes(data, split, name)}
    return {"candidates": sizes.pop()} if len(sizes) == 1 and sizes != {config.candidates} else {}


def bounded_batches(config: TrainConfig, rows: int) -> dict[str, Any]:
    """Return the sizes of batches in which a config yields to a training split of so few rows."""
    return fitted_settings(_batches(config), rows, words_fit=True)


def words_problem(data: TrainingData, config: TrainConfig) -> UsageError | None:
    """Return why the words of the training split cannot be redrawn, or None where they can or need not."""
    from symile_data.loaders.redraw_words import check_words

    if not config.redraw_words:
        return None
    try:
        check_words(data.split("train"), config.epochs)
    except UsageError as error:
        return error
    return None


def check_small(data: TrainingData, config: TrainConfig) -> None:
    """See that the training split has rows for a batch of each kind and words to redraw.

    Raises:
        UsageError: it has not; the message names every setting that does not fit, and values that do.
    """
    rows = data.manifest.splits.get("train", 0)
    large = {name: size for name, size in _batches(config).items() if size > rows}
    problem = words_problem(data, config)
    wanted = fitted_settings(large, rows, words_fit=problem is None)
    if not wanted:
        return
    got = [counted(rows, "row"), *(f"{name} = {size}" for name, size in large.items())]
    if problem is not None:
        got.append(f"{_WORDS} = true: {problem.what}" + (f" ({problem.got})" if problem.got is not None else ""))
    fixes = " ".join(f"`{name}={str(value).lower()}`" for name, value in wanted.items())
    raise UsageError(
        "the config does not fit the training split",
        where=data.directory,
        got=", ".join(got),
        do=f"pass {fixes}, or build more rows",
    )


def _batches(config: TrainConfig) -> dict[str, int]:
    sizes = {_BATCHES[0]: config.batch_size}
    return sizes if config.pretrain is None else {**sizes, _BATCHES[1]: config.pretrain.batch_size}
