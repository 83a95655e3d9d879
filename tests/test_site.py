"""The site leads to every page once, and the reference names everything that is exported."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_layers import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
MADE = {"reference/command-line.md"}  # pages that the build makes
# Packages whose exported names are for users.
PUBLIC = (
    "symile_data",
    "symile_data.builders.custom",
    "symile_data.cards",
    "symile_data.cards.preview",
    "symile_data.datasets.pid",
    "symile_data.encoders",
    "symile_data.format.verify",
    "symile_data.loaders",
    "symile_data.loaders.selection",
    "symile_data.losses",
    "symile_data.workflows.classification",
    "symile_data.workflows.folds",
    "symile_data.workflows.objectives",
    "symile_data.workflows.published",
)


def documented() -> list[str]:
    """The dotted names of the reference's blocks; of a block with members, those of the members."""
    found = []
    for page in (DOCS / "reference").glob("*.md"):
        for block in re.findall(r"^::: .*(?:\n    .*)*", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            target = block.split()[1]
            members = re.search(r"members: \[(.*)\]", block)
            found += [f"{target}.{name}" for name in members.group(1).split(", ")] if members else [target]
    return found


@pytest.mark.parametrize("package", PUBLIC)
def test_every_exported_name_is_in_the_reference(package: str) -> None:
    names = documented()
    module = import_module(package)
    shown = {f"{name.rpartition('.')[0]}.{name.rpartition('.')[2]}" for name in names}
    objects = {id(_found(name)) for name in names if name.startswith("symile_data")}
    missing = [
        name for name in module.__all__ if f"{package}.{name}" not in shown and id(getattr(module, name)) not in objects
    ]
    assert missing == [], f"add ::: {package}.NAME to a page of docs/reference"


def _found(name: str) -> Any:
    """The object of a dotted name, or the module."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError):
        return None


def test_the_reference_names_nothing_twice() -> None:
    names = documented()
    assert sorted(set(names)) == sorted(names)


def _pages_of(entries: list[Any]) -> list[str]:
    found: list[str] = []
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            found += _pages_of(value) if isinstance(value, list) else [value]
    return found


def test_the_navigation_leads_to_every_page_once() -> None:
    text = (REPOSITORY / ".ci" / "mkdocs.yml").read_text(encoding="utf-8")
    pages = _pages_of(yaml.safe_load(text)["nav"])
    assert sorted(pages) == sorted({*PAGES, *MADE})


def test_the_start_page_and_llms_list_every_page_with_its_title() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert [page for page in (*PAGES, *MADE) if f"]({page})" not in index and page != "index.md"] == []
    plain = (DOCS / "llms.txt").read_text(encoding="utf-8")
    listed = {page: title for title, page in re.findall(r"^- \[([^]]+)\]\(([^)]+)\)", plain, flags=re.MULTILINE)}
    assert sorted(listed) == [page for page in PAGES if page != "index.md"]
    for page, title in listed.items():
        assert (DOCS / page).read_text(encoding="utf-8").startswith(f"# {title}\n"), page


def test_the_results_of_the_start_page_are_those_of_the_readme() -> None:
    columns = ("Symile", "CLIP", "text alone", "random")
    wide, short = (
        _table(path.read_text(encoding="utf-8"), header)
        for path, header in (
            (REPOSITORY / "README.md", "| build and train with |"),
            (DOCS / "index.md", "| Symile | CLIP |"),
        )
    )
    assert len(short) >= 5
    assert list(short) == list(wide)
    for name, row in short.items():
        assert {column: row[column] for column in columns} == {column: wide[name][column] for column in columns}


def _table(text: str, header: str) -> dict[str, dict[str, str]]:
    """The table whose header has the given cells: first cell of a row -> column -> cell."""
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if header in line and line.startswith("|"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:] if line.startswith("|")]
    rows = cells[2 : next((place for place, row in enumerate(cells) if len(row) != len(cells[0])), len(cells))]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in rows}


@pytest.mark.parametrize(
    "path", [REPOSITORY / "README.md", *(DOCS / page for page in PAGES)], ids=lambda path: path.name
)
def test_code_in_tables_has_no_pipe(path: Path) -> None:
    """GitHub takes the backslash before it away, the site shows it."""
    rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert [row for row in rows for code in re.findall(r"`[^`]*`", row) if "|" in code] == []


def test_the_site_is_published_by_the_command_that_builds_it() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "docs.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["build"]["steps"]
    assert {"run": "make docs"} in steps
    upload = next(step for step in steps if "upload-pages-artifact" in step.get("uses", ""))
    site = yaml.safe_load((REPOSITORY / ".ci" / "mkdocs.yml").read_text(encoding="utf-8"))["site_dir"]
    assert (REPOSITORY / ".ci" / site).resolve() == (REPOSITORY / upload["with"]["path"]).resolve()
    assert workflow["jobs"]["publish"]["needs"] == "build"
