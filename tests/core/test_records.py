"""JSON from strangers: within limits, of the right types, or one error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from symile_data.format.typed_json import MOST_DEPTH, RecordError, parse_json, read_json, read_text, record


@dataclass(frozen=True, kw_only=True)
class Inner:
    name: str
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    rate: float
    on: bool
    kind: Literal["a", "b"] = "a"
    inner: Inner
    several: tuple[Inner, ...] = ()
    words: list[str] = field(default_factory=list)
    counts: Mapping[str, int] = field(default_factory=dict)
    nested: Mapping[str, Sequence[str]] = field(default_factory=dict)
    anything: Any = None


WHOLE = {
    "rate": 1,
    "on": True,
    "kind": "b",
    "inner": {"name": "x", "size": 3},
    "several": [{"name": "y"}],
    "words": ["p"],
    "counts": {"q": 2},
    "nested": {"r": ["s"]},
    "anything": [None],
}


def test_a_record_has_the_types_of_its_annotations() -> None:
    made = record(Outer, WHOLE)
    assert made == Outer(
        rate=1,
        on=True,
        kind="b",
        inner=Inner(name="x", size=3),
        several=(Inner(name="y"),),
        words=["p"],
        counts={"q": 2},
        nested={"r": ["s"]},
        anything=[None],
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": "1"}, "rate is str, not float"),
        ({"rate": True}, "rate is bool, not float"),
        ({"on": 1}, "on is int, not bool"),
        ({"kind": 3}, "kind is int, not str"),
        ({"inner": []}, "inner is list, not an object"),
        ({"inner": {"name": "x", "size": 1.5}}, "inner.size is float, not int"),
        ({"inner": {}}, "^inner lacks name$"),
        ({"several": {"name": "y"}}, "several is dict, not a list"),
        ({"several": [{"name": None}]}, r"several\[0\].name is NoneType, not str"),
        ({"words": "word"}, "words is str, not a list"),
        ({"counts": {"q": "2"}}, "counts.q is str, not int"),
        ({"nested": {"r": [1]}}, r"nested.r\[0\] is int, not str"),
        ({"colour": "red"}, "colour is unknown"),
    ],
)
def test_each_mistake_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        record(Outer, WHOLE | changes)


@pytest.mark.parametrize("value", [[], None, 3, "text"])
def test_what_is_no_object_is_no_record(value: object) -> None:
    with pytest.raises(TypeError, match=r"Outer is .*, not an object"):
        record(Outer, value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * (MOST_DEPTH + 2) + "]" * (MOST_DEPTH + 2), "nested deeper than 64 levels"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested deeper than 64 levels"),
        ("NaN", "NaN is no JSON number"),
        ("[-Infinity]", "-Infinity is no JSON number"),
        ("1e999", "beyond all bounds"),
        ("9" * 5000, "digit"),
        (r'"\ud800"', "surrogates not allowed"),
        ("", "Expecting value"),
    ],
)
def test_what_json_may_not_be(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_usual_json_is_read() -> None:
    assert parse_json("[" * MOST_DEPTH + "]" * MOST_DEPTH) is not None
    assert parse_json(r'{"a": "\ud83d\ude00", "b": 1.5e3}') == {"a": "😀", "b": 1500.0}


def test_files_are_read_up_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"{}\r\n")
    assert read_text(path, 4) == "{}\r\n"
    assert read_json(path) == {}
    path.write_bytes(b"12345")
    with pytest.raises(ValueError, match="more than 0 MiB"):
        read_text(path, 4)
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="utf-8"):
        read_json(path)


def test_each_mistake_is_told_in_the_words_of_a_config() -> None:
    told = {}
    mistakes: dict[str, dict[str, object]] = {
        "type": {"rate": "1"},
        "table": {"inner": []},
        "unknown": {"rat": 1},
        "empty": {"inner": {}},
    }
    for name, changes in mistakes.items():
        with pytest.raises(RecordError) as caught:
            record(Outer, WHOLE | changes)
        told[name] = str(caught.value.of_config("mine.toml"))
    assert told == {
        "type": "rate must be a number (mine.toml); got '1'.",
        "table": "inner must be a table (mine.toml); got [].",
        "unknown": "the config has an unknown setting (mine.toml); got rat. Perhaps rate is meant.",
        "empty": "the table [inner] of the config lacks settings (mine.toml); got no name. Set them too, or nothing of"
        " [inner].",
    }
