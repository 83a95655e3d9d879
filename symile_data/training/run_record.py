"""The record of a run, `run.json`. It is read without torch, so that a command that is given no run says so at once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.errors import DamageError, UsageError, no_directory
from symile_data.format.schema import Modality
from symile_data.format.typed_json import read_json, record

from .config import TrainConfig, with_present_names

if TYPE_CHECKING:
    from torch import Tensor

    from .encoding import EncodingModule
    from .module import SymileModule
    from .supervised.module import SupervisedModule

RUN_FILE = "run.json"

Weights = Mapping[str, Mapping[str, "Tensor"]]


@dataclass(frozen=True, kw_only=True)
class FoldChoice:
    """The fold of a dataset on which a run is trained and tested.

    Args:
        file: Path of the file of folds as it was given.
        fold: The fold to test on, from 0.
        repeat: The repetition, from 0.
    """

    file: str
    fold: int
    repeat: int = 0


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """The record that makes the weights of a run usable again.

    Args:
        config: Config of the run.
        dataset: Name of the dataset.
        fingerprint: Fingerprint of the dataset to which the run belongs.
        location: Path of the dataset as it was given, relative to the working directory or absolute.
        modalities: Modalities of the dataset.
        vocabularies: Words of each text modality.
        sizes: Length of the vectors of each modality of vectors.
        folds: The fold whose splits the run has, None for the dataset's own splits.
        features: Names of the sets of features beside the dataset that stand in the place of what they encode.
        classes: Label that a supervised baseline predicts -> its classes, as texts.
    """

    config: TrainConfig
    dataset: str
    fingerprint: str
    location: str
    modalities: tuple[Modality, ...]
    vocabularies: Mapping[str, Sequence[str]]
    sizes: Mapping[str, int] = field(default_factory=dict)
    folds: FoldChoice | None = None
    features: tuple[str, ...] = ()
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record as written to run.json."""
        return {
            "config": self.config.to_json(),
            "dataset": self.dataset,
            "fingerprint": self.fingerprint,
            "location": self.location,
            "modalities": [modality.to_json() for modality in self.modalities],
            "vocabularies": {name: list(words) for name, words in self.vocabularies.items()},
            "sizes": dict(self.sizes),
            **({} if self.folds is None else {"folds": asdict(self.folds)}),
            **({"features": list(self.features)} if self.features else {}),
            "classes": {name: list(classes) for name, classes in self.classes.items()},
        }

    def make_module(self, pretrained: Weights | None = None) -> EncodingModule:
        """Make the untrained module, whose initial weights follow from the config's seed.

        Raises:
            UsageError: the modalities do not fit the config.
        """
        return self.make_symile(pretrained) if self.config.supervised is None else self.make_baseline(pretrained)

    def make_symile(self, pretrained: Weights | None = None) -> SymileModule:
        """Make the untrained module of an objective; see `make_module`."""
        import lightning

        from .module import SymileModule

        lightning.seed_everything(self.config.seed, verbose=False)
        return SymileModule(self.config, self.modalities, self.vocabularies, pretrained, self.sizes)

    def make_baseline(self, pretrained: Weights | None = None) -> SupervisedModule:
        """Make the untrained module of a supervised baseline; see `make_module`."""
        import lightning

        from .supervised.module import SupervisedModule

        lightning.seed_everything(self.config.seed, verbose=False)
        parts = (self.config, self.modalities, self.vocabularies, pretrained, self.sizes)
        return SupervisedModule(*parts, classes=self.classes)


def read_run(directory: Path) -> RunInfo:
    """Read the record of a run directory, also of one that an older version wrote.

    Raises:
        DamageError: the directory is not a run directory, or its record is damaged.
        UsageError: its config names an objective that is not registered here, or a setting is out of range.
    """
    path = directory / RUN_FILE
    try:
        value = read_json(path)
        if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # nobody edits a record
                value = {**value, "config": with_present_names(value["config"], str(path))}
        return record(RunInfo, value)
    except (FileNotFoundError, NotADirectoryError):
        if not directory.is_dir():
            raise no_directory(directory, DamageError) from None
        runs = sorted(path.parent.name for path in directory.glob(f"*/{RUN_FILE}"))
        raise DamageError(
            "this is not a run directory: it has no run.json",
            where=directory,
            do=f"give one of the runs in it: {', '.join(runs)}" if runs else "train first",
        ) from None
    except UsageError as error:
        raise UsageError(error.what, where=path, got=error.got, do=error.do) from None
    except (OSError, ValueError, TypeError) as error:
        raise DamageError("the record of a run is not readable", where=path, got=error) from None
