"""The closed forms of PID data agree with sums over every row that can occur, and binary XOR is one of their cases."""

from __future__ import annotations

import itertools
import math
from functools import cache

import pytest
from pid_enumeration import Law, best_accuracy, entropy, joint_law, random_designs

from symile_data.datasets.pid import PRESETS, Block, Design
from symile_data.datasets.pid.bayes import accuracies, bayes_accuracy, best_by_order
from symile_data.datasets.pid.decomposition import bipartitions, decompose
from symile_data.datasets.pid.information import (
    dual_total_correlation,
    interaction,
    mutual,
    o_information,
    total_correlation,
)
from symile_data.datasets.pid.information import entropy as closed_entropy
from symile_data.datasets.xor import information as xor
from symile_data.errors import UsageError

DESIGNS = list(random_designs(0, 100))
CLOSE = 1e-9


def sets_of(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [chosen for size in range(len(names) + 1) for chosen in itertools.combinations(names, size)]


@cache
def law_of(number: int) -> Law:
    """The joint law of one of `DESIGNS`."""
    return joint_law(DESIGNS[number])


@cache
def entropies(number: int) -> dict[frozenset[str], float]:
    """Entropy of every set of modalities of one of `DESIGNS`, by enumeration."""
    places = {name: place for place, name in enumerate(DESIGNS[number].names)}
    return {
        frozenset(chosen): entropy(law_of(number), [places[name] for name in chosen])
        for chosen in sets_of(DESIGNS[number].names)
    }


@pytest.mark.parametrize("chunk", range(10))
def test_every_term_agrees_with_enumeration(chunk: int) -> None:
    for number in range(10 * chunk, 10 * chunk + 10):
        design, h = DESIGNS[number], entropies(number)
        names = design.names
        for chosen, expected in h.items():
            assert closed_entropy(design, chosen) == pytest.approx(expected, abs=CLOSE)
        whole = h[frozenset(names)]
        singles = sum(h[frozenset({name})] for name in names)
        lacking = sum(whole - h[frozenset(names) - {name}] for name in names)
        assert total_correlation(design) == pytest.approx(singles - whole, abs=CLOSE)
        assert dual_total_correlation(design) == pytest.approx(whole - lacking, abs=CLOSE)
        assert o_information(design) == pytest.approx(singles - 2 * whole + lacking, abs=CLOSE)
        for one, other in itertools.combinations(names, 2):
            pair = h[frozenset({one})] + h[frozenset({other})] - h[frozenset({one, other})]
            assert mutual(design, [one], [other]) == pytest.approx(pair, abs=CLOSE)
            for third in set(names) - {one, other}:
                given = h[frozenset({one, third})] + h[frozenset({other, third})]
                given -= h[frozenset({one, other, third})] + h[frozenset({third})]
                assert mutual(design, [one], [other], [third]) == pytest.approx(given, abs=CLOSE)
                assert interaction(design, one, other, third) == pytest.approx(pair - given, abs=CLOSE)


@pytest.mark.parametrize("chunk", range(10))
def test_every_accuracy_agrees_with_enumeration(chunk: int) -> None:
    for number in range(10 * chunk, 10 * chunk + 10):
        design, law = DESIGNS[number], law_of(number)
        names = design.names
        places = {name: place for place, name in enumerate(names)}
        for target in names:
            found = accuracies(design, target)
            assert len(found) == 2 ** (len(names) - 1)
            for readers, accuracy in found.items():
                expected = best_accuracy(law, places[target], [places[name] for name in readers])
                assert accuracy == pytest.approx(expected, abs=CLOSE)
            for order, best in best_by_order(found).items():
                assert best == max(value for readers, value in found.items() if len(readers) == order)


@pytest.mark.parametrize("chunk", range(10))
def test_a_decomposition_keeps_the_sums_that_define_it(chunk: int) -> None:
    """R + U_A = I(t; A), R + U_B = I(t; B), all four = I(t; A, B); and no term is negative."""
    for number in range(10 * chunk, 10 * chunk + 10):
        design, h = DESIGNS[number], entropies(number)
        for target in design.names:
            for first, second in bipartitions(design, target):
                found = decompose(design, target, first, second)
                groups = [frozenset(first), frozenset(second), frozenset((*first, *second))]
                one, other, both = (h[frozenset({target})] + h[group] - h[group | {target}] for group in groups)
                assert found.redundant + found.unique_first == pytest.approx(one, abs=CLOSE)
                assert found.redundant + found.unique_second == pytest.approx(other, abs=CLOSE)
                assert found.total == pytest.approx(both, abs=CLOSE)
                assert min(found.redundant, found.unique_first, found.unique_second, found.synergistic) >= 0


def one_block(relation: str, values: int, strength: float = 1.0) -> Design:
    scope = ("a", "b", "c")
    block = Block(relation=relation, scope=scope, values=values, strength=strength)
    return Design(modalities=dict.fromkeys(scope, "vector"), blocks=(block,))


def test_pure_relations_have_pure_decompositions() -> None:
    copy, parity = (decompose(one_block(name, 5), "a", ["b"], ["c"]) for name in ("redundant", "synergistic"))
    assert (copy.redundant, copy.unique_first, copy.unique_second) == pytest.approx((math.log(5), 0, 0))
    assert copy.synergistic == pytest.approx(0, abs=1e-12)
    assert (parity.redundant, parity.unique_first, parity.unique_second) == (0, 0, 0)
    assert parity.synergistic == pytest.approx(math.log(5))
    assert o_information(one_block("redundant", 5)) == pytest.approx(math.log(5))
    assert o_information(one_block("synergistic", 5)) == pytest.approx(-math.log(5))


def test_a_noisy_copy_holds_synergy_too() -> None:
    """The value was measured by enumeration and BROJA's optimum, apart from this code."""
    found = decompose(one_block("redundant", 2, 0.8), "a", ["b"], ["c"])
    assert (found.redundant, found.synergistic) == pytest.approx((0.368, 0.063), abs=6e-4)


def test_what_two_modalities_share_is_unique_to_the_source_that_has_it() -> None:
    names = {"a": "vector", "b": "vector", "c": "vector"}
    pair = Block(relation="redundant", scope=("a", "b"), values=7)
    own = Block(relation="private", scope=("c",), values=3)
    design = Design(modalities=names, blocks=(pair, own))
    found = decompose(design, "a", ["b"], ["c"])
    assert (found.redundant, found.unique_first, found.unique_second) == pytest.approx((0, math.log(7), 0))
    assert decompose(design, "c", ["a"], ["b"]).total == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dims", [1, 2, 5, 9])
@pytest.mark.parametrize("p_hat", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("variables", [3, 4, 6])
def test_binary_xor_is_one_block(dims: int, p_hat: float, variables: int) -> None:
    names = tuple("abcdef"[:variables])
    block = Block(relation="xor", scope=names, values=2**dims, strength=p_hat)
    design = Design(modalities=dict.fromkeys(names, "vector"), blocks=(block,))
    n, rest = 2.0**dims, set(names)
    draw = -sum(p * math.log(p) for p in (p_hat, 1 - p_hat) if p)
    equal = (1 - p_hat) + p_hat / n
    pair = equal * math.log(n * equal) + (1 - 1 / n) * (p_hat * math.log(p_hat) if p_hat else 0)
    total = dims * math.log(2) - (1 - 1 / n) * draw
    for found, expected in (
        (total_correlation(design), total),
        (xor.total_correlation(p_hat, dims), total),
        (mutual(design, ["a"], names[-1:]), pair),
        (xor.pair_information(p_hat, dims), pair),
        (mutual(design, ["a"], ["b"], rest - {"a", "b"}), total - pair),
        (xor.conditional_information(p_hat, dims), total - pair),
        (bayes_accuracy(design, "b", rest - {"b"}), p_hat + (1 - p_hat) / n),
        (xor.bayes_accuracy(p_hat, dims), p_hat + (1 - p_hat) / n),
        (bayes_accuracy(design, names[-1], names[:-1]), 1 / n + (1 - 1 / n) * max(p_hat, 1 - p_hat)),
        (xor.bayes_accuracy(p_hat, dims, between=False), 1 / n + (1 - 1 / n) * max(p_hat, 1 - p_hat)),
    ):
        assert found == pytest.approx(expected, abs=1e-12)


def test_one_block_of_a_target_can_be_predicted_alone() -> None:
    design = PRESETS["mixed"]
    assert bayes_accuracy(design, "image", ["text"], "pair") == 1
    assert bayes_accuracy(design, "image", ["audio"], "pair") == 0.25
    assert bayes_accuracy(design, "image", ["text"]) == 0.25
    assert bayes_accuracy(design, "audio", ["image", "text"]) == 0.1


@pytest.mark.parametrize(
    ("target", "readers", "block"), [("x", ["a"], None), ("a", ["a", "b"], None), ("a", ["b"], "none")]
)
def test_a_question_that_makes_no_sense_is_refused(target: str, readers: list[str], block: str | None) -> None:
    with pytest.raises(UsageError):
        bayes_accuracy(PRESETS["xor"], target, readers, block)
    with pytest.raises(UsageError):
        decompose(PRESETS["xor"], "a", ["b"], ["b", "c"])
