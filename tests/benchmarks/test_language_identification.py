"""The benchmark of the recordings: what it measures of a file, and what it asks of a Whisper model."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import transformers

from symile_data.errors import SourceError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "language_identification.py"
RATE = 16_000
TOKENS = {"<|en|>": 5, "<|zh|>": 7, "<|th|>": 11}  # of 20
SECONDS = 0.5


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("language_identification", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tone(hertz: float, seconds: float, lead: float = 0.0, tail: float = 0.0) -> np.ndarray:
    wave = 0.1 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    return np.pad(wave, (round(lead * RATE), round(tail * RATE))).astype(np.float32)


def test_the_features_of_a_file(benchmark: ModuleType) -> None:
    wave = tone(440, 1.0, lead=0.1, tail=0.25)
    onset, end, seconds, size, rms, peak = benchmark.file_features(wave)
    assert onset == pytest.approx(0.1, abs=1e-3)
    assert end == pytest.approx(0.25, abs=1e-3)
    assert seconds == 1.35
    assert size == len(benchmark.encode_flac(wave))
    assert rms == pytest.approx(20 * np.log10(0.1 / np.sqrt(2) * np.sqrt(1 / 1.35)), abs=1e-3)
    assert peak == pytest.approx(-20.0, abs=1e-2)


@pytest.mark.parametrize(("hertz", "band"), [(300, 0), (700, 1), (1500, 2), (3000, 3), (6000, 4)])
def test_a_tone_lies_in_its_band(benchmark: ModuleType, hertz: float, band: int) -> None:
    shares = benchmark.average_spectrum(tone(hertz, 1.0))
    assert len(shares) == 5
    assert shares[band] == pytest.approx(0.0, abs=0.01)
    assert all(share < -30 for place, share in enumerate(shares) if place != band)
    assert benchmark.mean_pitch(tone(200, 1.0)) == pytest.approx(200, abs=3)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, transformers.WhisperForConditionalGeneration]:
    """A random Whisper model of width 8 that knows three languages and takes recordings of half a second."""
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=20, max_source_positions=round(50 * SECONDS),
        vocab_size=20, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, init_std=2.0,
        begin_suppress_tokens=None,
    )  # fmt: skip
    model = transformers.WhisperForConditionalGeneration(config).eval()
    model.generation_config.lang_to_id = TOKENS
    model.generation_config._from_model_config = False  # else it is made anew from config.json, without languages
    folder = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(folder)
    return str(folder), model


def test_whisper_names_the_likeliest_of_its_languages(
    benchmark: ModuleType, whisper: tuple[str, transformers.WhisperForConditionalGeneration]
) -> None:
    folder, model = whisper
    rng = np.random.default_rng(0)
    waves = [
        tone(hertz, seconds) for hertz, seconds in zip(rng.uniform(100, 7000, 30), [0.1, 0.5, 0.9] * 10, strict=True)
    ]
    heard = benchmark.whisper_languages(waves, folder)
    extractor = transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=SECONDS)
    extractor.n_samples = round(SECONDS * RATE)
    codes = {"en": 5, "zh": 7, "th": 11}
    for wave, code in zip(waves, heard, strict=True):
        mel = extractor(wave, sampling_rate=RATE, return_tensors="pt").input_features
        with torch.inference_mode():
            logits = model(mel, decoder_input_ids=torch.tensor([[1]])).logits[0, -1]
        assert logits[codes[code]] == max(logits[token] for token in codes.values())
    assert len(set(heard)) > 1


def test_a_whisper_model_of_one_language_is_refused(
    benchmark: ModuleType, whisper: tuple[str, transformers.WhisperForConditionalGeneration], tmp_path: Path
) -> None:
    """Such as whisper-base.en: it has no language tokens."""
    transformers.WhisperForConditionalGeneration(whisper[1].config).save_pretrained(tmp_path)
    with pytest.raises(SourceError, match=r"knows no languages .*Choose a multilingual one."):
        benchmark.whisper_languages([tone(440, 0.5)], str(tmp_path))
