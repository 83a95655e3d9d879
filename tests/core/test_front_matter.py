"""The front matter of cards: what the Hub takes, and nothing that costs time or memory."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from symile_data.format.front_matter import MOST_BYTES, MOST_DEPTH, DataFiles, configs_of, read_front_matter


def card(front: str) -> str:
    return f"---\n{front}---\n# A card\n"


texts = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=12)
values = st.recursive(
    st.none() | texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)


@settings(max_examples=60)
@given(values, st.booleans(), st.booleans())
def test_values_are_those_that_were_written(value: Any, flow: bool, escaped: bool) -> None:
    written = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=not escaped, sort_keys=False)
    assert read_front_matter(card(written.removesuffix("...\n"))) == value


@given(st.text(max_size=60) | st.text(alphabet="-:[]{}&*!|>'\"%@` \n\tab~?#,", max_size=60))
def test_any_text_is_a_value_or_refused(text: str) -> None:
    try:
        read_front_matter(card(text))
        configs_of(card(text))
    except ValueError as error:
        assert "front matter" in str(error)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5", "5"),
        ("9" * 6000, "9" * 6000),
        ("2020-99-99", "2020-99-99"),
        ("~", None),
        ("null", None),
        ("'null'", "null"),
        ("true", "true"),
        ("1:59:59", "1:59:59"),
        ("!!python/name:os.system x", "x"),
        (".inf", ".inf"),
        ("&a x", "x"),
    ],
)
def test_all_that_is_no_list_or_mapping_is_text(written: str, value: str | None) -> None:
    assert read_front_matter(card(f"a: {written}\n")) == {"a": value}


@pytest.mark.parametrize("text", ["", "# A card", "--- \na: 1\n---\n", "\n---\na: 1\n---\n", "---\n[broken\n---\n"])
def test_a_card_without_front_matter_has_none(text: str) -> None:
    assert read_front_matter(text) is None
    assert configs_of(text) == ()


@pytest.mark.parametrize("front", ["configs: 3\n", "- a list\n", "configs:\n", "a: b\n", "configs: {a: b}\n", ""])
def test_without_a_list_of_configs_there_are_none(front: str) -> None:
    assert configs_of(card(front)) == ()


def nested(levels: int) -> str:
    return card("[" * levels + "]" * levels + "\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (card("a: &a x\nb: *a\n"), r"has an alias \(line 3\)"),
        (card("a: &a [x]\nb:\n  <<: *a\n"), "has an alias"),
        (card("&a [*a]\n"), "has an alias"),
        (nested(MOST_DEPTH + 1), "nested deeper than 64 levels"),
        (card("? " * 1000 + "\n"), "nested deeper"),
        (card("{" * 3000 + "\n"), "nested deeper"),
        (card(f"a: {'x' * MOST_BYTES}\n"), "more than 1 MiB"),
        (card("a: 1\na: 2\n"), "a key twice"),
        (card("[a]: 2\n"), "no text"),
        (card("configs:\n- other\n"), r"configs\[0\] of its front matter is no mapping"),
        (card("configs:\n- config_name: [a]\n"), r"configs\[0\].config_name .* is no text"),
        (card("configs:\n- data_files:\n"), "neither a path nor a list of paths"),
        (card("configs:\n- data_files: {train: {a: x}}\n"), "neither a path nor a list of paths"),
        (card("configs:\n- data_dir: [a]\n"), r"configs\[0\].data_dir .* is no text"),
        (card("configs:\n- data_files: [a, [b]]\n"), "neither a path"),
        (card("configs:\n- data_files:\n  - split: [a]\n    path: x\n"), "does not say split and path"),
        (card("configs:\n- data_files:\n  - split: a\n"), r"data_files\[0\].path .*neither a path"),
        (card("configs:\n- data_files:\n  - a\n  - path: x\n"), r"data_files\[0\] .*does not say"),
    ],
)
def test_what_is_beyond_the_limits_or_of_another_form_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        configs_of(text)


def test_the_deepest_that_is_taken() -> None:
    assert json.dumps(read_front_matter(nested(MOST_DEPTH))).count("[") == MOST_DEPTH


def test_the_forms_of_data_files() -> None:
    front = """configs:
- config_name: one
  data_files: a/*.parquet
- config_name: two
  default: true
  data_files: [a, b]
- config_name: three
  default: false
  data_files:
  - split: held out
    path: c
  - path: [d, e]
- config_name: four
"""
    one, two, three, four = configs_of(card(front))
    assert one.files == (DataFiles(split="train", patterns=("a/*.parquet",)),)
    assert two.files == (DataFiles(split="train", patterns=("a", "b")),)
    assert three.files == (DataFiles(split="held out", patterns=("c",)), DataFiles(split="train", patterns=("d", "e")))
    assert four.files is None
    assert [config.default for config in (one, two, three, four)] == [False, True, False, False]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "part", ["[", "{", "- ", "? ", "a: b, ", "- &a x\n", "%TAG !a! b\n", "'a': ", "a\n ", "#", "\t"]
)
def test_time_grows_with_the_size_alone(part: str) -> None:
    for text in (part * (MOST_BYTES // 8 // len(part)), "a\n...\n" + part * (MOST_BYTES // 8 // len(part))):
        try:
            read_front_matter(card(text + "\n"))
        except ValueError:
            continue
