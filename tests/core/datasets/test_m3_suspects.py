"""Rows that may break a rule of Symile-M3, beside a look at every row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from factories import build, rows_of
from hypothesis import given
from hypothesis import strategies as st

from symile_data.datasets.m3 import invariants as module
from symile_data.datasets.m3.invariants import M3Invariants
from symile_data.datasets.m3.names import imagenet_classes
from symile_data.datasets.m3.schema import m3_schema
from symile_data.format import manifest as manifests
from symile_data.format.manifest import Manifest

MEDIA = ("image", "audio")
Row = dict[str, Any]


@pytest.fixture(scope="module", params=["disjoint", "overlap"])
def sound(
    request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Manifest, list[Row]]:
    out = tmp_path_factory.mktemp("sound") / "m3"
    rows = {"train": 24, "validation": 0, "test": 0}
    build(tree, out, languages=("el", "en", "hi"), words=3, rows=rows, missing={"text": 0.1}, mode=request.param)
    return manifests.read(out), rows_of(out, "train")


def findings(manifest: Manifest, rows: list[Row], *, all_rows: bool) -> list[str]:
    """The sentences about one shard, with or without a look at the rows that break no rule."""
    schema = pa.schema([field for field in m3_schema().arrow if field.name not in MEDIA])
    table = pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema)

    def every(table: pa.Table, *_: object) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.ones(len(table), dtype=bool)

    with pytest.MonkeyPatch.context() as patch:
        # As the types of a built shard name them. Without the names every row would be looked at.
        patch.setattr(module, "_class_names", lambda _: imagenet_classes()[1])
        if all_rows:
            patch.setattr(module, "suspects", every)
        return list(M3Invariants(manifest).check("train", table))


def test_no_row_of_a_sound_dataset_is_looked_at_alone(
    sound: tuple[Manifest, list[Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Row] = []

    def look(_: M3Invariants, row: Row) -> Iterator[str]:
        looked.append(row)
        yield from ()

    manifest, rows = sound
    first = findings(manifest, rows, all_rows=True)
    monkeypatch.setattr(M3Invariants, "_row_problems", look)
    assert first == findings(manifest, rows, all_rows=False) == []
    assert looked == []


COLUMNS: dict[str, tuple[Any, ...]] = {
    "cls_id": (None, 0, 999, 1000, -1),
    "wnid": ("n02085936", None),
    "cls": ("lion", None),
    "lang": ("uk", None),
    "target_text": ("x", None),
    "text": ("x", None),
    "clip_id": ("gtts-test-el-1",),
    "words": ([],),
}


@pytest.mark.parametrize(("column", "value"), [(name, value) for name, values in COLUMNS.items() for value in values])
def test_another_value_of_a_column_is_found(sound: tuple[Manifest, list[Row]], column: str, value: Any) -> None:
    manifest, rows = sound
    broken = [row | {column: value} for row in rows]
    found = findings(manifest, broken, all_rows=True)
    assert findings(manifest, broken, all_rows=False) == found != []


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize("field", ["lang", "cls_id", "text"])
@pytest.mark.parametrize(("word", "source"), [(1, 0), (2, 1), (0, 1), (0, None), (2, None)])
def test_another_value_of_a_word_is_found(
    sound: tuple[Manifest, list[Row]], word: int, source: int | None, field: str, follows: bool
) -> None:
    """Word 0 names the image. It or another one takes a value of a third, or none, and the text follows or not."""
    manifest, rows = sound
    broken = []
    for row in (row for row in rows if row["words"] is not None):
        words = [dict(one) for one in row["words"]]
        order = np.argsort([one["lang"] != row["lang"] for one in words], kind="stable").tolist()
        other = "lion" if field == "text" else None
        words[order[word]][field] = other if source is None else row["words"][order[source]][field]
        text = "_".join(one["text"] for one in words) if follows else row["text"]
        broken.append(row | {"words": words, "text": text})
    assert len(broken) > 10
    assert findings(manifest, broken, all_rows=False) == findings(manifest, broken, all_rows=True)


WORD = st.fixed_dictionaries(
    {},
    optional={
        "lang": st.sampled_from(["el", "en", "hi", "uk", None]),
        "cls_id": st.sampled_from([0, 1, 2, 153, 999, None]),
        "text": st.sampled_from(["lion", "x", ""]),
    },
)
CHANGE = st.one_of(
    st.fixed_dictionaries({"lang": st.sampled_from(["el", "en", "hi", "uk"])}),
    st.fixed_dictionaries({"cls_id": st.sampled_from([0, 153, 999, 1000, -1, None])}),
    st.fixed_dictionaries({"wnid": st.sampled_from(["n02085936", "n0", None])}),
    st.fixed_dictionaries({"cls": st.sampled_from(["lion", "Maltese", None])}),
    st.fixed_dictionaries({"target_text": st.sampled_from(["lion", None])}),
    st.fixed_dictionaries({"text": st.sampled_from(["", "lion_lion_lion", None])}),
    st.fixed_dictionaries({"clip_id": st.sampled_from(["espeak-test-el-1", "gtts-train-x", "speech", None])}),
    st.fixed_dictionaries({"sample_id": st.integers(0, 30)}),
    st.fixed_dictionaries({"words": st.one_of(st.none(), st.just([]))}),
    st.tuples(st.integers(0, 2), WORD, st.booleans()),  # changes of a word, and whether the text follows them
    st.just("swap"),
    st.just("less"),
)


def changed(row: Row, change: Any, rows: list[Row]) -> Row:
    words = [dict(word) for word in row["words"] or ()]
    if isinstance(change, dict):
        return row | change
    if change == "swap":
        return row | {name: rows[0][name] for name in ("text", "words", "target_text")}
    if change == "less":
        return row | {"words": words[:-1] if row["words"] else None}
    position, word, follows = change
    if not words:
        return row
    words[position % len(words)].update(word)
    text = {"text": "_".join(str(one["text"]) for one in words)} if follows else {}
    return row | {"words": words} | text


@given(changes=st.dictionaries(st.integers(0, 23), st.lists(CHANGE, min_size=1, max_size=2), max_size=5))
def test_every_row_that_breaks_a_rule_is_found(
    sound: tuple[Manifest, list[Row]], changes: dict[int, list[Any]]
) -> None:
    manifest, rows = sound
    broken = list(rows)
    for place, some in changes.items():
        for change in some:
            broken[place] = changed(broken[place], change, rows)
    assert findings(manifest, broken, all_rows=False) == findings(manifest, broken, all_rows=True)
