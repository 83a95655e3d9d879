"""Does the speech name its language? Two classifiers tell the ten languages apart on unseen sentences and voices.

Run: python benchmarks/language_identification.py [--clips N] [--steps N] [--seed N]. The small audio network on log-mel
frames is to reach 0.95; a logistic regression on duration, loudness and mean pitch alone is to stay at 0.35 or below:
else something other than the language gives it away.

The network hears every training clip from another throat and at another pace each time (`altered`), or it learns the
voices: without that it reaches 0.93.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from symile_data.builders.m3.clips import clip
from symile_data.builders.m3.languages import LANGUAGES
from symile_data.builders.m3.sentences import split_sentences
from symile_data.builders.m3.speech import VOICES, synthesise
from symile_data.encoders.audio import SmallAudioEncoder
from symile_data.loaders.mel import SAMPLE_RATE_HZ, log_mel
from symile_data.streams import Stream

CODES = tuple(LANGUAGES)
MELS, FRAMES = 40, 256
TEST_CLIPS = 120  # of each language
BATCH = 64
NETWORK_GOAL, TRIVIAL_GOAL = 0.95, 0.35

_FRAME, _HOP = 1024, 512  # samples of a pitch frame and between frames
_LOWEST_HZ, _HIGHEST_HZ = 60, 400

_STRETCH = 0.15  # largest logarithm of the factors on pitch and formants, and on pace
_BAND = 6  # most mel bands that go missing

FloatArray = npt.NDArray[np.float32]


def speak(seed: int, part: str, count: int, sentences: list[int], voices: list[str]) -> tuple[list[FloatArray], Tensor]:
    """`count` waves of each language from the given sentences and voices, and their languages."""
    waves, labels = [], []
    for label, code in enumerate(CODES):
        for index in range(count):
            drawn = clip(seed, f"benchmark/{part}", code, sentences, index)
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


def trivial(wave: FloatArray) -> list[float]:
    """Seconds, RMS in dB and mean pitch in Hz (autocorrelation of voiced frames)."""
    rms = float(np.sqrt(np.mean(np.square(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(wave, _FRAME)[::_HOP]
    frames = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(_FRAME)
    power = np.abs(np.fft.rfft(frames, 2 * _FRAME)) ** 2
    correlation = np.fft.irfft(power)[:, :_FRAME]
    low, high = SAMPLE_RATE_HZ // _HIGHEST_HZ, SAMPLE_RATE_HZ // _LOWEST_HZ
    lags = correlation[:, low:high].argmax(axis=1) + low
    strength = correlation[np.arange(len(lags)), lags] / np.maximum(correlation[:, 0], 1e-9)
    voiced = strength > 0.3
    pitch = float(np.mean(SAMPLE_RATE_HZ / lags[voiced])) if voiced.any() else 0.0
    return [len(wave) / SAMPLE_RATE_HZ, 20 * float(np.log10(rms)), pitch]


def train_network(mels: list[FloatArray], labels: Tensor, steps: int, seed: int) -> nn.Module:
    """The small audio encoder with one output for each language."""
    torch.manual_seed(seed)
    model = SmallAudioEncoder(dim=len(CODES), mels=MELS, dropout=0.3)
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


def regression_accuracy(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor) -> float:
    """Accuracy of a logistic regression on standardised features."""
    mean, std = train.mean(dim=0), train.std(dim=0) + 1e-6
    model = nn.Linear(train.shape[1], len(CODES))
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=300)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model((train - mean) / std), train_labels)
        loss.backward()
        return loss

    optimiser.step(closure)
    return float((model((test - mean) / std).argmax(dim=1) == test_labels).float().mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=600, help="training clips of each language")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    start = time.perf_counter()
    parts = split_sentences(arguments.seed, {"train": 3, "validation": 0, "test": 1}, CODES)
    order = Stream(arguments.seed, "benchmark/voices").generator().permutation(len(VOICES))
    voices = [VOICES[i] for i in order]
    held_out = len(voices) // 4
    waves, labels = speak(arguments.seed, "train", arguments.clips, parts["train"], voices[held_out:])
    test_waves, test_labels = speak(arguments.seed, "test", TEST_CLIPS, parts["test"], voices[:held_out])
    model = train_network(spectrograms(waves), labels, arguments.steps, arguments.seed)
    with torch.inference_mode():
        guessed = model(torch.from_numpy(np.stack([window(mel) for mel in spectrograms(test_waves)]))).argmax(dim=1)
    right = (guessed == test_labels).float()
    features, test_features = (torch.tensor([trivial(wave) for wave in some]) for some in (waves, test_waves))
    simple = regression_accuracy(features, labels, test_features, test_labels)
    table = Table("", "accuracy", "goal", title=f"{len(CODES)} languages, unseen sentences and voices")
    table.add_row("small network", f"{right.mean():.3f}", f">= {NETWORK_GOAL}")
    table.add_row("duration, loudness, pitch", f"{simple:.3f}", f"<= {TRIVIAL_GOAL}")
    Console().print(table)
    each = ", ".join(f"{code} {right[test_labels == label].mean():.2f}" for label, code in enumerate(CODES))
    print(f"{len(waves)} training clips, {len(test_waves)} test clips; {each}; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
