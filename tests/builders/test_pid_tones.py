"""PID data whose audio plays tones: which tones, without a speech library, and what cannot be played."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from factories import contents, problems, rows_of

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.m3.audio.tones import LOWEST_HZ, SEMITONES, TONES
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.estimate import estimate_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.cards import write_card
from symile_data.datasets.pid import PRESETS, Block, Design
from symile_data.errors import UsageError
from symile_data.format import manifest as manifests
from symile_data.reliability import Reliability

pytestmark = pytest.mark.usefixtures("no_figures")

BLOCKS = (
    Block(name="same", relation="redundant", scope=("heard", "felt"), values=10),
    Block(name="own", relation="private", scope=("heard",), values=14),
)
DESIGN = Design(modalities={"heard": "audio", "felt": "vector"}, blocks=BLOCKS)
SPEC = PidSpec(design=DESIGN, rows={"train": 60, "validation": 4, "test": 4}, sounds="tones")


def tones_in(data: bytes) -> list[int]:
    """The numbers of the tones of a recording, by the strongest frequency of each part between silence."""
    samples, rate = soundfile.read(io.BytesIO(data))
    assert rate == 16_000
    loud = np.convolve(np.abs(samples) > 0, np.ones(800), "same") > 0  # parts are 100 ms apart at least
    edges = np.flatnonzero(np.diff(np.pad(loud.astype(int), 1)))
    found = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        spectrum = np.abs(np.fft.rfft(samples[start:stop] * np.hanning(stop - start), 1 << 17))
        hertz = spectrum.argmax() * rate / (1 << 17)
        found.append(round(12 * np.log2(hertz / LOWEST_HZ) / SEMITONES))
    return found


@pytest.mark.usefixtures("shared_workers")
def test_every_recording_plays_the_tones_of_its_symbols_without_a_speech_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)  # importing it fails
    build_pid(SPEC, tmp_path / "a", workers=1, write_card=write_card)
    assert problems(tmp_path / "a", deep=True) == []
    played = set()
    for row in rows_of(tmp_path / "a", "train"):
        assert tones_in(row["heard"]["bytes"]) == [row["heard_same"], 10 + row["heard_own"]]
        played |= {row["heard_same"], 10 + row["heard_own"]}
    assert played == set(range(TONES))
    manifest = manifests.read(tmp_path / "a")
    assert manifest.identity.spec["sounds"] == "tones"
    assert "espeakng-loader" not in manifest.identity.versions
    card = (tmp_path / "a" / "README.md").read_text()
    assert "tones, computed by symile-data" in card
    assert "espeak" not in card
    build_pid(SPEC, tmp_path / "b", workers=2, write_card=write_card)
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


def test_more_symbols_than_tones_and_tones_of_nothing_are_refused() -> None:
    wide = Design(modalities=DESIGN.modalities, blocks=(*BLOCKS, Block(relation="private", scope=("heard",), values=2)))
    with pytest.raises(UsageError, match=r"heard needs 26 tones for its blocks \(audio\), and there are 24"):
        PidSpec(design=wide, sounds="tones")
    with pytest.raises(UsageError, match="the design has none"):
        PidSpec(design=PRESETS["xor"], sounds="tones")
    with pytest.raises(UsageError, match="unknown `sounds`; got 'hum'"):
        PidSpec(design=DESIGN, sounds="hum")  # type: ignore[arg-type]  # what is tested
    assert "sounds" not in PidSpec(design=DESIGN).to_json()


def test_an_estimate_counts_noise(tmp_path: Path) -> None:
    noise = Reliability(noisy={"heard": 0.5}, noise_levels={"heard": 0.0}, misaligned={"felt": 0.5})
    noisy = PidSpec(design=DESIGN, rows={"train": 100, "validation": 0, "test": 100}, sounds="tones", reliability=noise)
    found = {stage.stage: stage for stage in estimate_pid(noisy, tmp_path, workers=1).stages}
    assert list(found) == ["heard", "shards", "noise of heard"]
    assert found["noise of heard"].units == 50  # the test split is clean
    assert found["noise of heard"].cpu_seconds_each > 0
    manifest = build_pid(noisy, tmp_path / "x", workers=1, write_card=no_card)
    stored = sum(entry.bytes for entry in manifest.files)
    assert estimate_pid(noisy, tmp_path, workers=1).dataset_bytes == pytest.approx(stored, rel=0.15)
