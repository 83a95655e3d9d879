"""Symile-M3 in memory, for trials: the features of frozen encoders, made once for each dataset, and the texts.

As in the config m3-small, small encoders are pretrained on labels of the training split and frozen; each epoch gives a
training row new distractor words, by the dataset's own rule, and another image of its class and audio of its language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from symile_data.datasets.m3.ceilings import RANDOM, TEXT_READERS
from symile_data.datasets.m3.unreliable import misaligned_accuracy
from symile_data.datasets.m3.words import WordRule
from symile_data.encoders import DataDescription, make_encoder
from symile_data.encoders.text import vocabulary_of
from symile_data.errors import UsageError
from symile_data.evaluation.embeddings import label_numbers
from symile_data.evaluation.retrieval import random_candidate
from symile_data.experiments.objective_plan import MISALIGNED, MISSING, NOISY, Point, Recipe
from symile_data.loaders.redraw_words import WordRedraw, collect_words
from symile_data.misalignment import shown_rows
from symile_data.missingness import missing
from symile_data.rng import Stream, below

from .training import BAYES_AFFECTED, Batch, Rows, missing_identity, row_order

if TYPE_CHECKING:
    from symile_data.training.config import TrainConfig
    from symile_data.workflows.training_data import TrainingData

CONFIG = "m3-small"
FEATURES = "features.pt"

_TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class M3Data:
    """A dataset whose features are made for trials.

    Args:
        directory: Holds `data/`, the dataset, `pretrained.pt` and `features.pt`.
        languages: 2, 5 or 10.
        rows: Split -> number of rows.
    """

    directory: Path
    languages: int
    rows: Mapping[str, int]


def prepare(data: M3Data) -> None:
    """Build the dataset, pretrain its encoders and keep the features of all rows, or finish what is not there yet.

    Raises:
        OutputError: the directory holds a dataset of other rows.
    """
    from symile_data.training.checkpoints import load_file, save_file
    from symile_data.training.config import read_config
    from symile_data.training.run import pretrained_weights
    from symile_data.workflows.paper.m3_trials import build_dataset
    from symile_data.workflows.training_data import TrainingData

    build_dataset(data.languages, data.rows, None, data.directory / "data", 1)
    opened, config = TrainingData(data.directory / "data"), read_config(CONFIG)
    key = [opened.manifest.identity.fingerprint, config.to_json()]
    path = data.directory / FEATURES
    if path.is_file() and load_file(path).get("key") == _key(key):
        return
    opened.check(config)
    info = opened.run_info(config)
    weights = pretrained_weights(info, data.directory, partial(opened.pretrained, config))
    save_file({"key": _key(key), **_features(opened, config, weights)}, path)


def _key(value: Any) -> str:
    from symile_data.files import digest

    return digest(value)


def _features(data: TrainingData, config: TrainConfig, weights: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Any]:
    """Collect what trials need, as tensors, lists and numbers."""
    from symile_data.evaluation.retrieval import Protocol
    from symile_data.workflows.bounds import ceilings_of

    module = data.run_info(config).make_module(weights)
    splits: dict[str, dict[str, Any]] = {}
    for split in ("train", "validation", "test"):
        batches = list(data.encoded(module, split, (config.label, *config.resample_within_class.values())))
        columns: dict[str, Any] = {}
        for name in (*module.names, "sample_id", config.label, *config.resample_within_class.values()):
            parts = [batch[name] for batch in batches]
            whole = isinstance(parts[0], Tensor)
            columns[name] = torch.cat(parts) if whole else [value for part in parts for value in part]
        splits[split] = columns
    words = collect_words(data.split("train"), 0)
    return {
        "names": list(module.names),
        "target": config.target,
        "label": config.label,
        "resampled": dict(config.resample_within_class),
        "splits": splits,
        "rule": {name: getattr(words.rule, name) for name in ("words", "classes", "languages", "mode")},
        "vocabulary": words.vocabulary.tolist(),
        "target_class": torch.tensor(words.target_class),
        "target_language": torch.tensor(words.target_language),
        "ceilings": ceilings_of(data, "test", Protocol(target=config.target), config.label),
    }


class M3Task:
    """Find the image of a row's class from its text and audio, among the rows of the test split.

    Args:
        point: How modalities are unreliable: missing or misaligned.
        data: Prepared before by `prepare`.

    Raises:
        UsageError: modalities are noisy, for which features of noisy media would be needed.
    """

    def __init__(self, point: Point, data: M3Data) -> None:
        if point.rate and point.unreliable == NOISY:
            raise UsageError("features of Symile-M3 are missing or misaligned", got=point.unreliable)
        self._saved = _loaded(data.directory / FEATURES)
        self._point = point
        self.names: list[str] = self._saved["names"]
        self.target: str = self._saved["target"]
        rates = point.rates(self.names)
        self._missing = rates if point.unreliable == MISSING else {}
        self._misaligned = rates if point.unreliable == MISALIGNED else {}

    def identity(self) -> Any:
        """Return what decides the data, JSON-like."""
        misaligned = [{"misaligned": self._misaligned}] if self._misaligned else []
        return [self._saved["key"], missing_identity(self._point, self.names), *misaligned]

    def encoders(self, recipe: Recipe, imputed: bool) -> list[nn.Module]:
        """Make a linear head for each modality of features and word vectors for texts; see `Task`."""
        return [self._encoder(name, recipe, imputed and bool(self._missing)) for name in self.names]

    def _encoder(self, name: str, recipe: Recipe, filled: bool) -> nn.Module:
        values = self._saved["splits"]["train"][name]
        if name == _TEXT:
            return make_encoder("text", recipe.dim, {}, DataDescription(vocabulary=vocabulary_of(values)))
        description = DataDescription(size=values.shape[1], imputed=filled)
        encoder = make_encoder(
            "features", recipe.dim, {"dropout": recipe.dropout, "learned_indicator": True}, description
        )
        if filled:
            present = ~self._absent()[:, self.names.index(name)]
            encoder.imputation.mean.copy_(values[present].mean(dim=0))  # type: ignore[union-attr, operator]
        return encoder

    def batches(self, rows: int, seed: int) -> Iterator[Batch]:
        """Yield batches of training rows with redrawn words, images and audios; see `Task`."""
        train = self._saved["splits"]["train"]
        count = len(train["sample_id"])
        absent = self._absent() if self._missing else None
        words, ids = self._words(seed), train["sample_id"].numpy()
        classes = {name: label_numbers(train[label]).numpy() for name, label in self._saved["resampled"].items()}
        shown = {name: self._shown("train", name) for name in self.names}
        chosen: dict[str, Tensor] = {}
        texts: npt.NDArray[np.object_] = np.empty(0, dtype=object)
        known = -1
        for epoch, index in row_order(count, rows, seed):
            if epoch != known:
                known = epoch
                texts = words.texts(epoch, np.arange(count), ids)
                for name, labels in classes.items():
                    uniform = Stream(seed, f"objectives/resample/{name}/{epoch}").rows(0, count, 1)[:, 0]
                    chosen[name] = torch.from_numpy(resampled(labels, uniform))
            values: list[Any] = []
            for m, name in enumerate(self.names):
                rows_shown = shown[name][index]
                if name == _TEXT:
                    away = np.zeros(len(index), dtype=bool) if absent is None else absent[index, m].numpy()
                    values.append([None if gone else text for text, gone in zip(texts[rows_shown], away, strict=True)])
                else:
                    values.append(train[name][chosen[name][rows_shown] if name in chosen else rows_shown])
            yield Batch(values=values, missing=None if absent is None else absent[index])

    def held_out(self, split: str, affected: bool = False) -> Rows:
        """Return the rows of a split, labelled by the class of the image that they show; see `Task`."""
        columns = self._saved["splits"][split]
        labels = label_numbers(columns[self._saved["label"]])
        if not affected:
            return Rows(values=[columns[name] for name in self.names], labels=labels)
        shown = {name: self._shown(split, name) for name in self.names}
        values = [
            [columns[name][row] for row in shown[name]] if name == _TEXT else columns[name][shown[name]]
            for name in self.names
        ]
        return Rows(values=values, labels=labels[shown[self.target]])

    def references(self) -> Mapping[str, float]:
        """Return what the text alone allows, and a random candidate; text and audio together tell the class."""
        ceilings = {name: value for name, value in self._saved["ceilings"].items() if name in TEXT_READERS[:1]}
        found = {"bayes": 1.0, **ceilings, RANDOM: random_candidate(self.held_out("test").labels)}
        if self._misaligned:
            rule = self._saved["rule"]
            image, audio, text = (self._misaligned.get(name, 0.0) for name in (self.target, "audio", _TEXT))
            found[BAYES_AFFECTED] = misaligned_accuracy(rule["words"], rule["classes"], image, text, [audio])
        return found

    def _shown(self, split: str, name: str) -> Tensor:
        """(N,) int64: the row of a split whose value each row shows; the same for all seeds."""
        ids = self._saved["splits"][split]["sample_id"].numpy()
        places = np.arange(len(ids))
        return torch.from_numpy(shown_rows(0, ids, places, name, self._misaligned.get(name, 0.0), len(ids)).places)

    def _absent(self) -> Tensor:
        """(N, M) bool, the modalities that are taken away from the training rows; the same for all seeds."""
        ids = self._saved["splits"]["train"]["sample_id"].numpy()
        masks = [missing(0, ids, name, self._missing.get(name, 0.0), "load") for name in self.names]
        return torch.from_numpy(np.stack(masks, axis=1))

    def _words(self, seed: int) -> WordRedraw:
        saved = self._saved
        return WordRedraw(
            seed=seed,
            rule=WordRule(**saved["rule"]),
            vocabulary=np.array(saved["vocabulary"], dtype=object),
            target_class=saved["target_class"].numpy(),
            target_language=saved["target_language"].numpy(),
        )


def resampled(labels: npt.NDArray[np.int64], uniform: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Choose for each row a row of the same label, uniformly.

    Args:
        labels: (N,) labels of the rows.
        uniform: (N,) numbers in [0, 1).

    Returns:
        (N,) row numbers.

    >>> resampled(np.array([7, 3, 7]), np.array([0.9, 0.5, 0.1])).tolist()
    [2, 1, 0]
    """
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    first, last = (np.searchsorted(ordered, labels, side=side) for side in ("left", "right"))
    chosen: npt.NDArray[np.int64] = order[first + below(uniform, last - first)]
    return chosen


@lru_cache(maxsize=4)
def _loaded(path: Path) -> dict[str, Any]:
    """Read the features of a dataset once in each process."""
    from symile_data.training.checkpoints import load_file

    return load_file(path)
