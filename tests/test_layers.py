"""The arrows between the parts run one way, and importing the package stays cheap."""

import ast
import subprocess
import sys
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
OUTER = ("builders", "loaders", "cards")
HEAVY = ("torch", "polars", "transformers", "datasets", "lightning", "pyarrow", "numpy", "matplotlib", "PIL")


def modules() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))


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
    assert len(modules()) > 40
    pools = REPOSITORY / "builders" / "m3" / "pools.py"
    assert "symile_data.builders.execution.run_stage" in set(imports(pools))
    assert "symile_data.builders.m3.clips.UnreadableClipError" in set(imports(pools))


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_imports_follow_the_arrows(path: Path) -> None:
    folder, *inner = path.relative_to(REPOSITORY).parts
    if folder == "symile_data":
        may_use_all = inner[0] == "cli"
        forbidden = () if may_use_all else tuple(FOLDERS[outer] for outer in OUTER)
        if not may_use_all and inner != ["__main__.py"]:
            forbidden += ("symile_data.cli",)
    else:
        forbidden = (*(FOLDERS[outer] for outer in OUTER if outer != folder), "symile_data.cli")
    # The plain folder names would be second copies of the same modules.
    wrong = [name for name in imports(path) if any(within(name, package) for package in (*forbidden, *OUTER, "tests"))]
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
