"""What a dataset is trained with where nobody says otherwise: its config, and the objectives that are compared."""

from __future__ import annotations

from collections.abc import Collection

from symile_data.datasets.m3.keys import KEYS
from symile_data.errors import UsageError
from symile_data.losses.objectives import COMPARED, COMPARED_WITH_KEYS


def default_config(dataset: str, kinds: Collection[str] = (), modalities: Collection[str] = ()) -> str:
    """Return the name of the config that suits a bundled dataset on a CPU.

    Args:
        dataset: Name of the dataset.
        kinds: Kinds of its modalities.
        modalities: Their names.

    Raises:
        UsageError: the dataset has no default config.
    """
    defaults = {"symile-m3": "m3-small", "symile-mimic": "mimic-small", "xor": "xor", "pid": "pid"}
    if "features" in kinds:  # of frozen encoders, in a dataset that keeps the name of the one that they come from
        defaults = {"symile-m3": "m3-frozen", "symile-mimic": "mimic-frozen"}
    if dataset == "pid" and set(kinds) == {"vector"}:
        return "pid-vectors"
    if "features" not in kinds and _has_keys(dataset, modalities):
        return "m3-keys"
    if dataset not in defaults:
        raise UsageError("there is no default config for this dataset", got=dataset, do="name one with `config`")
    return defaults[dataset]


def default_objectives(dataset: str, modalities: Collection[str] = ()) -> tuple[str, ...]:
    """Return the objectives that are compared on a dataset: what the paper compares, or what suits four and more
    modalities of Symile-M3.

    Args:
        dataset: Name of the dataset.
        modalities: Names of its modalities.

    >>> default_objectives("xor"), default_objectives("symile-m3", ["image", "audio", "text", "symbol"])
    (('symile', 'clip'), ('symile-pair', 'clip'))
    """
    return COMPARED_WITH_KEYS if _has_keys(dataset, modalities) else COMPARED


def _has_keys(dataset: str, modalities: Collection[str]) -> bool:
    return dataset == "symile-m3" and not KEYS.keys().isdisjoint(modalities)
