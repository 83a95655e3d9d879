"""Choose the configs of a training: a dataset's default, fitted to few rows, or an error that names what fits."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symile_data.errors import UsageError

from ..datasets import default_config

if TYPE_CHECKING:
    from symile_data.training.config import TrainConfig

    from ..training_data import TrainingData

_PAGE = "docs/own-data.md#train-on-it"
_PAPER = "paper-"  # configs of the paper's sizes, which suit no small dataset
_OWN_ROW = "sample_id"  # label by which only the row itself is right


@dataclass(frozen=True, kw_only=True)
class ChosenConfigs:
    """The configs of the runs of a training.

    Args:
        name: Name or path of the config that they come from.
        fitted: Setting -> value in which the dataset's default config yields to its few training rows.
        by_run: Name of the run -> its config.
    """

    name: str
    fitted: Mapping[str, Any]
    by_run: Mapping[str, TrainConfig]


def choose_configs(
    data: TrainingData, name: str | None, overrides: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]]
) -> ChosenConfigs:
    """Make the configs of several runs on one dataset.

    Args:
        data: The dataset.
        name: A named config or the path of a TOML file; None takes the default of the dataset, fitted to its rows.
        overrides: Setting -> value for all runs; it takes precedence over the config and the fitting.
        variants: Name of the run -> the settings in which it differs.

    Raises:
        UsageError: the dataset has no default config, or a config or setting is unknown or out of range.
    """
    from symile_data.training.config import read_config

    from .small_splits import small_build_settings

    modalities = [modality.name for modality in data.manifest.modalities]
    fitted: dict[str, Any] = {}
    if name is None:
        name = config_for(data)
        fitted = small_build_settings(data, read_config(name, overrides).fitted(modalities), overrides)
    configs = {
        run: read_config(name, {**fitted, **overrides, **own}).fitted(modalities) for run, own in variants.items()
    }
    return ChosenConfigs(name=name, fitted=fitted, by_run=configs)


def config_for(data: TrainingData) -> str:
    """Return the name of the default config of a dataset.

    Raises:
        UsageError: the dataset has none, as data of one's own; the error names the bundled configs that fit.
    """
    modalities = data.manifest.modalities
    dataset = data.manifest.identity.dataset
    with contextlib.suppress(UsageError):
        return default_config(dataset, [m.kind for m in modalities], [m.name for m in modalities])
    changes = {"target": modalities[0].name, "label": _OWN_ROW}
    ways = [f"give `config={' or '.join(names)}`" for names in [fitting_configs(data)] if names]
    changed = [name for name in fitting_configs(data, changes) if not ways or name not in ways[0]]
    if changed:
        settings = " ".join(f"--set {name}={value}" for name, value in changes.items())
        ways.append(f"give `config={' or '.join(changed)}` with {settings}")
    ways.append(f"write a config for it ({_PAGE}) and give its path with `config`")
    raise UsageError(
        "there is no default config for this dataset",
        where=data.directory,
        got=f"{dataset} of {', '.join(f'{m.name} ({m.kind})' for m in modalities)}",
        do="; or ".join(ways),
    )


def fitting_configs(data: TrainingData, changes: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of the bundled configs that can be trained on a dataset, sorted; the paper's are left out.

    A config fits where it sets an encoder of a kind that the dataset has, and the dataset has the modalities and
    columns that the config names and enough rows for its batches.

    Args:
        data: The dataset.
        changes: Setting -> value, in place of the config's.
    """
    from symile_data.training.config import named_configs

    return [name for name in named_configs() if not name.startswith(_PAPER) and _fits(data, name, changes or {})]


def _fits(data: TrainingData, name: str, changes: Mapping[str, str]) -> bool:
    from symile_data.training.config import read_config

    config = read_config(name, changes)
    if config.encoders.keys().isdisjoint(modality.kind for modality in data.manifest.modalities):
        return False
    try:
        data.check(config)
    except UsageError:
        return False
    return True
