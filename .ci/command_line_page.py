"""A hook of `make docs`: the page of the command line, made of the commands' own help."""

from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGE = "reference/command-line.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of all commands and options to the files of the site."""
    import typer
    from typer.cli import get_docs_for_click

    from symile_data.cli import app

    command = typer.main.get_command(app)
    _whole_sentences(command)
    context = typer.Context(command, info_name="symile-data")
    text = get_docs_for_click(obj=command, ctx=context, name="symile-data", title="Command line")
    files.append(File.generated(config, PAGE, content=text))
    return files


def _whole_sentences(command: Any) -> None:
    """Give each command its first sentence as its summary, which lists would else cut after 45 letters."""
    for inner in getattr(command, "commands", {}).values():
        if inner.help and not inner.short_help:
            paragraph = " ".join(inner.help.split("\n\n")[0].split())
            inner.short_help = paragraph.partition(". ")[0].rstrip(".") + "."
        _whole_sentences(inner)
