"""Frames: a wave between its first and last sound, silence as asked, one loudness."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from symile_data.builders.m3.audio.framing import framed

samples = st.integers(0, 400)


@given(samples, samples, st.integers(1, 500), samples, samples, st.floats(1e-3, 0.9), st.integers(0, 99))
def test_only_the_sound_is_kept(
    before: int, behind: int, length: int, lead: int, tail: int, peak: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sound = rng.uniform(0.2, 1.0, length) * rng.choice([-1.0, 1.0], length)
    faint = 0.009 * np.abs(sound).max()  # below 1 % of the peak
    wave = peak * np.concatenate([rng.uniform(-faint, faint, before), sound, rng.uniform(-faint, faint, behind)])
    found = framed(wave, lead, tail)
    assert found.dtype == np.float32
    assert len(found) == lead + length + tail
    assert not found[:lead].any() and not found[lead + length :].any()
    middle = found[lead : lead + length]
    unclipped = np.abs(middle) < 1.0
    assert np.array_equal(np.sign(middle), np.sign(sound))
    if unclipped.all():
        assert np.allclose(middle / middle[0], sound / sound[0], rtol=1e-4)
        assert abs(20 * np.log10(np.sqrt(np.mean(np.square(found, dtype=np.float64)))) + 23.0) < 1e-3


def test_quiet_stretches_within_the_sound_stay() -> None:
    wave = np.zeros(300)
    wave[[50, 250]] = 0.5, -0.5
    assert len(framed(wave, 0, 0)) == 201
