"""Let the old names of moved modules import in this version with a warning. The next version removes them.

The finder is the last of all, so it handles only names that do not exist.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "symile_data.builders.m3.sample_pictures": "symile_data.builders.m3.images.sample",
    "symile_data.builders.m3.speech": "symile_data.builders.m3.audio.espeak",
    "symile_data.builders.mimic.radiograph": "symile_data.builders.mimic.signals.radiograph",
    "symile_data.builders.own": "symile_data.builders.custom",
    "symile_data.information": "symile_data.datasets.xor.information",
    "symile_data.loaders.augment": "symile_data.loaders.decoders.augment",
    "symile_data.loaders.dataset": "symile_data.loaders.split",
    "symile_data.loaders.decode": "symile_data.loaders.decoders",
    "symile_data.loaders.torch_view": "symile_data.loaders.torch_dataset",
    "symile_data.location": "symile_data.format.location",
    "symile_data.losses.clip": "symile_data.losses.objectives.clip",
    "symile_data.losses.symile": "symile_data.losses.objectives.symile",
    "symile_data.manifest": "symile_data.format.manifest",
    "symile_data.publish": "symile_data.format.publish",
    "symile_data.schema": "symile_data.format.schema",
    "symile_data.shards": "symile_data.format.shards",
    "symile_data.shards.layout": "symile_data.format.shards.tar_layout",
    "symile_data.streams": "symile_data.rng",
    "symile_data.verify": "symile_data.format.verify",
    "symile_data.words": "symile_data.datasets.m3.words",
}


class _MovedModules(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Replace the empty module that the import system made by the module with the new name."""
        name = module.__name__
        warnings.warn(f"{name} is now {MOVED[name]}; the old name goes in the next version", DeprecationWarning, 4)
        sys.modules[name] = import_module(MOVED[name])


def serve_moved_modules() -> None:
    """Install the finder, so that old names import. Calling it again has no effect."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())
