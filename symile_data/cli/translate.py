"""`symile-data translate`: write a names table from an online translator."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from symile_data.progress.amounts import counted

from .choices import LanguageCount, TranslationEngine, one_of
from .output import say


def translate(
    out: Annotated[Path, typer.Option(help="The names table to write (TSV: wnid, en, codes).")],
    langs: Annotated[LanguageCount, typer.Option(help="Number of languages: el en, el en hi ja uk, or all.")] = "10",
    engine: Annotated[TranslationEngine, typer.Option(help="Online translator.")] = "google",
    names: Annotated[
        str,
        typer.Option(
            help="Names to translate and to fall back to: 'bundled' or a names table.",
            autocompletion=one_of("bundled"),
        ),
    ] = "bundled",
    cache: Annotated[
        Path | None,
        typer.Option(help="Directory of answers, which are not requested again; default: the user's cache."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first name without a usable translation.")
    ] = False,
) -> None:
    """Translate the class names online; where no translation is usable, the bundled name stays and is counted.

    An interrupted run goes on where it stopped. Read the table before you build from it: a translator does not know
    which sense of a word is meant.

    Example:

        symile-data translate --langs 10 --engine google --out build/names.tsv
    """
    from symile_data.builders.m3.text.languages import language_set
    from symile_data.builders.m3.text.online import default_cache
    from symile_data.builders.m3.text.translate import format_names, translate_names
    from symile_data.datasets.m3.names import read_names
    from symile_data.files import check_replaceable, write_text
    from symile_data.format.disclosure import told

    check_replaceable(out)
    languages = language_set(int(langs))
    table = read_names(None if names == "bundled" else Path(names))
    translated, dropped = translate_names(
        table, table.wnids, languages, engine=engine, cache=cache or default_cache(), strict=strict
    )
    write_text(out, format_names(translated, languages))
    kept = sum(entry.count or 0 for entry in dropped)
    total = len(table.wnids) * (len(languages) - 1)
    classes = counted(len(table.wnids), "class", "classes")
    say(f"{out}: {classes} in {len(languages)} languages, {counted(total - kept, 'name')} by {engine}")
    for entry in dropped:
        say(f"kept as they were: {told(entry.count)} ({entry.reason}), such as {', '.join(entry.examples[:2])}")
    say(f"use it with: symile-data build m3 --langs {langs} --translations {quote(str(out))}")
