"""A wheel, installed alone into an empty directory, builds and verifies a dataset outside the checkout."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from test_layers import FOLDERS, REPOSITORY, modules, package_of

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = (*FOLDERS, "pyproject.toml", *(name for name in ("README.md", "LICENSE") if (REPOSITORY / name).exists()))


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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays as it is."""
    directory = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source, target = REPOSITORY / name, directory / "source" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir", "--wheel-dir", directory)
    quietly(*pip, "wheel", directory / "source", *options, cwd=directory)
    return next(directory.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An otherwise empty directory with the wheel installed."""
    target = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    quietly(*pip, "install", "--no-deps", "--no-index", "--target", target, wheel, cwd=target)
    return target


def test_the_package_list_equals_the_folders() -> None:
    assert PROJECT["tool"]["setuptools"]["packages"] == sorted({".".join(package_of(path)) for path in modules()})


def test_every_folder_outside_the_core_is_mapped() -> None:
    places = PROJECT["tool"]["setuptools"]["package-dir"]
    for path in modules():
        package = ".".join(package_of(path))
        known = max((name for name in places if package == name or package.startswith(name + ".")), key=len)
        assert (REPOSITORY / places[known] / package.removeprefix(known).replace(".", "/").strip("/")) == path.parent


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    expected = {
        "/".join((*FOLDERS[folder].split("."), *path.relative_to(REPOSITORY / folder).parts))
        for folder in FOLDERS
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected
    assert "symile_data/builders/m3/data/class_names.tsv" in held


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


def test_the_installed_wheel_draws_sample_pictures(installed: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from symile_data.builders.m3.sample_pictures import sample_classes, write_sample_class\n"
        "write_sample_class(Path('S'), next(iter(sample_classes())), 0, 2); print(len(sample_classes()))"
    )
    assert int(quietly(sys.executable, "-P", "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))) >= 100
    assert len(list(tmp_path.rglob("ILSVRC/Data/CLS-LOC/train/n*/*.JPEG"))) == 2
