"""`symile-data languages`: the languages that Symile-M3 can be built in."""

from __future__ import annotations

from .common import Json
from .output import cell, say, say_json


def languages(as_json: Json = False) -> None:
    """List the languages of Symile-M3 with their codes, and the sets that --langs 2, 5 and 10 stand for.

    Example:

        symile-data languages

    Then: symile-data build m3 --out build/symile-m3-3 --langs el,en,th
    """
    from symile_data.builders.m3.text.languages import LANGUAGE_SETS, LANGUAGES

    sets = {
        code: [count for count, codes in sorted(LANGUAGE_SETS.items()) if code in codes] for code in sorted(LANGUAGES)
    }
    if as_json:
        rows = [
            {"code": code, "name": LANGUAGES[code].name, "voice": LANGUAGES[code].espeak, "sets": sets[code]}
            for code in sets
        ]
        say_json(rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("code", "language", "espeak-ng voice", "--langs", title="Languages with bundled names and sentences")
    for code, counts in sets.items():
        table.add_row(cell(code), cell(LANGUAGES[code].name), cell(LANGUAGES[code].espeak), ", ".join(map(str, counts)))
    Console().print(table)
    say("Give --langs a number, or codes with commas between. Any other code of an espeak-ng voice, such as fr, works")
    say("with a names table that has its column (--translations) and sentences to speak (--sentences): docs/m3.md.")
