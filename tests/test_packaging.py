"""A wheel, installed alone into an empty directory, builds and verifies a dataset outside the checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from test_layers import FOLDERS, REPOSITORY

LINKS = ("builders", "loaders", "cards")
SOURCES = ("symile_data", *LINKS, "tests", "setup.py", "MANIFEST.in", "pyproject.toml", "README.md", "LICENSE")


def quietly(*words: str | Path, cwd: Path, **environment: str) -> str:
    """Run a program; what it printed, which is shown when it fails."""
    result = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def copied(directory: Path) -> Path:
    """A copy of what packaging reads, links as links, so that the checkout stays as it is."""
    ignored = shutil.ignore_patterns("__pycache__", "data", ".*")
    for name in SOURCES:
        source, target = REPOSITORY / name, directory / name
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=ignored if name == "tests" else ignored_caches)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return directory


def ignored_caches(_: str, names: list[str]) -> set[str]:
    return {"__pycache__"} & set(names)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, as an index's users get it."""
    directory = tmp_path_factory.mktemp("wheel")
    source = copied(directory / "source")
    code = "from setuptools.build_meta import build_sdist as b; print(b('../sdist'))"
    quietly(sys.executable, "-c", code, cwd=source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir", "--wheel-dir", directory)
    quietly(*pip, "wheel", next((directory / "sdist").glob("*.tar.gz")), *options, cwd=directory)
    return next(directory.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An otherwise empty directory with the wheel installed."""
    target = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    quietly(*pip, "install", "--no-deps", "--no-index", "--target", target, wheel, cwd=target)
    return target


def files_of_the_package() -> set[str]:
    """Every file under the name by which the wheel must hold it."""
    return {
        "/".join((*FOLDERS[folder].split("."), *path.relative_to(REPOSITORY / folder).parts))
        for folder in FOLDERS
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == files_of_the_package()
    data = {
        "builders/m3/data/class_names.tsv",
        "plotting/fonts/OFL.txt",
        "plotting/fonts/SymileSansJP-Regular.otf",
        "py.typed",
    }
    assert {f"symile_data/{name}" for name in data} <= held


def test_the_source_distribution_is_complete_and_without_tests(wheel: Path) -> None:
    with tarfile.open(next((wheel.parent / "sdist").glob("*.tar.gz"))) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert files_of_the_package() <= names
    assert [name for name in names if name.startswith("tests")] == []


@pytest.mark.parametrize("name", LINKS)
def test_a_checkout_that_lost_its_links_is_not_packaged(tmp_path: Path, name: str) -> None:
    source = copied(tmp_path / "source")
    link = source / "symile_data" / name
    link.unlink()
    link.write_text(f"../{name}")  # what a clone without symbolic links leaves
    for function in ("build_wheel", "build_sdist", "build_editable"):
        code = f"from setuptools.build_meta import {function} as b; b('..')"
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=240, check=False
        )
        assert result.returncode
        assert f"symile_data/{name} is not a directory: this checkout lost its symbolic links" in result.stderr
    assert list(tmp_path.glob("*.whl")) == list(tmp_path.glob("*.tar.gz")) == []


def test_a_checkout_is_imported_without_an_installation(tmp_path: Path) -> None:
    """And no other folder named symile_data, such as one in the working directory, passes for the package."""
    (tmp_path / "symile_data").mkdir()
    code = "import symile_data.builders.m3.build as b, symile_data.loaders as l; print(b.__file__); print(l.__file__)"
    said = quietly(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(REPOSITORY))
    assert [Path(line).is_relative_to(REPOSITORY / "symile_data") for line in said.split()] == [True, True]


def test_the_installed_wheel_builds_and_verifies_outside_the_checkout(
    installed: Path, tree: Path, tmp_path: Path
) -> None:
    def python(*words: str | Path) -> str:
        return quietly(sys.executable, "-P", *words, cwd=tmp_path, PYTHONPATH=str(installed))

    parts = "symile_data", "symile_data.builders.m3.build", "symile_data.loaders", "symile_data.cards"
    places = python("-c", f"import importlib\nfor name in {parts!r}: print(importlib.import_module(name).__file__)")
    assert [Path(place).is_relative_to(installed) for place in places.split()] == [True] * len(parts)

    command = ("-m", "symile_data", "build", "m3", "--out", "X", "--langs", "2", "--workers", "1", "--images", tree)
    said = python(*command, "--train", "6", "--validation", "2", "--test", "2")
    assert "symile-m3 in X: 6 train, 2 validation, 2 test rows" in said
    assert "all as built" in python("-m", "symile_data", "verify", "X")


def test_the_installed_wheel_draws_sample_images(installed: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from symile_data.builders.m3.images.sample import sample_classes, write_sample_class\n"
        "write_sample_class(Path('S'), next(iter(sample_classes())), 0, 2); print(len(sample_classes()))"
    )
    assert int(quietly(sys.executable, "-P", "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))) >= 100
    assert len(list(tmp_path.rglob("ILSVRC/Data/CLS-LOC/train/n*/*.JPEG"))) == 2
