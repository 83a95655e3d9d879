"""The table of bundled datasets, one row each, and what each is trained with where nobody says otherwise."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symile_data.datasets import M3, MIMIC, PID, XOR
from symile_data.datasets.m3.keys import KEYS
from symile_data.errors import DamageError, UsageError
from symile_data.format.kinds.registry import Registry, load
from symile_data.losses.objectives import COMPARED, COMPARED_WITH_KEYS

if TYPE_CHECKING:
    from symile_data.format.manifest import Manifest
    from symile_data.format.verify import Invariants


@dataclass(frozen=True, kw_only=True)
class BundledDataset:
    """One dataset that can be built. Code is named as "module:attribute", so that the table imports nothing.

    Args:
        name: Name of the dataset in the manifest.
        invariants: Name of the class that takes the manifest and checks the rows.
        config: Name of the config that suits it on a CPU.
        features_config: Name of the config for features of frozen encoders in place of its media; "" for none.
    """

    name: str
    invariants: str
    config: str
    features_config: str = ""


@dataclass(frozen=True, kw_only=True)
class OwnDataset:
    """What is known of a dataset from outside the package, beyond what its manifest says.

    Args:
        invariants: Class that takes the manifest and checks the rows in every verification (see
            `symile_data.format.verify.Invariants`), or its name as "module:Class"; None checks what holds for any
            dataset.
        config: Name of a bundled config, or path of a TOML file, that `train` takes where none is named. A package
            gives the whole path, since commands run in any directory.
    """

    invariants: Any = None
    config: str = ""


_BUNDLED = (
    BundledDataset(
        name=M3,
        invariants="symile_data.datasets.m3.invariants:M3Invariants",
        config="m3-small",
        features_config="m3-frozen",
    ),
    BundledDataset(
        name=MIMIC,
        invariants="symile_data.datasets.mimic.invariants:MimicInvariants",
        config="mimic-small",
        features_config="mimic-frozen",
    ),
    BundledDataset(name=PID, invariants="symile_data.datasets.pid.invariants:PidInvariants", config="pid"),
    BundledDataset(name=XOR, invariants="symile_data.datasets.xor.invariants:XorInvariants", config="xor"),
)
DATASETS = {dataset.name: dataset for dataset in _BUNDLED}
_KEYS_CONFIG = "m3-keys"  # for Symile-M3 with keys
_VECTORS_CONFIG = "pid-vectors"  # for PID data all of whose modalities are vectors

OWN = Registry("symile_data.datasets", "dataset", OwnDataset, DATASETS)


def register_dataset(name: str, dataset: OwnDataset) -> None:
    """Add a dataset from outside the package, for this process; a package declares an entry point instead.

    Args:
        name: Its name in the manifest, as given to `write_dataset`.
        dataset: Its rules and its default config.

    Raises:
        UsageError: the name is taken, or is not a lower-case letter followed by such letters, digits, - and _.
    """
    OWN.register(name, dataset)


def invariants_of(manifest: Manifest) -> Invariants | None:
    """Return the row checks of a dataset, or None for a custom dataset without any.

    Raises:
        DamageError: the settings in the manifest do not belong to the dataset that it names.
    """
    name = manifest.identity.dataset
    known = DATASETS.get(name) or OWN.find(name)
    if known is None or known.invariants is None:
        return None
    try:
        invariants: Invariants = load(known.invariants)(manifest)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DamageError(
            f"the manifest's settings are not those of a dataset called {name}", got=error, do="build it again"
        ) from None
    return invariants


def default_config(dataset: str, kinds: Collection[str] = (), modalities: Collection[str] = ()) -> str:
    """Return the name of the config that suits a dataset on a CPU.

    Args:
        dataset: Name of the dataset.
        kinds: Kinds of its modalities.
        modalities: Their names.

    Raises:
        UsageError: the dataset has no default config.
    """
    bundled, own = DATASETS.get(dataset), OWN.find(dataset)
    config = ""
    if bundled is not None:
        config = _bundled_config(bundled, kinds, modalities)
    elif own is not None:
        config = own.config
    if not config:
        raise UsageError("there is no default config for this dataset", got=dataset, do="name one with `config`")
    return config


def _bundled_config(dataset: BundledDataset, kinds: Collection[str], modalities: Collection[str]) -> str:
    if "features" in kinds:
        return dataset.features_config
    if _has_keys(dataset.name, modalities):
        return _KEYS_CONFIG
    return _VECTORS_CONFIG if dataset.name == PID and set(kinds) == {"vector"} else dataset.config


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
    return dataset == M3 and not KEYS.keys().isdisjoint(modalities)
