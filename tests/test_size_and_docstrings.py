"""Modules stay short, folders stay small, and a docstring that is written says something."""

import ast
from collections import Counter

import pytest
from test_layers import REPOSITORY, modules

MOST_LINES, MOST_MODULES, FEWEST_WORDS = 350, 15, 4

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def short_docstrings(source: str) -> list[str]:
    """Names of the modules, classes and functions whose docstring has too few words; a module has no name."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, DOCUMENTED)]
    docstrings = [(getattr(node, "name", ""), ast.get_docstring(node)) for node in nodes]
    return [name for name, docstring in docstrings if docstring is not None and len(docstring.split()) < FEWEST_WORDS]


@pytest.mark.parametrize(
    ("source", "short"),
    [
        ("def f():\n    'Nothing at all.'", ["f"]),
        ("def f():\n    'It returns the sum.'", []),
        ("class A:\n    'A thing.'\n    def _g(self):\n        'One.'", ["A", "_g"]),
        ("async def f():\n    'Three short words.'", ["f"]),
        ("'Two words.'", [""]),
        ("def f():\n    pass", []),
    ],
)
def test_short_docstrings_are_found(source: str, short: list[str]) -> None:
    assert short_docstrings(source) == short


def test_every_docstring_of_the_package_says_something() -> None:
    found = {
        str(path.relative_to(REPOSITORY)): names for path in modules() if (names := short_docstrings(path.read_text()))
    }
    assert not found, f"write a whole sentence, or nothing: {found}"


def test_no_module_is_too_long() -> None:
    paths = [*modules(), *(REPOSITORY / "benchmarks").rglob("*.py")]
    lines = {str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines()) for path in paths}
    long = {path: count for path, count in lines.items() if count > MOST_LINES}
    assert not long, f"split what has more than {MOST_LINES} lines: {long}"


def test_no_folder_has_too_many_modules() -> None:
    counts = Counter(path.parent.relative_to(REPOSITORY) for path in modules() if path.name != "__init__.py")
    full = {str(folder): count for folder, count in counts.items() if count > MOST_MODULES}
    assert not full, f"group what has more than {MOST_MODULES} modules: {full}"
