"""Settings and fixtures of all tests: no network, no state between runs, tiny sources."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tiny_datasets import Tiny

REPOSITORY = Path(__file__).resolve().parents[1]
PHOTOGRAPHS = REPOSITORY.parent / "shared" / "data" / "imagenet-mini"

# Collection imports all that the suite uses and makes thousands of items, and nearly all of it stays until the end:
# looking through it for garbage took two fifths of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """Garbage collection begins with the tests and passes over what was there before them."""
    gc.freeze()
    gc.enable()


# pytest puts tests/ on the path, where the folder symile_data/ would pass for the package if there were no real one.
sys.path.append(str(REPOSITORY))

# Before anything imports them: Hugging Face libraries must not look for the Hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

# The workers of the tests share the cores. A second thread of each would wait for one, and OpenMP waits by spinning.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Processes that tests start read the package's modules compiled, also where the surrounding shell keeps no bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("same-every-time", deadline=None, derandomize=True, database=None, max_examples=40)
settings.load_profile("same-every-time")


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain folder of 4 classes with 9 small images each; not to be changed."""
    from factories import imagenet_tree  # not before the settings above

    return imagenet_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="session")
def photographs(tree: Path) -> Path:
    """Real ImageNet photographs where a checkout lies beside them, the drawn tree otherwise."""
    return PHOTOGRAPHS if PHOTOGRAPHS.is_dir() else tree


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attempt to connect or to look a name up is an error."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


@pytest.fixture
def undisclosed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds of patients' data write every count as it is."""
    monkeypatch.setattr("symile_data.builders.engine.stages.disclosed", lambda manifest: manifest)


@pytest.fixture(scope="session")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """An M3 dataset with its card; not to be changed."""
    from tiny_datasets import m3_tiny

    from symile_data.cards import write_card

    tiny = m3_tiny(tmp_path_factory.mktemp("m3"))
    write_card(tiny.directory, tiny.manifest, tiny.schema)
    return tiny


@pytest.fixture
def copied(documented: Tiny, tmp_path: Path) -> Tiny:
    """A copy of it to change."""
    directory = tmp_path / "copy"
    shutil.copytree(documented.directory, directory)
    return replace(documented, directory=directory)


@pytest.fixture(scope="session")
def two_workers() -> Iterator[Executor]:
    """Two worker processes of builds."""
    from symile_data.builders.engine.executor import WorkerPool

    with WorkerPool(2) as pool:
        yield pool


@pytest.fixture
def shared_workers(two_workers: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds with several workers use the same two processes, since starting them takes longer than a small build."""

    @contextlib.contextmanager
    def opened(workers: int, executor: str) -> Iterator[Executor | None]:
        assert executor == "local"
        yield two_workers if workers > 1 else None

    monkeypatch.setattr("symile_data.builders.engine.stages.open_pool", opened)


@pytest.fixture(scope="module")
def undrawn() -> Iterator[Callable[[Figure, Path], None]]:
    """Figures are composed, but a single pixel is written in their place: nine tenths of their time is the drawing.

    For modules whose figures are drawn and looked at elsewhere.

    Yields:
        The function that draws them, as `style.save` does without this fixture.
    """
    from PIL import Image

    from symile_data.files import atomic_path
    from symile_data.plotting import style

    def pixel(_: Figure, path: Path) -> None:
        with atomic_path(path) as temporary:
            Image.new("L", (1, 1)).save(temporary, format="png")

    drawing = style.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "save", pixel)
        yield drawing


@pytest.fixture(scope="module")
def no_figures() -> Iterator[None]:
    """Cards without figures, whose drawing takes most of a small build's time. `tests/cards` tests the figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("symile_data.cards.draw_figures", lambda *_: [])
        yield
