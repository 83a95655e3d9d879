"""Simulated misalignment and noise: nested, at the asked rate, a function of the row alone, never of the row itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.errors import UsageError
from symile_data.misalignment import shown_rows
from symile_data.missingness import missing, parse_rates
from symile_data.noise import NOISE_KINDS, noisy_rows, parse_levels, with_flips
from symile_data.reliability import Reliability, SplitRows
from symile_data.rng import Stream

PLACES = np.arange(20_000)
KINDS = {"a": "vector", "image": "image", "audio": "audio", "text": "text"}


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(2, 300), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_higher_rate_keeps_every_donor(seed: int, first: int, rows: int, rates: tuple[float, float]) -> None:
    places = np.arange(rows)
    fewer, more = (shown_rows(seed, first + places, places, "b", rate, rows) for rate in sorted(rates))
    assert not (fewer.misaligned & ~more.misaligned).any()
    assert (fewer.places == more.places)[fewer.misaligned].all()


@given(st.integers(0, 2**40), st.integers(2, 50), st.integers(0, 1000))
def test_a_donor_is_another_row_of_the_split(seed: int, rows: int, first: int) -> None:
    places = np.arange(rows)
    drawn = shown_rows(seed, first + places, places, "a", 1.0, rows)
    assert drawn.misaligned.all()
    assert (drawn.places != places).all()
    assert ((drawn.places >= 0) & (drawn.places < rows)).all()


def test_the_donor_is_what_the_definition_says() -> None:
    ids, rows = 500 + np.arange(40), 40
    drawn = shown_rows(7, ids, np.arange(rows), "image", 0.5, rows)
    for place in range(rows):
        flag, u = Stream(7, "misaligned/image").at(ids[place : place + 1], 2)[0]
        expected = (place + 1 + int(u * (rows - 1))) % rows if flag < 0.5 else place
        assert drawn.places[place] == expected
        assert drawn.misaligned[place] == (flag < 0.5)


@given(st.integers(0, 100), st.permutations(range(30)))
def test_a_row_is_the_same_however_it_is_asked_for(seed: int, order: list[int]) -> None:
    places, chosen = np.arange(30), np.array(order)
    whole = shown_rows(seed, places, places, "a", 0.6, 30)
    pieces = shown_rows(seed, chosen, chosen, "a", 0.6, 30)
    assert (pieces.places == whole.places[chosen]).all()


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.95])
def test_rates_are_met_and_donors_are_uniform(rate: float) -> None:
    drawn = shown_rows(0, PLACES, PLACES, "image", rate, len(PLACES))
    spread = np.sqrt(rate * (1 - rate) / len(PLACES))
    assert abs(drawn.misaligned.mean() - rate) < 4 * spread
    assert abs(noisy_rows(0, PLACES, "image", rate).mean() - rate) < 4 * spread
    away = ((drawn.places - PLACES) % len(PLACES))[drawn.misaligned]
    assert abs(away.mean() / len(PLACES) - 0.5) < 4 / np.sqrt(12 * len(away))


def test_the_draws_of_one_modality_do_not_tell_those_of_another() -> None:
    image, audio = (shown_rows(0, PLACES, PLACES, name, 0.5, len(PLACES)).misaligned for name in ("image", "audio"))
    absent, noisy = missing(0, PLACES, "image", 0.5), noisy_rows(0, PLACES, "image", 0.5)
    for other in (audio, absent, noisy):
        assert abs((image & other).mean() - 0.25) < 0.02


def test_a_single_row_stays_as_it_is() -> None:
    assert not shown_rows(0, np.array([5]), np.array([0]), "a", 1.0, 1).misaligned.any()


def test_flips_come_with_their_probability_and_go_with_a_second_call() -> None:
    bits = (Stream(1, "bits").rows(0, 5000, 5) < 0.5).astype(np.float32)
    noisy = with_flips(bits, 0, np.arange(5000), "a", 0.2)
    assert abs((noisy != bits).mean() - 0.2) < 4 * np.sqrt(0.16 / 25_000)
    assert (with_flips(noisy, 0, np.arange(5000), "a", 0.2) == bits).all()
    assert (with_flips(bits[7:9], 0, np.arange(7, 9), "a", 0.2) == noisy[7:9]).all()


def test_missing_and_test_rows_are_left_alone() -> None:
    settings = Reliability(misaligned={"a": 0.9}, noisy={"a": 0.9})
    places, absent = np.arange(100), np.arange(100) % 3 == 0
    rows = settings.draw(0, SplitRows("train", 50, 100), places, "a", absent)
    assert not (rows.shown.misaligned | rows.noisy)[absent].any()
    assert (rows.shown.places == places)[absent].all()
    assert rows.columns("a")["a_donor"][absent].tolist() == [-1] * int(absent.sum())
    swapped = rows.shown.misaligned
    assert (rows.columns("a")["a_donor"][swapped] == 50 + rows.shown.places[swapped]).all()
    for name, asked in (("test", settings), ("train", Reliability())):
        clean = asked.draw(0, SplitRows(name, 50, 100), places, "a", absent)
        assert not (clean.shown.misaligned | clean.noisy).any()
    both = Reliability(misaligned={"a": 1.0}, noisy={"a": 1.0}, misaligned_test=True, noisy_test=True)
    affected = both.draw(0, SplitRows("test", 0, 100), places, "a", np.zeros(100, dtype=bool))
    assert (affected.shown.misaligned & affected.noisy).all()


def test_settings_survive_the_manifest_and_leave_nothing_where_all_is_reliable() -> None:
    settings = Reliability(misaligned={"a": 0.3, "b": 0.0}, noisy={"b": 0.1}, noise_levels={"b": 0.2}, noisy_test=True)
    assert Reliability.of({"seed": 0, **settings.to_json()}) == settings
    assert Reliability(misaligned={"a": 0.0}).to_json() == {}
    assert list(settings.columns_of("a")) == ["a_misaligned", "a_donor"]
    assert list(settings.columns_of("b")) == ["b_noisy"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"misaligned": {"z": 0.5}}, "`misaligned` names a modality that this dataset does not have"),
        ({"noisy": {"z": 0.5}}, "`noisy` names a modality"),
        ({"misaligned": {"a": 1.5}}, "the `misaligned` rate of a is outside"),
        ({"misaligned": {"a": float("nan")}}, "the `misaligned` rate of a is outside"),
        ({"noisy": {"a": -0.1}}, "the `noisy` rate of a is outside"),
        ({"noisy": {"text": 0.1}}, "text is of a kind that has no noise; got a `noisy` rate of 0.1 for it.*=0.1"),
        ({"noisy": {"a": 0.2, "image": 0.3, "text": 0.1}}, "rates by name: a=0.2,.*image=0.3,.*audio=0.1"),
        ({"noisy": {"a": 0.1}, "noise_levels": {"a": 0.6}}, "from 0 to 0.5"),
        ({"noisy": {"image": 0.1}, "noise_levels": {"image": 300.0}}, "from 0 to 255"),
        ({"noisy": {"audio": 0.1}, "noise_levels": {"audio": float("nan")}}, "from -30 to 60"),
        ({"noise_levels": {"a": 0.1}}, "says how noisy values are, and none are"),
    ],
)
def test_settings_that_fit_no_dataset_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Reliability(**changes).check(KINDS)


def test_options_are_read_by_name_or_for_all() -> None:
    assert parse_rates("0.5", ["a", "b"], "misaligned") == {"a": 0.5, "b": 0.5}
    assert parse_levels("0.2", ["a", "b"]) == {"a": 0.2, "b": 0.2}
    assert parse_levels("a=0.2, b=3", ["a", "b"]) == {"a": 0.2, "b": 3.0}


@pytest.mark.parametrize(
    ("text", "words"), [("c=1", "does not have"), ("a=1,a=2", "two levels"), ("loud", "is a number"), ("a=", "number")]
)
def test_levels_that_cannot_be_read_are_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_levels(text, ["a", "b"])


@pytest.mark.parametrize(("text", "words"), [("1.1", "a misaligned rate"), ("z=1", "`misaligned` names")])
def test_rates_are_refused_under_their_own_name(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_rates(text, ["a", "b"], "misaligned")


def test_default_levels_and_their_ranges_never_change() -> None:
    """Manifests hold the levels that were given, and equal manifests mean equal bytes."""
    assert {kind: (noise.least, noise.default, noise.most) for kind, noise in NOISE_KINDS.items()} == {
        "vector": (0.0, 0.1, 0.5),
        "numbers": (0.0, 0.5, 1e6),
        "image": (0.0, 25.0, 255.0),
        "audio": (-30.0, 10.0, 60.0),
        "ecg": (-30.0, 10.0, 60.0),
        "labs": (0.0, 0.3, 2.0),
    }
