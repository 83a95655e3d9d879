"""Designs: what they hold, how they are written, and every way in which one is wrong."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import pytest
from pid_enumeration import block_law, random_designs

from symile_data.datasets.pid import DEFAULT_PRESET, PRESETS, Block, Design, block_of, design_of, read_design
from symile_data.datasets.pid.alphabets import WORDS, texts, vectors, words_of
from symile_data.datasets.pid.bayes import bayes_accuracy
from symile_data.datasets.pid.ceilings import named_ceilings, retrieval_ceiling, subset_ceilings
from symile_data.datasets.pid.parse import modalities_of
from symile_data.datasets.pid.relations import allowed, holds, likelihood, symbols_of, value_numbers
from symile_data.datasets.pid.schema import pid_schema
from symile_data.datasets.pid.terms import terms_of
from symile_data.errors import UsageError

TOML = """
name = "mine"
[modalities]
image = "image"
text = "text"
touch = "vector"
[[block]]
name = "shape"
relation = "redundant"
scope = ["image", "text"]
values = 10
[[block]]
relation = "synergistic"
scope = ["image", "text", "touch"]
values = 4
strength = 0.5
group = "cyclic"
"""

EVERY_LETTER = "redundant:" + "+".join(ascii_lowercase)


def design(*blocks: Block, names: str = "abc") -> Design:
    return Design(modalities=dict.fromkeys(names, "vector"), blocks=blocks)


def test_a_file_and_options_give_the_same_design(tmp_path: Path) -> None:
    path = tmp_path / "design.toml"
    path.write_text(TOML)
    found = read_design(path)
    options = Design(
        name="mine",
        modalities=modalities_of(["image", "text", "touch"]),
        blocks=(
            block_of("redundant:image+text:n=10:name=shape"),
            block_of("synergistic:image+text+touch:values=4:p=0.5:group=cyclic"),
        ),
    )
    assert found == options
    assert found.blocks[1].name == "synergistic1"
    assert design_of(found.to_json()) == found
    for random in random_designs(1, 20):
        assert design_of(random.to_json()) == random


def test_presets_are_named_and_the_default_is_the_documented_one() -> None:
    assert all(name == preset.name for name, preset in PRESETS.items())
    terms = terms_of(PRESETS[DEFAULT_PRESET])
    image = next(part for part in terms["decompositions"] if part["target"] == "image")
    found = [image[part] for part in ("redundant", "unique_first", "unique_second", "synergistic")]
    assert found == pytest.approx([math.log(10), 0, math.log(4), math.log(4)])
    assert terms["best_by_order"]["image"] == pytest.approx({"0": 1 / 160, "1": 1 / 4, "2": 1.0})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"relation": "odd"}, "there is no relation 'odd'; choose among redundant"),
        ({"scope": ("a", "z")}, "its scope names 'z', which is no modality"),
        ({"scope": ("a", "a", "b")}, "its scope names a modality twice"),
        ({"scope": ("a",)}, "redundant takes 2 modalities or more, not a"),
        ({"scope": ()}, "redundant takes 2 modalities or more, not none"),
        ({"values": 1}, "values is a number from 2 to 32768, not 1"),
        ({"values": 40_000}, "values is a number from 2 to 32768, not 40000"),
        ({"strength": 1.5}, "strength is a probability from 0 to 1, not 1.5"),
        ({"strength": math.nan}, "strength is a probability from 0 to 1, not nan"),
        ({"group": "xor"}, "redundant adds no symbols, so it has no group"),
        ({"name": "Shape"}, "a name has lower-case letters"),
        ({"name": "missing"}, "2 columns would be called a_missing"),
        (
            {"relation": "synergistic", "scope": ("a", "b")},
            "synergistic takes 3 .*, not a.b; between two",
        ),
        (
            {"relation": "synergistic", "group": "xor"},
            "the group xor needs a power of two .*, not 6",
        ),
        ({"relation": "xor", "group": "odd"}, "there is no group 'odd'"),
        ({"relation": "private"}, "private takes one modality, not a.b.c"),
        ({"relation": "private", "scope": ("a",), "strength": 0.5}, "its strength is 1, not 0.5"),
    ],
)
def test_a_wrong_block_is_refused(changes: dict[str, Any], words: str) -> None:
    block = replace(Block(relation="redundant", scope=("a", "b", "c"), values=6, name="it"), **changes)
    rest = Block(relation="redundant", scope=("a", "b", "c"), values=2)
    with pytest.raises(UsageError, match=words):
        design(block, rest)


@pytest.mark.parametrize(
    ("kinds", "blocks", "words"),
    [
        ({"a": "vector"}, ["private:a:n=2"], "it has 1 modalities, and a dataset has 2 to 26"),
        (dict.fromkeys([*ascii_lowercase, "aa"], "vector"), [f"{EVERY_LETTER}+aa:n=2"], "it has 27 modalities"),
        ({"a": "vector", "b": "smell"}, ["redundant:a+b:n=2"], "b is of no known kind: 'smell'"),
        ({"a": "vector", "B": "vector"}, ["redundant:a+B:n=2"], "'B' names no modality"),
        ({"a": "vector", "b": "vector"}, [], "it has no block"),
        ({"a": "vector", "b": "vector"}, ["private:a:n=2"], "no block has b in its scope"),
        ({"a": "vector", "b": "vector"}, ["redundant:a+b:n=32768"] * 4, "values, more than"),
        ({"a": "vector", "a_b": "vector"}, ["redundant:a+a_b:n=2:name=x", "private:a:n=2:name=b_x"], "called a_b_x"),
        ({"a": "image", "b": "vector"}, ["redundant:a+b:n=2:name=id"], "2 columns would be called a_id"),
    ],
)
def test_a_wrong_design_is_refused(kinds: dict[str, str], blocks: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Design(modalities=kinds, blocks=tuple(block_of(text) for text in blocks))


def test_a_design_may_have_a_modality_for_each_letter() -> None:
    assert len(design(block_of(f"{EVERY_LETTER}:n=2"), names=ascii_lowercase).names) == 26


def test_everything_wrong_is_listed_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        design(block_of("odd:a:n=2"), block_of("redundant:a+z:n=0:p=7"))
    for words in ("no relation 'odd'", "names 'z'", "not 0", "not 7.0", "no block has b", "no block has c"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "text", ["redundant", "redundant:a+b", "redundant:a+b:n=x", "redundant:a+b:n=2:n=3", "redundant:a+b:n=2:q=1"]
)
def test_a_block_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="RELATION:SCOPE:n=NUMBER"):
        block_of(text)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("values = 10", 'values = "10"', "block 1: values is a whole number, not '10'"),
        ("values = 10", "values = true", "values is a whole number"),
        ("strength = 0.5", 'strength = "much"', "block 2: strength is a number"),
        ('name = "shape"', "name = 3", "block 1: name, relation and group are texts"),
        ('scope = ["image", "text"]', 'scope = "image"', "block 1: scope is a list of modalities"),
        ('relation = "redundant"', "", "block 1: it has no relation"),
        ('name = "shape"', "colour = 1", "block 1: it has an unknown setting 'colour'"),
        ('name = "mine"', "size = 1", "it has an unknown setting 'size'"),
        ("[[block]]", "[block", "not readable TOML"),
        ('image = "image"', "image = 1", "it needs a table .modalities."),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "design.toml"
    path.write_text(TOML.replace(old, new, 1))
    with pytest.raises(UsageError, match=words):
        read_design(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be opened"):
        read_design(tmp_path / "none.toml")


def test_relations_are_those_of_the_definition() -> None:
    """Whatever can occur is allowed with one of the two draws, and nothing else is."""
    for random in random_designs(2, 30):
        for block in random.blocks:
            law = block_law(block)
            every = list(itertools.product(range(block.values), repeat=len(block.scope)))
            columns = dict(zip(block.scope, np.array(every).T, strict=True))
            possible = allowed(block, columns, np.ones(len(every), bool)) | allowed(
                block, columns, np.zeros(len(every), bool)
            )
            assert [symbols in law for symbols in every] == possible.tolist()
            if block.relation == "redundant":
                assert holds(block, columns).tolist() == [len(set(symbols)) == 1 for symbols in every]


def test_likelihoods_are_the_conditional_probabilities() -> None:
    for block in itertools.chain.from_iterable(random.blocks for random in random_designs(3, 30)):
        for target in block.scope:
            others = [name for name in block.scope if name != target]
            for size in range(len(others) + 1):
                for seen in itertools.combinations(others, size):
                    check_likelihood(block, target, seen)


def check_likelihood(block: Block, target: str, seen: tuple[str, ...]) -> None:
    """Compare with the block's law for everything that the modalities in `seen` can show."""
    joint = np.zeros((block.values,) * (len(seen) + 1))
    for symbols, weight in block_law(block).items():
        joint[tuple(symbols[block.scope.index(name)] for name in (*seen, target))] += weight
    joint = joint.reshape(-1, block.values)
    shown = np.indices((block.values,) * len(seen)).reshape(len(seen), len(joint))
    found = likelihood(block, target, dict(zip(seen, shown, strict=True)), len(joint))
    occurs = joint.sum(axis=1) > 0
    shares, expected = (table[occurs] / table[occurs].sum(axis=1, keepdims=True) for table in (found, joint))
    np.testing.assert_allclose(shares, expected, atol=1e-12)


def test_the_ceiling_is_the_bayes_rate_where_every_value_occurs() -> None:
    """Rows in proportion to their probabilities, so that the mean over rows is the expectation."""
    block = Block(relation="xor", scope=("a", "b", "c"), values=4, strength=0.75, name="x")
    copy = Block(relation="redundant", scope=("a", "b", "c"), values=2, strength=0.5, name="y")
    found = design(block, copy)
    many = [
        [symbols for symbols, weight in block_law(one).items() for _ in range(round(weight * 64 * 4))]
        for one in (block, copy)
    ]
    rows = np.array([(*first, *second) for first in many[0] for second in many[1]])
    columns = {name: {"x": rows[:, place], "y": rows[:, 3 + place]} for place, name in enumerate(("a", "b", "c"))}
    for target in "abc":
        for readers in ([], ["a"], ["b"], ["c"], ["a", "b"], ["a", "c"], ["b", "c"]):
            if target not in readers:
                for name in (None, "x", "y"):
                    expected = bayes_accuracy(found, target, readers, name)
                    ceiling = retrieval_ceiling(found, columns, target, readers, name)
                    assert ceiling == pytest.approx(expected, abs=1e-12)


def test_values_that_do_not_occur_are_no_candidates() -> None:
    found = design(Block(relation="synergistic", scope=("a", "b", "c"), values=8, name="s"))
    rows = {"a": [0, 3], "b": [1, 1], "c": [1, 2]}
    columns = {name: {"s": np.array(symbols)} for name, symbols in rows.items()}
    assert retrieval_ceiling(found, columns, "a", ["b"]) == 0.5
    assert retrieval_ceiling(found, columns, "a", ["b", "c"]) == 1.0
    assert retrieval_ceiling(found, columns, "b", []) == 1.0
    assert named_ceilings(found, columns, "a") == {"all_others": 1.0, "one_other": 0.5}
    assert subset_ceilings(found, columns)["a"] == {"b": 0.5, "c": 0.5, "b+c": 1.0}


@pytest.mark.parametrize(("names", "sets"), [("abcd", 7), ("abcde", 5)])
def test_every_set_of_readers_is_asked_up_to_four_modalities(names: str, sets: int) -> None:
    found = design(block_of(f"redundant:{'+'.join(names)}:n=2:name=r"), names=names)
    columns = {name: {"r": np.array([0, 1])} for name in names}
    for ceilings in subset_ceilings(found, columns).values():
        assert list(ceilings.values()) == [1.0] * sets


def test_numbers_vectors_and_texts_decode() -> None:
    mixed = PRESETS["mixed"]
    numbers = np.arange(mixed.values_of("text"))
    symbols = symbols_of("text", mixed, numbers)
    np.testing.assert_array_equal(value_numbers("text", mixed, symbols), numbers)
    assert len(set(texts("text", mixed, symbols))) == len(numbers)
    assert [len(words) for words in words_of("audio", mixed)] == [10, 4, 10]
    assert len(set(itertools.chain(*words_of("audio", mixed)))) == 24
    assert len(set(WORDS)) == len(WORDS) and all(word.isalpha() and word.islower() for word in WORDS)
    parity = PRESETS["xnor"]
    bits = vectors("a", parity, {"bits": np.arange(32)})
    assert bits.shape == (32, 5)
    np.testing.assert_array_equal(bits @ (2 ** np.arange(5)), np.arange(32))


def test_the_schema_names_columns_after_modalities_and_blocks() -> None:
    schema = pid_schema(PRESETS["mixed"])
    assert list(schema.features)[:9] == [
        "sample_id", "image", "image_missing", "image_id", "image_common", "image_pair", "image_rule", "image_value",
        "audio",
    ]  # fmt: skip
    assert list(schema.features)[-2:] == ["voice_holds", "voice_drawn"]
    assert [modality.null_columns for modality in schema.modalities] == [
        ("image", "image_id"), ("audio", "audio_id"), ("text",),
    ]  # fmt: skip
    places = pid_schema(PRESETS["trifeature"]).modalities[0].details["places"]
    assert [(place["block"], place["start"], place["stop"]) for place in places] == [
        ("shape", 0, 10), ("colour", 10, 20), ("rule", 20, 25),
    ]  # fmt: skip
