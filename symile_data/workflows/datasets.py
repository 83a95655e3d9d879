"""The table of bundled datasets, one row each, and what each is trained with where nobody says otherwise."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    """

    name: str
    invariants: str


@dataclass(frozen=True, kw_only=True)
class OwnDataset:
    """What is known of a dataset from outside the package, beyond what its manifest says.

    Args:
        invariants: Class that takes the manifest and checks the rows in every verification (see
            `symile_data.format.verify.Invariants`), or its name as "module:Class"; None checks what holds for any
            dataset.
        config: Name of a bundled config, or path of a TOML file, that `train` takes where none is named.
    """

    invariants: Any = None
    config: str = ""


DATASETS = {
    builder.name: builder
    for builder in (
        BundledDataset(name="symile-m3", invariants="symile_data.datasets.m3.invariants:M3Invariants"),
        BundledDataset(name="symile-mimic", invariants="symile_data.datasets.mimic.invariants:MimicInvariants"),
        BundledDataset(name="pid", invariants="symile_data.datasets.pid.invariants:PidInvariants"),
        BundledDataset(name="xor", invariants="symile_data.datasets.xor.invariants:XorInvariants"),
    )
}


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
    own = OWN.find(dataset)
    if own is not None and own.config:
        return own.config
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
