"""Bayes accuracies of label columns against sums over every row of a block."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pid_enumeration import added, block_law

from symile_data.datasets.pid import PRESETS, Block
from symile_data.datasets.pid.probe_bayes import holds_accuracy, information_of, label_accuracy


def holds(block: Block, symbols: tuple[int, ...]) -> bool:
    if block.relation == "redundant":
        return len(set(symbols)) == 1
    if block.relation == "synergistic":
        return added(block, symbols) == 0
    return symbols[-1] == added(block, symbols[:-1])


def summed(block: Block, seen: tuple[str, ...]) -> float:
    masses: dict[tuple[int, ...], dict[bool, float]] = defaultdict(lambda: defaultdict(float))
    for symbols, weight in block_law(block).items():
        view = tuple(symbol for name, symbol in zip(block.scope, symbols, strict=True) if name in seen)
        masses[view][holds(block, symbols)] += weight
    return sum(max(mass.values()) for mass in masses.values())


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["redundant", "synergistic", "xor"]),
    st.integers(3, 4),
    st.integers(2, 4),
    st.sampled_from([0.0, 0.1, 0.375, 0.5, 0.9, 1.0]),
)
def test_whether_a_relation_holds(relation: str, size: int, values: int, strength: float) -> None:
    scope = tuple("abcd"[:size])
    block = Block(relation=relation, scope=scope, values=values, strength=strength, name="x")
    for count in range(size + 1):
        for seen in itertools.combinations(scope, count):
            assert holds_accuracy(block, seen) == pytest.approx(summed(block, seen)), seen


def test_labels_of_the_trifeature_design() -> None:
    design = PRESETS["trifeature"]
    told = {name: information_of(design, name) for name in ("b_shape", "a_colour", "rule_holds", "a_rule", "a_value")}
    assert told == {
        "b_shape": "redundant", "a_colour": "unique", "rule_holds": "synergistic", "a_rule": "", "a_value": "",
    }  # fmt: skip
    assert label_accuracy(design, "a_colour", ("b", "c")) == 0.1
    assert label_accuracy(design, "a_colour", ("a",)) == 1.0
    assert label_accuracy(design, "a_value", ("b",)) == pytest.approx(1 / 50)
    assert label_accuracy(design, "rule_drawn", ("b",)) is None
