"""Bayes accuracies of misaligned and noisy data against sums over every row that can occur."""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from typing import Any

import pytest
from pid_enumeration import joint_law, random_designs

from symile_data.datasets.m3 import unreliable as m3
from symile_data.datasets.pid import PRESETS, Block, Design
from symile_data.datasets.pid import unreliable as pid
from symile_data.datasets.pid.bayes import bayes_accuracy as pid_bayes
from symile_data.datasets.xor import unreliable as xor
from symile_data.datasets.xor.information import bayes_accuracy as xor_bayes
from symile_data.errors import UsageError

Law = dict[tuple[Any, ...], float]


def xor_law(variables: int, n: int, p: float) -> Law:
    law: Law = defaultdict(float)
    for free in itertools.product(range(n), repeat=variables - 1):
        total = 0
        for value in free:
            total ^= value
        for last, weight in ((total, p), (free[0], 1 - p)):
            law[(*free, last)] += weight / n ** (variables - 1)
    return law


def m3_law(classes: int, words: int, keys: int) -> Law:
    """Image class, the class of each language's word, the keys."""
    law: Law = {}
    for text in itertools.permutations(range(classes), words):
        for told in itertools.product(range(words), repeat=keys):
            law[(text[sum(told) % words], text, *told)] = 1 / (math.perm(classes, words) * words**keys)
    return law


def misaligned(law: Law, rates: list[float]) -> Law:
    """(flags, what is shown) -> probability, where a misaligned variable is an independent draw of its own law."""
    alone: list[dict[Any, float]] = [defaultdict(float) for _ in rates]
    for row, weight in law.items():
        for own, value in zip(alone, row, strict=True):
            own[value] += weight
    shown: Law = defaultdict(float)
    for flags in itertools.product((0, 1), repeat=len(rates)):
        chance = math.prod(rate if flag else 1 - rate for rate, flag in zip(rates, flags, strict=True))
        for row, weight in law.items() if chance else ():
            choices = [
                list(own.items()) if flag else [(value, 1.0)]
                for own, value, flag in zip(alone, row, flags, strict=True)
            ]
            for chosen in itertools.product(*choices):
                values = tuple(value for value, _ in chosen)
                shown[flags, values] += chance * weight * math.prod(share for _, share in chosen)
    return shown


def best(shown: Law, target: int, known: bool) -> float:
    guesses: dict[Any, dict[Any, float]] = defaultdict(lambda: defaultdict(float))
    for (flags, row), weight in shown.items():
        guesses[flags if known else None, row[:target] + row[target + 1 :]][row[target]] += weight
    return math.fsum(max(weights.values()) for weights in guesses.values())


def test_misaligned_xor_against_enumeration() -> None:
    draw = random.Random(0)
    for _ in range(14):
        variables = draw.choice([3, 3, 4])
        dims = draw.choice([1, 2]) if variables == 3 else 1
        p = draw.choice([1.0, 0.0, draw.random(), draw.random()])
        rates = [draw.choice([0.0, draw.random()]) for _ in range(variables)]
        shown = misaligned(xor_law(variables, 2**dims, p), rates)
        for known, target in itertools.product((False, True), range(variables)):
            expected = best(shown, target, known)
            between = 0 < target < variables - 1
            found = xor.misaligned_accuracy(p, dims, rates, between=between, known=known)
            assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("noisy", [0, 1, 2])
def test_one_noisy_variable_of_xor_against_enumeration(noisy: int) -> None:
    draw = random.Random(noisy)
    for known in (False, True):
        p, q, e, dims = draw.random(), draw.random(), draw.random() / 2, 2
        shown: Law = defaultdict(float)
        for row, weight in xor_law(3, 2**dims, p).items():
            shown[(False,), row] += weight * (1 - q)
            for flips in range(2**dims):
                flipped = (*row[:noisy], row[noisy] ^ flips, *row[noisy + 1 :])
                share = e ** flips.bit_count() * (1 - e) ** (dims - flips.bit_count())
                shown[(True,), flipped] += weight * q * share
        assert xor.noisy_accuracy(p, dims, q, e) == pytest.approx(best(shown, 1, known), abs=1e-12)


def test_misaligned_m3_against_enumeration() -> None:
    draw = random.Random(1)
    for classes, words, keys in ((3, 2, 1), (4, 2, 1), (3, 3, 1), (3, 2, 2)):
        rates = [draw.random() for _ in range(2 + keys)]
        shown = misaligned(m3_law(classes, words, keys), rates)
        found = m3.misaligned_accuracy(words, classes, rates[0], rates[1], rates[2:])
        for known in (False, True):
            assert found == pytest.approx(best(shown, 0, known), abs=1e-12)


def test_misaligned_designs_against_enumeration() -> None:
    draw, checked = random.Random(2), 0
    for design in random_designs(3, 40):
        law = joint_law(design)
        names = design.names
        if len(law) > 80 or len(names) > 3:
            continue
        rates = {name: draw.choice([0.0, draw.random()]) for name in names}
        shown = misaligned(law, [rates[name] for name in names])
        for target in names:
            others = [name for name in names if name != target]
            found = pid.misaligned_accuracy(design, target, others, rates)
            assert found == pytest.approx(best(shown, names.index(target), known=True), abs=1e-12)
            hidden = pid.misaligned_accuracy(design, target, others, rates, known=False)
            assert hidden == pytest.approx(best(shown, names.index(target), known=False), abs=1e-12)
            assert hidden <= found + 1e-12
        checked += 1
        if checked == 8:
            return
    assert checked >= 4


def test_copies_that_contradict_one_another_are_misaligned() -> None:
    blocks = (
        Block(relation="redundant", scope=("a", "b", "c"), values=3),
        Block(relation="xor", scope=("c", "a", "b"), values=2),
    )
    design = Design(modalities=dict.fromkeys("abc", "vector"), blocks=blocks)
    shown = misaligned(joint_law(design), [0.3, 0.2, 0.6])
    for target, name in enumerate("abc"):
        others = [other for other in "abc" if other != name]
        for known in (False, True):
            found = pid.misaligned_accuracy(design, name, others, {"a": 0.3, "b": 0.2, "c": 0.6}, known=known)
            assert found == pytest.approx(best(shown, target, known), abs=1e-12)


def flipped(law: Law, codes: list[tuple[int, ...]], place: int, q: float, e: float) -> Law:
    """(flag, what is shown) -> probability, where one modality shows its code, flipped place by place in some rows."""
    shown: Law = defaultdict(float)
    for row, weight in law.items():
        code = sum((codes[symbol] for symbol in row[place]), ())
        for flips in itertools.product((0, 1), repeat=len(code)):
            share = math.prod(e if flip else 1 - e for flip in flips)
            seen = tuple(bit ^ flip for bit, flip in zip(code, flips, strict=True))
            shown[(True,), (*row[:place], seen, *row[place + 1 :])] += weight * q * share
        shown[(False,), (*row[:place], code, *row[place + 1 :])] += weight * (1 - q)
    return shown


@pytest.mark.parametrize("relation", ["redundant", "synergistic"])
@pytest.mark.parametrize(("values", "group"), [(2, "xor"), (4, "xor"), (3, "cyclic"), (2, "cyclic")])
def test_one_noisy_modality_of_a_design_against_enumeration(relation: str, values: int, group: str) -> None:
    draw = random.Random(values)
    bits = group == "xor" and relation == "synergistic"
    codes = [
        tuple(value >> bit & 1 for bit in range(int(math.log2(values)))) if bits else
        tuple(int(place == value) for place in range(values))
        for value in range(values)
    ]  # fmt: skip
    for p, third in itertools.product((1.0, draw.random()), (True, False)):
        scope = ("a", "b", "c") if third or relation == "synergistic" else ("a", "b")
        blocks = [
            Block(
                relation=relation,
                scope=scope,
                values=values,
                strength=p,
                group=group if relation == "synergistic" else "",
            )
        ]
        blocks += [Block(relation="private", scope=(name,), values=2) for name in "abc" if name not in scope]
        design = Design(modalities=dict.fromkeys("abc", "vector"), blocks=tuple(blocks))
        q, e = draw.random(), draw.random() / 2
        shown = flipped(joint_law(design), codes, 0, q, e)
        for known in (False, True):
            found = pid.noisy_accuracy(design, "b", ["a", "c"], "a", q, e)
            assert found == pytest.approx(best(shown, 1, known), abs=1e-12)
        assert pid.noisy_accuracy(design, "b", ["a", "c"], "a", q, 0.0) == pytest.approx(
            pid_bayes(design, "b", ["a", "c"])
        )


def test_blocks_of_a_noisy_modality_fail_together() -> None:
    design = Design(
        modalities=dict.fromkeys("abc", "vector"),
        blocks=(
            Block(relation="redundant", scope=("a", "b", "c"), values=2),
            Block(relation="redundant", scope=("a", "b"), values=2),
            Block(relation="synergistic", scope=("a", "b", "c"), values=4),
        ),
    )
    assert pid.noisy_accuracy(design, "b", ["a", "c"], "a", 0.5, 0.25) == pytest.approx((1 + 0.75**3) / 2)
    assert pid.noisy_accuracy(design, "b", ["a", "c"], "c", 0.5, 0.25) == pytest.approx((1 + 0.75**2) / 2)


def test_without_rates_the_accuracies_are_those_of_reliable_data() -> None:
    design = next(random_designs(5, 1))
    target, *others = design.names
    assert pid.misaligned_accuracy(design, target, others, {}) == pid_bayes(design, target, others)
    assert xor.misaligned_accuracy(0.7, 3, [0, 0, 0]) == pytest.approx(xor_bayes(0.7, 3))
    assert xor.noisy_accuracy(0.7, 3, 0.0, 0.5) == pytest.approx(xor_bayes(0.7, 3))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: xor.misaligned_accuracy(1.0, 5, [0.5, 0.5]),
        lambda: xor.misaligned_accuracy(1.0, 5, [0.5, 0.5, 1.5]),
        lambda: xor.misaligned_accuracy(2.0, 5, [0.5, 0.5, 0.5]),
        lambda: xor.noisy_accuracy(1.0, 5, 0.5, 0.6),
        lambda: xor.noisy_accuracy(1.0, 5, -0.5, 0.5),
        lambda: m3.misaligned_accuracy(0, 5, 0, 0, [0]),
        lambda: m3.misaligned_accuracy(2, 5, 0, 2, [0]),
        lambda: pid.misaligned_accuracy(next(random_designs(5, 1)), "a", [], {"nothing": 0.5}),
        lambda: pid.misaligned_accuracy(next(random_designs(5, 1)), "a", [], {"a": 2}),
        lambda: pid.misaligned_accuracy(PRESETS["xor"], "b", ["a"], {"a": 0.5}, "bits", known=False),
        lambda: pid.noisy_accuracy(PRESETS["xor"], "b", ["a", "c"], "a", 0.5, 0.1),
        lambda: pid.noisy_accuracy(PRESETS["xnor"], "b", ["c"], "a", 0.5, 0.1),
        lambda: pid.noisy_accuracy(PRESETS["xnor"], "b", ["a", "c"], "a", 1.5, 0.1),
        lambda: pid.noisy_accuracy(PRESETS["xnor"], "b", ["a", "c"], "a", 0.5, 0.6),
    ],
)
def test_impossible_arguments_are_refused(ask: Any) -> None:
    with pytest.raises(UsageError):
        ask()


def test_no_more_modalities_are_misaligned_than_can_be_summed_over() -> None:
    names = list("abcdefghijklm")
    block = Block(relation="redundant", scope=tuple(names), values=2, name="r")
    design = Design(modalities=dict.fromkeys(names, "vector"), blocks=(block,))
    with pytest.raises(UsageError, match="more than 12 modalities are misaligned; got 13"):
        pid.misaligned_accuracy(design, "a", names[1:], dict.fromkeys(names, 0.5))
