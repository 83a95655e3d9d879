"""Means, intervals and the paired test against scipy, and what has no spread."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from symile_data.errors import UsageError
from symile_data.evaluation.comparison import compare, holm, paired_test, summary
from symile_data.evaluation.figures import draw_recalls

ONE, OTHER = [0.91, 0.88, 0.93, 0.9, 0.89], [0.11, 0.1, 0.14, 0.09, 0.12]


def test_the_interval_and_the_test_are_students() -> None:
    found = compare({"symile": ONE, "clip": OTHER})
    for loss, values in (("symile", ONE), ("clip", OTHER)):
        low, high = stats.t.interval(0.95, 4, loc=sum(values) / 5, scale=stats.sem(values))
        assert (found[loss]["low"], found[loss]["high"]) == pytest.approx((low, high))
    expected = stats.ttest_rel(ONE, OTHER)
    difference = found["differences"]["clip"]
    assert (difference["t"], difference["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert difference["p_holm"] == difference["p"]
    interval = expected.confidence_interval()
    assert (difference["low"], difference["high"]) == pytest.approx((interval.low, interval.high))


def test_each_is_tested_against_the_first_with_holms_correction() -> None:
    near = [value + shift for value, shift in zip(ONE, (0.01, 0.03, 0.02, 0.0, 0.02), strict=True)]
    found = compare({"symile": ONE, "near": near, "clip": OTHER, "same": ONE})["differences"]
    assert list(found) == ["near", "clip", "same"]
    for name, values in (("near", near), ("clip", OTHER)):
        assert found[name]["p"] == pytest.approx(stats.ttest_rel(ONE, values).pvalue)
    assert found["clip"]["p_holm"] == pytest.approx(3 * found["clip"]["p"])
    assert found["near"]["p_holm"] == pytest.approx(2 * found["near"]["p"])
    assert found["same"]["p_holm"] == 1.0


def test_holm_by_hand() -> None:
    # Sorted: .01 * 4 = .04, .02 * 3 = .06, .03 * 2 = .06, .5 * 1 = .5, in the order given.
    assert holm([0.03, 0.5, 0.01, 0.02]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([None, 0.02, 0.2]) == [None, pytest.approx(0.06), pytest.approx(0.4)]
    assert holm([]) == []


@given(st.lists(st.integers(0, 1000).map(lambda hits: hits / 1000), min_size=2, max_size=6))
def test_intervals_of_shares_stay_between_0_and_1(values: list[float]) -> None:
    found = summary(values, shares=True)
    assert 0.0 <= found["low"] <= found["mean"] <= found["high"] <= 1.0
    assert (found["low"] == found["high"]) is (min(values) == max(values))
    difference = paired_test(values, values[::-1], shares=True)
    assert -1.0 <= difference["low"] <= difference["high"] <= 1.0


def test_the_interval_of_shares_is_students_for_the_log_odds() -> None:
    found, mean = summary(ONE, shares=True), sum(ONE) / 5
    margin = stats.t.ppf(0.975, 4) * stats.sem(ONE) / (mean * (1 - mean))
    for end, shift in ((found["low"], -margin), (found["high"], margin)):
        assert math.log(end / (1 - end)) == pytest.approx(math.log(mean / (1 - mean)) + shift)
    plain = summary([0.499, 0.501, 0.5])  # far from 0 and 1 both are the same
    shares = summary([0.499, 0.501, 0.5], shares=True)
    assert (shares["low"], shares["high"]) == pytest.approx((plain["low"], plain["high"]), abs=1e-6)


def test_one_seed_has_no_interval() -> None:
    assert compare({"symile": [0.9], "clip": [0.1]}) == {
        "symile": summary([0.9]),
        "clip": {"values": [0.1], "mean": 0.1},
    }
    assert "differences" not in compare({"symile": ONE})
    with pytest.raises(UsageError, match="compared on the same seeds"):
        compare({"symile": ONE, "clip": [0.1]})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([0.5, 0.75], [0.25, 0.5]),
        ([0.3, 0.4, 0.7], [0.2, 0.3, 0.6]),  # 0.1 in three ways: 0.09999999999999998, 0.10000000000000003, ...
        ([1e9 + 0.1, 2e9 + 0.1, 3e9 + 0.1], [1e9, 2e9, 3e9]),
    ],
)
def test_differences_that_are_equal_up_to_rounding_are_not_tested(first: list[float], second: list[float]) -> None:
    for one, other in ((first, second), (second, first)):
        found = paired_test(one, other)
        assert (found["t"], found["p"]) == (None, None) and "equal up to rounding" in found["note"]
    found = paired_test(first, first)
    assert (found["t"], found["p"]) == (0.0, 1.0) and "equal up to rounding" in found["note"]


def test_a_small_spread_of_differences_is_still_tested() -> None:
    found = paired_test([0.3, 0.4, 0.7 + 1e-9], [0.2, 0.3, 0.6])
    assert 0.0 < found["p"] < 1e-12 and "note" not in found


def test_recalls_are_drawn(tmp_path: Path) -> None:
    names = ("accuracy", "recall_at_5", "recall_at_10")
    losses = {loss: {name: summary(values) for name in names} for loss, values in (("symile", ONE), ("clip", OTHER))}
    draw_recalls(tmp_path / "recalls.png", losses, {"text_alone": 0.1, "random_candidate": 0.008}, "Retrieval of image")
    assert (tmp_path / "recalls.png").read_bytes().startswith(b"\x89PNG")
    draw_recalls(tmp_path / "one.png", {"symile": {name: {"mean": 0.5} for name in names}}, {}, "Retrieval")
    assert (tmp_path / "one.png").is_file()
