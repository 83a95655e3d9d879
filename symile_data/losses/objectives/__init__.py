"""The registry of objectives: which there are, what they are called, and how one is made.

A training config, `--objective` and the evaluation name an objective by its key. The bundled ones stand in
`OBJECTIVES`. Others come from outside the package: by an entry point of the group `symile_data.objectives`, whose name
is the key and whose value is "module:Class", or by `register` in a script. Reading the registry imports neither torch
nor the module of any objective.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from symile_data.errors import UsageError, choose_similar
from symile_data.losses.settings import check_complete, checked_settings

if TYPE_CHECKING:
    from symile_data.losses.objective import BatchShape, Objective

NEGATIVES = ("n", "exact")
MIP_SCALES = ("none", "aligned", "unit")

GROUP = "symile_data.objectives"  # of entry points

# Settings of `symile_data.training.config.TrainConfig`, present and former. In a config the table of an objective
# stands beside them, so that no objective can have one of these names.
RESERVED = frozenset(
    (
        *("objective", "settings", "epochs", "batch_size", "accumulate", "dim", "lr", "schedule", "weight_decay"),
        *("clip_gradient", "logit_scale_init", "logit_scale_max", "normalise", "missing", "group_missing"),
        *("missingness", "missingness_in_validation", "target", "label", "candidates", "redraw_words"),
        *("resample_within_class", "pretrain", "precision", "val_every", "select", "seed", "encoders", "inputs"),
        *("supervised", "loss", "redraw_media", "negatives", "shuffles", "mip_scale"),
    )
)

_HERE = __name__


@dataclass(frozen=True, kw_only=True)
class ObjectiveEntry:
    """One row of the registry.

    Args:
        implementation: "module:Class" of a subclass of `symile_data.losses.objective.Objective`, or the class itself.
        title: Name in tables and figures.
        settings: Settings of the class that this key fixes.
        package: Name of the installed package that declares it, where one does.
    """

    implementation: str | type[Objective]
    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    package: str | None = None

    def load(self) -> type[Objective]:
        """Import the class, and torch with it.

        Raises:
            UsageError: there is no such module or class, or it is no objective.
        """
        from symile_data.losses.objective import Objective

        found: Any = self.implementation
        if isinstance(found, str):
            module, _, name = found.partition(":")
            try:
                found = getattr(import_module(module), name)
            except Exception as error:  # a module from outside may raise anything when it is imported
                of_package = "" if self.package is None else f" of the package {self.package}"
                raise UsageError(
                    f"an objective{of_package} cannot be imported", where=str(self.implementation), got=error
                ) from error
        if not (isinstance(found, type) and issubclass(found, Objective)):
            raise UsageError(
                "an objective is a subclass of symile_data.losses.Objective", where=self.title, got=repr(found)
            )
        return found


def _bundled(module: str, name: str, title: str, **settings: Any) -> ObjectiveEntry:
    return ObjectiveEntry(implementation=f"{_HERE}.{module}:{name}", title=title, settings=settings)


OBJECTIVES: Mapping[str, ObjectiveEntry] = {
    "symile": _bundled("symile", "SymileLoss", "Symile"),
    "clip": _bundled("clip", "ClipLoss", "CLIP"),
    "symile-exact": _bundled("symile", "SymileLoss", "Symile exact", negatives="exact"),
    "symile-pair": _bundled("symile_pair", "SymilePairLoss", "Symile pair"),
    "anchor": _bundled("anchor", "AnchorLoss", "Anchor"),
    "sigmoid-mip": _bundled("sigmoid_mip", "SigmoidMipLoss", "Sigmoid MIP"),
    "gram": _bundled("gram", "GramLoss", "GRAM"),
    "triangle": _bundled("triangle", "TriangleLoss", "TRIANGLE"),
    "simplex": _bundled("simplex", "SimplexLoss", "Simplex"),
    "pmrl": _bundled("pmrl", "PmrlLoss", "PMRL"),
    "confu": _bundled("confu", "ConfuLoss", "ConFu"),
    "gated": _bundled("gated", "GatedSymileLoss", "Gated Symile"),
    "gram-masked": _bundled("gram_masked", "MaskedGramLoss", "Masked GRAM"),
    "symile-subset": _bundled("symile_subset", "SubsetSymileLoss", "Subset Symile"),
    "symile-neutral": _bundled("symile_neutral", "NeutralSymileLoss", "Neutral Symile"),
}

COMPARED = ("symile", "clip")  # what the paper compares, and what is trained where nothing else is asked for
COMPARED_WITH_KEYS = ("symile-pair", "clip")  # on Symile-M3 with keys, which symile-pair learns from fewer rows

_registered: dict[str, ObjectiveEntry] = {}


def register(name: str, implementation: str | type[Objective], title: str | None = None) -> None:
    """Add an objective from outside the package, for this process.

    A run that was trained with it needs the same call before it is evaluated; an installed package rather declares an
    entry point.

    Args:
        name: Its key in configs, run directories and tables.
        implementation: A subclass of `Objective`, or "module:Class".
        title: Name in tables and figures; the key where not given.

    Raises:
        UsageError: the name is taken, or cannot name a table of a config.
    """
    fault = _fault_of_name(name)
    if fault:
        raise UsageError(f"the name of an objective {fault}", got=repr(name), do="choose another name")
    if name in all_objectives():
        raise UsageError("there is an objective of this name already", got=repr(name), do="choose another name")
    _registered[name] = ObjectiveEntry(implementation=implementation, title=title or name)


def _fault_of_name(name: str) -> str | None:
    """Return what is wrong with the name of an objective, or None."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        return "is a letter followed by letters, digits, - and _"
    if name in RESERVED:
        return "is not that of a setting of configs, which hold a table for each objective"
    return None


def all_objectives() -> dict[str, ObjectiveEntry]:
    """Return all objectives: the bundled ones, those of installed packages, and the registered ones."""
    return {**OBJECTIVES, **{name: entry for name, entry in _others().items() if name not in OBJECTIVES}}


def _others() -> dict[str, ObjectiveEntry]:
    return {**_installed(), **_registered}


@lru_cache(maxsize=1)
def _installed() -> dict[str, ObjectiveEntry]:
    """Return the objectives that installed packages declare; their modules are not imported yet.

    Warns:
        UserWarning: a declared name is none that an objective can have, and is left out.
    """
    found = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        package, fault = point.dist.name if point.dist else None, _fault_of_name(point.name)
        if fault:
            warnings.warn(
                f"the objective {point.name!r} of the package {package} is left out: the name of an objective {fault}",
                stacklevel=2,
            )
            continue
        found[point.name] = ObjectiveEntry(implementation=point.value, title=point.name, package=package)
    return found


def find_objective(name: str) -> ObjectiveEntry:
    """Return the entry of an objective.

    Raises:
        UsageError: there is none of that name.

    >>> find_objective("clip").title
    'CLIP'
    """
    found = all_objectives()
    if name not in found:
        raise UsageError("unknown objective", got=repr(name), do=choose_similar(name, list(found)))
    return found[name]


def make_objective(name: str, shape: BatchShape, settings: Mapping[str, Any] | None = None) -> Objective:
    """Make an objective that takes negatives from the rows of all ranks.

    Args:
        name: Its key.
        shape: Modalities, width, rows and seed.
        settings: Keyword arguments of its class, on top of those that the key fixes.

    Raises:
        UsageError: there is no such objective or setting, a setting is lacking or has a wrong type, or the objective
            is not defined for so many modalities.
    """
    entry = find_objective(name)
    implementation = entry.load()
    given = {**entry.settings, **(settings or {})}
    check_complete(name, implementation, given)
    made = implementation.for_batch(shape, **checked_settings(name, implementation, given))
    made.check_modalities(shape.modalities)
    made.gather = True
    return made
