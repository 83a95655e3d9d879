from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_datasets import Tiny, m3_tiny

from symile_data.cards import write_card


@pytest.fixture(scope="session")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """An M3 dataset with its card; not to be changed."""
    tiny = m3_tiny(tmp_path_factory.mktemp("m3"))
    write_card(tiny.directory, tiny.manifest, tiny.schema)
    return tiny


@pytest.fixture
def copied(documented: Tiny, tmp_path: Path) -> Tiny:
    """A copy of it to change."""
    directory = tmp_path / "copy"
    shutil.copytree(documented.directory, directory)
    return replace(documented, directory=directory)
