"""Simulated missingness: nested, at the asked rate, a function of the sample alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.errors import UsageError
from symile_data.missingness import check_rates, missing, parse_rates

IDS = np.arange(20_000)


@given(st.integers(0, 2**40), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_higher_rate_takes_more_away_and_gives_nothing_back(seed: int, rates: tuple[float, float]) -> None:
    low, high = sorted(rates)
    fewer, more = missing(seed, IDS[:500], "audio", low), missing(seed, IDS[:500], "audio", high)
    assert not (fewer & ~more).any()


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.65, 0.95])
def test_the_rate_is_met(rate: float) -> None:
    spread = np.sqrt(rate * (1 - rate) / len(IDS))
    assert abs(missing(0, IDS, "image", rate).mean() - rate) < 4 * spread


def test_nothing_and_everything() -> None:
    assert not missing(0, IDS, "image", 0.0).any()
    assert missing(0, IDS, "image", 1.0).all()


def test_modalities_and_seeds_are_independent() -> None:
    image, audio, other = missing(0, IDS, "image", 0.5), missing(0, IDS, "audio", 0.5), missing(1, IDS, "image", 0.5)
    assert abs((image & audio).mean() - 0.25) < 0.02
    assert abs((image & other).mean() - 0.25) < 0.02


@pytest.mark.parametrize("modality", ["image", "audio", "text", "a"])
def test_a_loader_takes_away_half_of_what_a_build_with_its_seed_left(modality: str) -> None:
    built, loaded = (missing(0, IDS, modality, 0.5, when) for when in ("build", "load"))
    assert abs((built | loaded).mean() - 0.75) < 0.015
    assert abs(np.corrcoef(built, loaded)[0, 1]) < 0.03
    more = missing(0, IDS, modality, 0.65, "load")
    assert not (loaded & ~more).any()


def test_a_sample_lacks_the_same_in_any_company() -> None:
    order = np.random.default_rng(0).permutation(IDS)[:300]
    np.testing.assert_array_equal(missing(5, order, "text", 0.4), missing(5, IDS, "text", 0.4)[order])


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("0", {"image": 0.0, "audio": 0.0}),
        ("1", {"image": 1.0, "audio": 1.0}),
        ("image=0.5", {"image": 0.5, "audio": 0.0}),
        (" audio = .25 , image=1e-1", {"image": 0.1, "audio": 0.25}),
    ],
)
def test_rates_are_read(text: str, rates: dict[str, float]) -> None:
    assert parse_rates(text, ["image", "audio"]) == rates


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("half", "a missing rate is a number between 0 and 1; got 'half'."),
        ("", "a missing rate is a number between 0 and 1; got ''."),
        ("nan", "a missing rate is a number between 0 and 1; got 'nan'."),
        ("1.01", "a missing rate is a number between 0 and 1; got '1.01'."),
        ("image=-0.1", "a missing rate is a number between 0 and 1; got '-0.1'."),
        (
            "image=0.5, image=0.1",
            "`missing` gives a modality two rates; got 'image=0.5, image=0.1'. Give each modality one.",
        ),
        ("image=", "a missing rate is a number between 0 and 1; got ''."),
        (
            "image=0.5,ecg=0.5",
            "`missing` names a modality that this dataset does not have; got 'ecg'. Choose among image, audio.",
        ),
        ("=0.5", "`missing` names a modality that this dataset does not have; got ''. Choose among image, audio."),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rates(text, ["image", "audio"])
    assert str(caught.value) == message


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_rates_outside_are_refused_by_name(rate: float) -> None:
    with pytest.raises(UsageError, match="missing rate of audio is outside"):
        check_rates({"image": 0.5, "audio": rate})
