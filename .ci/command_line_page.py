"""A hook of `make docs`: the page of the command line, made of the commands' own help."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGE = "reference/command-line.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of all commands and options to the files of the site."""
    import typer
    from typer.cli import get_docs_for_click

    from symile_data.cli import app

    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="symile-data")
    text = get_docs_for_click(obj=command, ctx=context, name="symile-data", title="Command line")
    files.append(File.generated(config, PAGE, content=text))
    return files
