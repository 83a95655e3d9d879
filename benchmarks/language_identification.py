"""Does the speech name its language, and does anything else? Ten languages, unseen sentences and voices.

Run: python benchmarks/language_identification.py [--clips N] [--test-clips N] [--steps N] [--seed N] [--whisper PATH]

- The small audio network on log-mel frames is to reach 0.95. It hears every training clip from another throat and at
  another pace each time (`altered`), or it learns the voices: without that it reaches 0.93.
- A random forest on what a file tells without being listened to (`file_features`) is to stay at 0.25 or below, and at
  0.33 or below with the long-term average spectrum in five bands: else something other than speech gives the language
  away. Chance is 0.10.
- With `--whisper`, a Whisper model in a local folder says which languages it hears, and nothing is trained: how real
  the speech sounds to a model that learned from people.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from symile_data.builders.m3.audio.espeak import VOICES, encode_flac, synthesise
from symile_data.builders.m3.audio.spoken import spoken_audio
from symile_data.builders.m3.text.languages import LANGUAGES
from symile_data.builders.m3.text.sentences import split_sentences
from symile_data.encoders.audio import SmallAudioEncoder
from symile_data.encoders.base import DataDescription
from symile_data.encoders.pretrained import load_model
from symile_data.errors import SourceError
from symile_data.loaders.decoders.mel import HOP_SAMPLES, SAMPLE_RATE_HZ, log_mel
from symile_data.rng import Stream

CODES = tuple(LANGUAGES)
MELS, FRAMES = 40, 256
BATCH = 64
NETWORK_GOAL, FILE_GOAL, SPECTRUM_GOAL = 0.95, 0.25, 0.33
TREES = 300
# Rows of the table: columns of the features (see `main`), and the most that a forest may reach with them.
FORESTS: tuple[tuple[str, list[int], float | None], ...] = (
    ("onset", [0], None),
    ("end", [1], None),
    ("duration", [2], None),
    ("file size", [3], None),
    ("level: RMS and peak", [4, 5], None),
    ("all of these", [*range(6)], FILE_GOAL),
    ("and five bands of the spectrum", [*range(11)], SPECTRUM_GOAL),
    ("and mean pitch", [*range(12)], None),
)

_SOUND = 0.05  # of the peak: where a clip's sound begins and ends
_BAND_EDGES_HZ = (0, 500, 1000, 2000, 4000, 8001)
_FRAME, _HOP = 1024, 512  # samples of a pitch frame and between frames
_LOWEST_HZ, _HIGHEST_HZ = 60, 400
_WHISPER_BATCH = 4

_STRETCH = 0.15  # largest logarithm of the factors on pitch and formants, and on pace
_BAND = 6  # most mel bands that go missing

FloatArray = npt.NDArray[np.float32]
Features = npt.NDArray[np.float64]


def speak(seed: int, part: str, count: int, sentences: list[int], voices: list[str]) -> tuple[list[FloatArray], Tensor]:
    """`count` waves of each language from the given sentences and voices, and their languages."""
    waves, labels = [], []
    for label, code in enumerate(CODES):
        for index in range(count):
            drawn = spoken_audio(seed, f"benchmark/{part}", code, sentences, index)
            voice = voices[VOICES.index(drawn.utterance.voice) % len(voices)]
            waves.append(synthesise(replace(drawn.utterance, voice=voice)))
            labels.append(label)
    return waves, torch.tensor(labels)


def spectrograms(waves: list[FloatArray]) -> list[FloatArray]:
    """(MELS, T) of each wave."""
    return [log_mel(wave, MELS) for wave in waves]


def window(mel: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
    """(MELS, FRAMES): a random stretch, or the middle; a short clip is repeated, so that length tells nothing."""
    mel = np.tile(mel, (1, -(-FRAMES // mel.shape[1])))
    spare = mel.shape[1] - FRAMES
    start = int(rng.integers(0, spare + 1)) if rng else spare // 2
    return mel[:, start : start + FRAMES]


def altered(mel: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A random window of the clip as another voice would speak it: frequencies and pace scaled, a band missing."""
    scale, pace = np.exp(rng.uniform(-_STRETCH, _STRETCH, size=2))
    mel = _sampled(mel, np.minimum(np.arange(MELS) * scale, MELS - 1))
    mel = window(_sampled(mel.T, np.arange(0, len(mel.T) - 1, pace)).T, rng)
    first = int(rng.integers(0, MELS - _BAND))
    mel[first : first + int(rng.integers(1, _BAND + 1))] = 0.0
    return mel


def _sampled(rows: FloatArray, places: npt.NDArray[np.float64]) -> FloatArray:
    """Rows at fractional places, linearly interpolated."""
    below = places.astype(int)
    above, share = np.minimum(below + 1, len(rows) - 1), (places - below)[:, None].astype(np.float32)
    return np.asarray(rows[below] * (1 - share) + rows[above] * share)


def file_features(wave: FloatArray) -> list[float]:
    """Onset, end and duration in seconds, bytes of the FLAC, RMS and peak in dB."""
    loud = np.abs(wave)
    first, last = np.flatnonzero(loud >= _SOUND * loud.max())[[0, -1]]
    rms = np.sqrt(np.mean(np.square(wave)))
    seconds = np.array([first, len(wave) - 1 - last, len(wave)]) / SAMPLE_RATE_HZ
    return [*seconds.tolist(), len(encode_flac(wave)), *(20 * np.log10([rms, loud.max()])).tolist()]


def average_spectrum(wave: FloatArray) -> list[float]:
    """Long-term average spectrum: the share of each of the five bands, in dB."""
    power = np.square(np.abs(np.fft.rfft(wave)))
    hertz = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE_HZ)
    bands = np.add.reduceat(power, np.searchsorted(hertz, _BAND_EDGES_HZ[:-1]))
    shares: list[float] = (10 * np.log10(bands / bands.sum() + 1e-9)).tolist()
    return shares


def mean_pitch(wave: FloatArray) -> float:
    """Mean pitch of the voiced frames in Hz, by autocorrelation."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, _FRAME)[::_HOP]
    frames = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(_FRAME)
    power = np.abs(np.fft.rfft(frames, 2 * _FRAME)) ** 2
    correlation = np.fft.irfft(power)[:, :_FRAME]
    low, high = SAMPLE_RATE_HZ // _HIGHEST_HZ, SAMPLE_RATE_HZ // _LOWEST_HZ
    lags = correlation[:, low:high].argmax(axis=1) + low
    voiced = correlation[np.arange(len(lags)), lags] > 0.3 * np.maximum(correlation[:, 0], 1e-9)
    return float(np.mean(SAMPLE_RATE_HZ / lags[voiced])) if voiced.any() else 0.0


def forest_accuracy(train: Features, labels: Tensor, test: Features, test_labels: Tensor, seed: int) -> float:
    """Accuracy of a random forest on (N, F) features."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(TREES, min_samples_leaf=3, random_state=seed)
    return float(forest.fit(train, labels.numpy()).score(test, test_labels.numpy()))


def whisper_languages(waves: Sequence[FloatArray], path: str) -> list[str]:
    """The language codes that a Whisper model hears in clips, each by the language token that it finds likeliest.

    Args:
        waves: 16 kHz, mono.
        path: Folder of a multilingual Whisper model as transformers saves it.

    Raises:
        SourceError: the model cannot be loaded, or knows no languages.
    """
    model: Any = load_model("WhisperForConditionalGeneration", path).eval()
    tokens = getattr(model.generation_config, "lang_to_id", None)
    if not tokens:
        raise SourceError("the Whisper model knows no languages", where=path, do="choose a multilingual one")
    codes = {token: name.strip("<|>") for name, token in tokens.items()}
    frames = 2 * model.config.max_source_positions
    heard: list[str] = []
    for start in range(0, len(waves), _WHISPER_BATCH):
        padded = (
            np.pad(wave[: frames * HOP_SAMPLES], (0, max(0, frames * HOP_SAMPLES - len(wave))))
            for wave in waves[start : start + _WHISPER_BATCH]
        )
        mels = torch.from_numpy(np.stack([log_mel(wave, model.config.num_mel_bins) for wave in padded]))
        heard += [codes[int(token)] for token in model.detect_language(mels, num_segment_frames=frames)]
    return heard


def train_network(mels: list[FloatArray], labels: Tensor, steps: int, seed: int) -> nn.Module:
    """The small audio encoder with one output for each language."""
    torch.manual_seed(seed)
    model = SmallAudioEncoder(len(CODES), DataDescription(), mels=MELS, dropout=0.3)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps)
    rng = Stream(seed, "benchmark/training").generator()
    model.train()
    order: list[int] = []
    for _ in range(steps):
        if len(order) < BATCH:
            order = rng.permutation(len(mels)).tolist()
        chosen, order = order[:BATCH], order[BATCH:]
        heard = torch.from_numpy(np.stack([altered(mels[i], rng) for i in chosen]))
        loss = nn.functional.cross_entropy(model(heard), labels[chosen], label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def each_language(right: Tensor, labels: Tensor) -> str:
    """Accuracy of each language, in words."""
    return ", ".join(f"{code} {right[labels == label].mean():.2f}" for label, code in enumerate(CODES))


def measure_whisper(waves: list[FloatArray], labels: Tensor, path: str) -> None:
    """Print how many clips a Whisper model hears in their own language, and what it hears else."""
    heard = whisper_languages(waves, path)
    spoken = [CODES[label].split("-")[0] for label in labels.tolist()]  # Whisper says zh
    right = torch.tensor([a == b for a, b in zip(heard, spoken, strict=True)]).float()
    print(f"{path}: {right.mean():.3f} of {len(waves)} clips; {each_language(right, labels)}")
    mistaken = Counter(f"{b} as {a}" for a, b in zip(heard, spoken, strict=True) if a != b)
    print("; ".join(f"{pair} {count}" for pair, count in mistaken.most_common(10)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=600, help="training clips of each language")
    parser.add_argument("--test-clips", type=int, default=200, help="test clips of each language")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--whisper", metavar="PATH", help="measure this Whisper model on the test clips instead")
    arguments = parser.parse_args()
    start = time.perf_counter()
    parts = split_sentences(arguments.seed, {"train": 3, "validation": 0, "test": 1}, CODES)
    order = Stream(arguments.seed, "benchmark/voices").generator().permutation(len(VOICES))
    voices = [VOICES[i] for i in order]
    held_out = len(voices) // 4
    test_waves, test_labels = speak(arguments.seed, "test", arguments.test_clips, parts["test"], voices[:held_out])
    if arguments.whisper:
        measure_whisper(test_waves, test_labels, arguments.whisper)
        return
    waves, labels = speak(arguments.seed, "train", arguments.clips, parts["train"], voices[held_out:])
    model = train_network(spectrograms(waves), labels, arguments.steps, arguments.seed)
    with torch.inference_mode():
        guessed = model(torch.from_numpy(np.stack([window(mel) for mel in spectrograms(test_waves)]))).argmax(dim=1)
    right = (guessed == test_labels).float()
    table = Table("", "accuracy", "goal", title=f"{len(CODES)} languages, unseen sentences and voices")
    table.add_row("small network", f"{right.mean():.3f}", f">= {NETWORK_GOAL}")
    columns = [
        np.array([[*file_features(wave), *average_spectrum(wave), mean_pitch(wave)] for wave in some])
        for some in (waves, test_waves)
    ]
    for name, chosen, goal in FORESTS:
        train, test = (features[:, chosen] for features in columns)
        accuracy = forest_accuracy(train, labels, test, test_labels, arguments.seed)
        table.add_row(name, f"{accuracy:.3f}", f"<= {goal}" if goal else "")
    Console().print(table)
    print(
        f"{len(waves)} training clips, {len(test_waves)} test clips; {each_language(right, test_labels)}; "
        f"{time.perf_counter() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
