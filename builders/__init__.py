"""Builders: from a source (pictures, speech, names, clinical tables) to a dataset on disk.

One folder per dataset; `DATASETS` is the only list of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from symile_data.errors import DamageError

if TYPE_CHECKING:
    from symile_data.manifest import Manifest
    from symile_data.verify import Invariants


@dataclass(frozen=True, kw_only=True)
class DatasetBuilder:
    """One dataset that can be built, named as "module:attribute" so that listing them imports nothing.

    Args:
        name: As in the manifest.
        invariants: Class that takes the manifest and checks the rows.
    """

    name: str
    invariants: str

    def load(self, reference: str) -> Any:
        """Import what a "module:attribute" names."""
        module, _, attribute = reference.partition(":")
        return getattr(import_module(f"{__name__}.{module}"), attribute)


DATASETS = {
    builder.name: builder
    for builder in (
        DatasetBuilder(name="symile-m3", invariants="m3.invariants:M3Invariants"),
        DatasetBuilder(name="symile-mimic", invariants="mimic.invariants:MimicInvariants"),
        DatasetBuilder(name="xor", invariants="xor.invariants:XorInvariants"),
    )
}


def invariants_of(manifest: Manifest) -> Invariants | None:
    """The row checks of a dataset, or None for one that no builder of ours made."""
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
