"""Means, intervals and the paired test against scipy, and what has no spread."""

from pathlib import Path

import pytest
from scipy import stats

from symile_data.errors import UsageError
from symile_data.evaluation.comparison import compare, paired_test, summary
from symile_data.evaluation.figures import draw_recalls

ONE, OTHER = [0.91, 0.88, 0.93, 0.9, 0.89], [0.11, 0.1, 0.14, 0.09, 0.12]


def test_the_interval_and_the_test_are_students() -> None:
    found = compare({"symile": ONE, "clip": OTHER})
    for loss, values in (("symile", ONE), ("clip", OTHER)):
        low, high = stats.t.interval(0.95, 4, loc=sum(values) / 5, scale=stats.sem(values))
        assert (found[loss]["low"], found[loss]["high"]) == pytest.approx((low, high))
    expected = stats.ttest_rel(ONE, OTHER)
    assert (found["difference"]["t"], found["difference"]["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    interval = expected.confidence_interval()
    assert (found["difference"]["low"], found["difference"]["high"]) == pytest.approx((interval.low, interval.high))


def test_one_seed_has_no_interval() -> None:
    assert compare({"symile": [0.9], "clip": [0.1]}) == {
        "symile": summary([0.9]),
        "clip": {"values": [0.1], "mean": 0.1},
    }
    assert "difference" not in compare({"symile": ONE})
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
