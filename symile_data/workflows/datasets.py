"""The table of bundled datasets, one row each. It is the only list of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from symile_data.errors import DamageError

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

    def load(self, reference: str) -> Any:
        """Import the object that "module:attribute" names."""
        module, _, attribute = reference.partition(":")
        return getattr(import_module(module), attribute)


DATASETS = {
    builder.name: builder
    for builder in (
        BundledDataset(name="symile-m3", invariants="symile_data.datasets.m3.invariants:M3Invariants"),
        BundledDataset(name="symile-mimic", invariants="symile_data.datasets.mimic.invariants:MimicInvariants"),
        BundledDataset(name="pid", invariants="symile_data.datasets.pid.invariants:PidInvariants"),
        BundledDataset(name="xor", invariants="symile_data.datasets.xor.invariants:XorInvariants"),
    )
}


def invariants_of(manifest: Manifest) -> Invariants | None:
    """Return the row checks of a dataset, or None for a custom dataset.

    Raises:
        DamageError: the settings in the manifest do not belong to the dataset that it names.
    """
    builder = DATASETS.get(manifest.identity.dataset)
    if builder is None:
        return None
    try:
        invariants: Invariants = builder.load(builder.invariants)(manifest)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DamageError(
            f"the manifest's settings are not those of a dataset called {builder.name}", got=error, do="build it again"
        ) from None
    return invariants
