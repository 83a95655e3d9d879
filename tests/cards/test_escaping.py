"""Names, notes and settings that strangers wrote: shown as text in card and preview, whatever they hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Features, Value
from PIL import Image
from tiny_datasets import Tiny, write_tiny

from symile_data.cards.preview import write_preview
from symile_data.format import manifest as manifests
from symile_data.format.manifest import BuildFingerprint, Dropped
from symile_data.format.publication import Publication
from symile_data.format.schema import DatasetSchema, Modality

HOSTILE = "<img src=x onerror=alert(1)>\x1b[2J\u202egnp.$\\frac{`|&\r\n# title\x07\u2066"
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
JOINED = "क्‍ष"  # a joiner that the script needs


@pytest.fixture
def hostile(tmp_path: Path) -> Tiny:
    """A dataset whose columns, values and settings are hostile."""
    column = HOSTILE.replace("/", "")
    text = Value("string")
    schema = DatasetSchema(
        features=Features({"sample_id": Value("int64"), column: text, "mask": Value("bool"), "cls": text}),
        modalities=(Modality(name=column, kind="text", column=column, null_columns=(column,), mask="mask"),),
    )
    row = {column: HOSTILE + BIDI + JOINED, "mask": False, "cls": HOSTILE + BIDI}
    rows = [{"sample_id": number, **row} for number in range(4)]
    spec = {HOSTILE: HOSTILE, "list": [HOSTILE]}
    identity = BuildFingerprint(dataset=HOSTILE, spec=spec, sources={}, versions={"x": HOSTILE})
    return write_tiny(tmp_path / "data", schema, {"train": rows}, identity)


def unsafe(text: str) -> list[str]:
    """Characters that a document must not hold as they are."""
    return [letter for letter in text if letter in BIDI or (ord(letter) < 32 and letter != "\n") or letter == "\x7f"]


def test_the_card_has_no_markup_and_no_control_characters(hostile: Tiny) -> None:
    dropped = [Dropped(reason=HOSTILE, count=3, examples=[HOSTILE])]
    text = hostile.card(notes=[HOSTILE], dropped=dropped, command=f"symile-data build {HOSTILE}")
    assert unsafe(text) == []
    body = text.split("\n---\n", maxsplit=1)[1]
    fences = body.split("```")
    assert not any("<img" in part for part in fences[::2])  # HTML is none in a fence
    assert "\n# title" not in body
    assert "&lt;img src=x" in body and "\\u003cimg" in body
    assert "\\x1b[2J\\u202egnp" in body


def test_statements_are_shown_as_text(hostile: Tiny) -> None:
    stated = Publication(
        summary=HOSTILE,
        citation=f"@misc{{a, title = {{{HOSTILE}}}}}",
        licence="https://example.org/<img)",
        derived_from=({"name": HOSTILE, "licence": HOSTILE, "url": HOSTILE},),
        rai={"dataUseCases": [HOSTILE], "dataSocialImpact": HOSTILE, "dataLimitations": HOSTILE},
    )
    text = hostile.card(publication=stated)
    assert unsafe(text) == []
    body = text.split("\n---\n", maxsplit=1)[1]
    assert not any("<img" in part or "\n# title" in part for part in body.split("```")[::2])
    assert body.count("&lt;img src=x") > 5


def test_a_letter_joiner_and_ordinary_notes_stay(hostile: Tiny) -> None:
    text = hostile.card(notes=[f"Words such as {JOINED}, at 5 > 4 & so on."])
    assert f"Words such as {JOINED}, at 5 &gt; 4 &amp; so on." in text


def test_figures_take_any_name(hostile: Tiny) -> None:
    hostile.card()
    for path in (hostile.directory / "figures").glob("*.png"):
        with Image.open(path) as image:
            image.verify()


def test_the_preview_reorders_no_text(hostile: Tiny, tmp_path: Path) -> None:
    manifests.write(hostile.directory, replace(hostile.manifest, notes=[HOSTILE]))
    write_preview(hostile.directory, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert [letter for letter in page if letter in BIDI or letter in "\x1b\x07"] == []
    assert "\\u202egnp" in page and JOINED in page
    assert "<img src=x" not in page and "&lt;img src=x" in page
