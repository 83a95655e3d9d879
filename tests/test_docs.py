"""The documentation keeps up with the code: links lead somewhere, code runs, what is quoted is what is said."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
from test_layers import REPOSITORY, modules

from symile_data.cli import app
from symile_data.losses import objectives
from symile_data.losses.objectives import OBJECTIVES
from symile_data.training.config import read_config

DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OWN = (DOCS / "own-data.md").read_text(encoding="utf-8")
# Said by other packages, and quoted because people meet it here.
FOREIGN = ("To support decoding audio data, please install 'torchcodec'", "Could not load libtorchcodec")


def sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in modules())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_links_lead_to_pages(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not link.startswith("http") and link.split("/")[-1] != "command-line.md":  # that one is made by make docs
            assert (page.parent / link).is_file(), link


def test_links_have_the_titles_of_pages() -> None:
    named_by_files = [
        f"{page.name}: {found}" for page in PAGES for found in re.findall(r"\[[\w-]+\.md\]\(", page.read_text())
    ]
    assert named_by_files == []


def test_the_reference_names_what_exists() -> None:
    named = 0
    for page in (DOCS / "reference").glob("*.md"):
        for block in re.findall(r"^::: .*(?:\n    .*)*", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            target = block.split()[1]
            module, thing = _resolved(target)
            members = re.search(r"members: \[(.*)\]", block)
            for member in members.group(1).split(", ") if members else []:
                assert hasattr(thing or module, member), f"{target}.{member}"
            named += 1
    assert named > 20


def _resolved(name: str) -> tuple[object, object]:
    """The module that a dotted name begins with, and the object in it that it ends with, if any."""
    try:
        return import_module(name), None
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return import_module(module), getattr(import_module(module), attribute)


def test_the_package_lists_its_parts() -> None:
    import symile_data

    parts = {path.name for path in (REPOSITORY / "symile_data").iterdir() if path.is_dir()} - {"cli", "__pycache__"}
    for part in (*parts, "builders", "loaders", "cards"):
        assert re.search(rf"^    {part} ", symile_data.__doc__ or "", flags=re.MULTILINE), part


def test_the_example_of_own_data_is_the_one_that_runs() -> None:
    block = next(block for block in re.findall(r"```python\n(.*?)```", OWN, flags=re.DOTALL) if "def main" in block)
    assert block == (REPOSITORY / "examples" / "own_dataset.py").read_text(encoding="utf-8")


def test_the_config_of_own_data_is_one(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    found = re.search(r"```toml\n(.*?)```", OWN, flags=re.DOTALL)
    assert found
    path.write_text(found.group(1))
    config = read_config(str(path), {})
    assert (config.target, config.label) == ("square", "colour")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_blocks_of_code_are_right(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:  # which may be a module that nothing has imported yet
                    assert hasattr(import_module(node.module), alias.name) or find_spec(f"{node.module}.{alias.name}")
    root = typer.main.get_command(app)
    for line in re.findall(r"^symile-data (.*)$", text.replace("\\\n", " "), flags=re.MULTILINE):
        command, words = root, shlex.split(line, comments=True)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context("symile-data", words).close()


@pytest.mark.parametrize("name", ["objectives", "losses-alone"])
def test_pages_of_losses_run(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "_registered", {})
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / f"{name}.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    for block in blocks:
        exec(compile(block, name, "exec"), {"__name__": "page"})
        assert ("print(" in block) == bool(capsys.readouterr().out)
    assert blocks


def test_the_page_of_objectives_has_all_of_them(tmp_path: Path) -> None:
    page = (DOCS / "objectives.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `([a-z-]+)` \| .* \| .* \| .* \| .* \|$", page, flags=re.MULTILINE)
    assert sorted(set(table)) == sorted(OBJECTIVES)
    config = re.search(r"```toml\n(epochs.*?)```", page, flags=re.DOTALL)
    assert config
    path = tmp_path / "own.toml"
    path.write_text(config.group(1))
    wanted = {"gram": {"smoothing": 0.1}, "symile": {"negatives": "exact"}, "clip": {}}
    for objective, settings in wanted.items():
        assert read_config(str(path), {"objective": objective}).settings == settings
    reference = (DOCS / "reference" / "losses.md").read_text(encoding="utf-8")
    assert all(entry.load().__name__ in reference for entry in OBJECTIVES.values())


def test_errors_are_quoted_as_they_are_said() -> None:
    faq = (DOCS / "faq.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^### `(.+)`$", faq, flags=re.MULTILINE)
    assert len(quoted) > 10
    said = sources()
    assert [sentence for sentence in quoted if sentence not in said and sentence not in FOREIGN] == []


@pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None,
    reason="the extra `docs` is not installed: `make docs` installs it",
)
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    for name in (".ci", "docs"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    tree = tmp_path / "build" / "tree" / "symile_data"
    tree.mkdir(parents=True)
    for part in (REPOSITORY / "symile_data").iterdir():
        (tree / part.name).symlink_to(part.resolve())
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", ".ci/mkdocs.yml"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert said.returncode == 0, said.stderr
    page = (tmp_path / "build" / "site" / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert "symile-data preview" in page
    assert "…</li>" not in page and "...</li>" not in page  # summaries of commands are whole sentences
    assert (tmp_path / "build" / "site" / "llms.txt").read_bytes() == (DOCS / "llms.txt").read_bytes()
    assert (tmp_path / "build" / "site" / "m3.md").read_bytes() == (DOCS / "m3.md").read_bytes()
