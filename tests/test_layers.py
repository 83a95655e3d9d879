"""The arrows between the parts run one way, and importing the package stays cheap."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS = {
    "symile_data": "symile_data",
    "builders": "symile_data.builders",
    "loaders": "symile_data.loaders",
    "cards": "symile_data.cards",
}
# Each layer imports only what stands before it, and of its own row only itself.
LAYERS = (
    ("moved",),
    (
        "errors",
        "extras",
        "rng",
        "files",
        "missingness",
        "misalignment",
        "noise",
        "reliability",
        "arguments",
        "cores",
        "progress",
        "environment",
        "launch",
        "plotting",
    ),
    ("format",),
    ("datasets",),
    ("losses", "encoders"),
    ("evaluation",),
    ("training", "experiments"),
    ("builders", "loaders", "cards"),
    ("workflows",),
    ("cli", "api"),
)
RANKS = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
APART = (("builders", "loaders", "cards"),)  # rows whose parts never import one another
HEAVY = ("torch", "polars", "transformers", "datasets", "lightning", "pyarrow", "numpy", "matplotlib", "PIL")


def modules() -> list[Path]:
    """Every module of the package once, under the folder where it really lies."""
    return sorted(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py") if _really_there(path))


def _really_there(path: Path) -> bool:
    return path.resolve() == path


def package_of(path: Path) -> list[str]:
    """The installed name of the package that a file belongs to, in parts."""
    folder, *inner = path.relative_to(REPOSITORY).parts
    return [*FOLDERS[folder].split("."), *inner[:-1]]


def imports(path: Path) -> Iterator[str]:
    """Absolute names of everything a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package_of(path)[: -node.level + 1 or None] if node.level else []
            start = [*base, *([node.module] if node.module else [])]
            yield from (".".join([*start, alias.name]) for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def test_there_is_something_to_check() -> None:
    assert len(modules()) > 200
    store = REPOSITORY / "builders" / "m3" / "prepare_media.py"
    assert "symile_data.builders.engine.executor.run_stage" in set(imports(store))
    assert "symile_data.builders.m3.audio.spoken.UnreadableAudioError" in set(imports(store))


def test_every_part_has_its_layer() -> None:
    parts = {
        (FOLDERS[path.relative_to(REPOSITORY).parts[0]] + ".").split(".")[1] or part_of(path) for path in modules()
    }
    assert parts - {"__init__", "__main__"} == set(RANKS)


def part_of(path: Path) -> str:
    """The part of the package that a module belongs to: "format", "loaders", "errors", ..."""
    folder, *inner = path.relative_to(REPOSITORY).with_suffix("").parts
    return folder if folder != "symile_data" else inner[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_imports_follow_the_arrows(path: Path) -> None:
    part = part_of(path)
    rank = RANKS.get(part, len(LAYERS))
    wrong = []
    for name in imports(path):
        first, _, rest = name.partition(".")
        if first in (*FOLDERS.keys() - {"symile_data"}, "tests"):  # a plain folder name is a second copy of its modules
            wrong.append(name)
        other = rest.partition(".")[0]
        if first != "symile_data" or other not in RANKS or other == part:
            continue
        if RANKS[other] > rank or any(part in row and other in row for row in APART):
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_relative_imports_stay_in_their_folder(path: Path) -> None:
    inside = len(path.relative_to(REPOSITORY).parts) - 1
    levels = [
        node.level for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
    ]
    assert max(levels, default=0) <= inside


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, symile_data; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60).strip() == "[]"


def test_importing_the_builders_loads_no_learning_libraries() -> None:
    heavy = ("torch", "polars", "transformers", "datasets", "lightning", "matplotlib")
    code = f"import sys, symile_data.builders.m3.build; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60).strip() == "[]"


def test_the_drawn_tree_names_every_folder_of_code() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = page.split("## The tree")[1].split("\n\n")[1]
    folders = {path.parent.name for path in modules()}
    assert {name for name in folders if f"{name}/" not in drawn} == set()


def test_the_drawn_layers_name_every_part() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = page.split("## The layers")[1].split("\n\n")[2]
    assert RANKS.keys() - {"moved", *re.findall(r"\w+", drawn)} == set()


def test_every_requirement_is_in_the_table_of_dependencies_beside_its_extra() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in page.split("## Dependencies")[1].splitlines() if line.startswith("| ")]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    absent = [
        (extra, name)
        for extra, requirements in extras.items()
        for name in (re.split(r"[^\w-]", requirement)[0] for requirement in requirements)
        if name != "symile-data" and not any(name in re.findall(r"[\w-]+", cell) and extra in cell for cell in cells)
    ]
    assert absent == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_no_module_asserts(path: Path) -> None:
    """Python leaves assertions out with -O; a check that matters raises an error with a sentence."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == []
