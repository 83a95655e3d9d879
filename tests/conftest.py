"""Settings and fixtures of all tests: no network, no state between runs, tiny sources."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]
PHOTOGRAPHS = REPOSITORY.parent / "shared" / "data" / "imagenet-mini"

# pytest puts tests/ on the path, where the folder symile_data/ would pass for the package if there were no real one.
sys.path.append(str(REPOSITORY))

# Before anything imports them: Hugging Face libraries must not look for the Hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

settings.register_profile("same-every-time", deadline=None, derandomize=True, database=None, max_examples=40)
settings.load_profile("same-every-time")


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain folder of 4 classes with 9 small pictures each; not to be changed."""
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
