"""`symile-data doctor`: examine the environment and say what each gap costs."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import Json
from .output import cell, say_json
from .output.options import with_options

if TYPE_CHECKING:
    from symile_data.environment import Finding

_COLOURS = {"ok": "green", "gap": "yellow", "problem": "bold red"}


def doctor(
    directory: Annotated[
        Path, typer.Option("--at", help="Where datasets will be built; its disk is examined.")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Examine versions, codecs, speech, fonts, GPU and disk; say what each gap costs and how to close it.

    The exit code is 1 where nothing can work; a gap is not a failure.

    Examples:

        symile-data doctor

        symile-data doctor --at /data --json
    """
    from symile_data.environment import examine

    findings = [
        replace(finding, cost=with_options(finding.cost), do=with_options(finding.do))
        for finding in (*examine(directory), _speech(), _fonts())
    ]
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    if any(finding.status == "problem" for finding in findings):
        raise typer.Exit(1)


def _speech() -> Finding:
    """Check that espeak-ng speaks."""
    from symile_data.builders.m3.audio.espeak import VOICES, Utterance, synthesise
    from symile_data.environment import Finding, installation
    from symile_data.errors import SymileDataError

    try:
        wave = synthesise(
            Utterance(text="one two", language="en", voice=VOICES[0], rate=160, pitch=50, intonation=50, seed=0)
        )
    except (SymileDataError, ImportError, OSError) as error:
        return Finding(
            name="espeak-ng",
            status="gap",
            found=str(error),
            cost="no synthetic speech: a build of M3 needs `recordings`",
            do=installation("speech"),
        )
    return Finding(name="espeak-ng", status="ok", found=f"speaks ({len(wave) / 16_000:.1f} s of English)")


def _fonts() -> Finding:
    """Check which scripts figures can draw: the fonts come with the package, the joining of letters with matplotlib."""
    from symile_data.builders.m3.text.languages import LANGUAGES
    from symile_data.datasets.m3.names import read_names
    from symile_data.environment import Finding, installation
    from symile_data.plotting.fonts import drawable

    names = read_names().names
    absent = [language for language in LANGUAGES if not drawable(names[language][0])]
    written = ", ".join(language for language in LANGUAGES if language not in absent)
    if not absent:
        return Finding(name="fonts", status="ok", found=written)
    return Finding(
        name="fonts",
        status="gap",
        found=written,
        cost=f"figures show English meanings instead of words in {', '.join(absent)}; the data are not affected",
        do=f"{installation()}, whose matplotlib (3.11 or newer) joins the letters of these scripts",
    )


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="What is here", box=None, padding=(0, 1), title_justify="left")
    for heading in ("", "", "found, and what a gap costs"):
        table.add_column(heading)
    for finding in findings:
        said = cell(finding.found)
        if finding.cost:
            said.append(f"\nCost: {finding.cost}.")
        if finding.do:
            said.append(f"\nTo do: {finding.do}.")
        table.add_row(Text(finding.status, style=_COLOURS[finding.status]), finding.name, said)
    Console().print(table)
