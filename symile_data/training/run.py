"""A run directory: what a run is (`run.json`), its pretrained encoders, its weights, and reading them back.

It holds `run.json`, `last.ckpt`, `best.ckpt` (by validation accuracy), `best-loss.ckpt` (by validation loss), logs in
`log/` and, when done, `metrics.json`, `curves.png`. `pretrained.pt` lies in it or beside the runs that share it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch

from symile_data.errors import DamageError, OutputError, no_directory
from symile_data.files import atomic_path, canonical_json, digest, pretty_json, write_text
from symile_data.records import read_json, record
from symile_data.schema import Modality
from symile_data.training.config import TrainConfig
from symile_data.training.module import SymileModule

RUN_FILE, LAST, PRETRAINED = "run.json", "last.ckpt", "pretrained.pt"
BEST = {"val_accuracy": "best.ckpt", "val_loss": "best-loss.ckpt"}  # by what it is the best

Weights = Mapping[str, Mapping[str, torch.Tensor]]


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What a run needs beside its weights to be used again.

    Args:
        config: Of the run.
        dataset: The dataset's name.
        fingerprint: Of the dataset; a run belongs to it.
        location: Where the dataset was, relative to the working directory or absolute, as given.
        modalities: Of the dataset.
        vocabularies: Words of each text modality.
        sizes: Length of the vectors of each modality of vectors.
    """

    config: TrainConfig
    dataset: str
    fingerprint: str
    location: str
    modalities: tuple[Modality, ...]
    vocabularies: Mapping[str, Sequence[str]]
    sizes: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As written to run.json."""
        return {
            "config": self.config.to_json(),
            "dataset": self.dataset,
            "fingerprint": self.fingerprint,
            "location": self.location,
            "modalities": [modality.to_json() for modality in self.modalities],
            "vocabularies": {name: list(words) for name, words in self.vocabularies.items()},
            "sizes": dict(self.sizes),
        }

    def make_module(self, pretrained: Weights | None = None) -> SymileModule:
        """The untrained module; its initial weights are those of the config's seed."""
        lightning.seed_everything(self.config.seed, verbose=False)
        return SymileModule(self.config, self.modalities, self.vocabularies, pretrained, self.sizes)


def read_run(directory: Path) -> RunInfo:
    """The record of a run directory.

    Raises:
        DamageError: it is none, or damaged.
    """
    path = directory / RUN_FILE
    try:
        return record(RunInfo, read_json(path))
    except (FileNotFoundError, NotADirectoryError):
        if not directory.is_dir():
            raise no_directory(directory, DamageError) from None
        raise DamageError("this is no run directory: it has no run.json", where=directory, do="train first") from None
    except (OSError, ValueError, TypeError) as error:
        raise DamageError("the record of a run is not readable", where=path, got=error) from None


def claim(directory: Path, info: RunInfo) -> None:
    """Write run.json, or check that the run already there is this one.

    Raises:
        OutputError: the directory holds another run.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / RUN_FILE
    if not path.is_file():
        write_text(path, pretty_json(info.to_json()))
        return
    there = read_run(directory)
    for name, mine, other in (
        ("dataset", info.fingerprint, there.fingerprint),
        ("config", canonical_json(info.config.to_json()), canonical_json(there.config.to_json())),
    ):
        if mine != other:
            raise OutputError(
                f"the run directory holds a run with another {name}",
                where=directory,
                do="choose another --out, or remove the directory",
            )


def pretrained_weights(info: RunInfo, directory: Path, make: Callable[[], Weights]) -> Weights:
    """The pretrained encoders of a run, made once and kept in `directory` (beside the runs that share them).

    Args:
        info: Of the run; the weights belong to its dataset, encoders, pretraining and seed.
        directory: Where `pretrained.pt` is or goes.
        make: Pretrains.

    Raises:
        DamageError: the file cannot be read.
    """
    config = info.config
    if config.pretrain is None:
        return {}
    settings = config.to_json()
    key = digest([info.fingerprint, *(settings[name] for name in ("pretrain", "encoders", "inputs", "seed", "dim"))])
    path = directory / PRETRAINED
    if path.is_file():
        saved = load_file(path)
        if saved["key"] == key:
            return dict(saved["weights"])
    weights = make()
    with atomic_path(path) as temporary:
        torch.save({"key": key, "weights": weights}, temporary)
    return weights


def load_module(directory: Path, select: str | None = None) -> SymileModule:
    """The trained module of a run, in evaluation mode.

    Args:
        directory: Of the run.
        select: Which best weights, "val_accuracy" or "val_loss"; the config's choice where not given.

    Raises:
        DamageError: there is no checkpoint, or it cannot be read.
    """
    info = read_run(directory)
    path = directory / BEST[select or info.config.select]
    if not path.is_file():
        raise DamageError("the run has no finished checkpoint yet", where=path, do="let the training finish")
    state = load_file(path)["state_dict"]
    names = [] if info.config.pretrain is None else list(info.config.pretrain.labels)
    module = info.make_module({name: _encoder_weights(state, name) for name in names})
    try:
        module.load_state_dict(state, strict=module.strict_loading)
    except RuntimeError:
        raise not_of_this_run(path) from None
    return module.eval()


def check_last(directory: Path, module: SymileModule) -> None:
    """See that the checkpoint to continue from, where there is one, is of this run.

    Raises:
        DamageError: it cannot be read, or its weights are those of other data or another config.
    """
    path = directory / LAST
    if not path.is_file():
        return
    there = {name: value.shape for name, value in load_file(path).get("state_dict", {}).items()}
    if there != {name: value.shape for name, value in module.state_dict().items()}:
        raise not_of_this_run(path)


def not_of_this_run(path: Path) -> DamageError:
    """The error of weights that the run's own model does not have."""
    return DamageError(
        "the checkpoint belongs to another dataset or config than the run that it lies in",
        where=path,
        do="put the run's own back, or remove the run and train it again",
    )


def load_file(path: Path) -> dict[str, Any]:
    """A file of weights.

    Raises:
        DamageError: it cannot be read.
    """
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise DamageError(
            "a file of weights cannot be read", where=path, got=type(error).__name__, do="remove it"
        ) from None
    return saved


def _encoder_weights(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    prefix = f"encoders.{name}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
