"""Old names of moved modules still import, with a warning, and have what they had."""

from __future__ import annotations

import importlib
import sys

import pytest

from symile_data.moved import MOVED

NAMES = {
    "symile_data.builders.own": ("own_schema", "write_dataset"),
    "symile_data.loaders.dataset": ("open_split",),
    "symile_data.losses.clip": ("ClipLoss",),
    "symile_data.losses.symile": ("SymileLoss",),
    "symile_data.manifest": ("Manifest",),
    "symile_data.schema": ("DatasetSchema",),
    "symile_data.verify": ("verify",),
}


@pytest.mark.parametrize("name", sorted(MOVED))
def test_an_old_name_imports_with_a_warning(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.warns(DeprecationWarning, match="the old name goes in the next version"):
        module = importlib.import_module(name)
    assert [wanted for wanted in NAMES.get(name, ()) if not hasattr(module, wanted)] == []
