"""Speech from espeak-ng, with the same bytes for the same request in any process.

espeak-ng keeps state between utterances (wave phase, flutter, a random generator seeded by the clock), so a second
recording in one process differs from the first. `synthesise` therefore loads the library for each recording, seeds its
generator, speaks and unloads it. This takes about 2 ms and is reproducible in any worker. The engine comes from the
package espeakng-loader (GPL-3, loaded at run time, never vendored).
"""

from __future__ import annotations

import _ctypes
import ctypes
import io
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from symile_data.datasets.m3.schema import SAMPLE_RATE_HZ
from symile_data.errors import MissingPackageError, SourceError

from .framing import framed

# Variants that sound human and differ from one another, without the whispering, robotic, unvoiced and very loud ones.
# All languages share them, so a voice does not reveal the language.
VOICES = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "Andy", "Annie", "Alex", "Alicia",
    "Andrea", "adam", "aunty", "belinda", "benjamin", "david", "ed", "edward", "Gene", "grandma", "ian", "john",
    "Lee", "linda", "max", "Mike", "pablo", "paul", "quincy", "rob", "robert", "shelby", "steph", "travis",
    "victor",
)  # fmt: skip

# Natural ranges in espeak-ng's units. All three are set explicitly, since each language's defaults would reveal it.
RATE_RANGE = (140, 200)  # words per minute
PITCH_RANGE = (30, 70)  # 0 to 99
INTONATION_RANGE = (30, 70)  # 0 to 99

# Arabic: espeak-ng drops a vowel sign before a shadda, but Unicode's normal forms put it there.
_SHADDA_LAST = re.compile("([\u064b-\u0650\u0652\u0670])\u0651")

_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_RATE, _PITCH, _RANGE = 1, 3, 4
_UTF8, _PHONEMES = 0x1, 0x100
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One recording to speak.

    Args:
        text: The text to speak; espeak-ng reads `[[...]]` as phonemes.
        language: espeak-ng voice name ("el", "cmn").
        voice: One of `VOICES`.
        rate: Words per minute.
        pitch: Pitch, 0 to 99.
        intonation: Pitch range, 0 to 99.
        seed: Seed of the engine's breath and flutter noise.
        lead: Samples of silence before the first sound.
        tail: Samples of silence after the last sound.
    """

    text: str
    language: str
    voice: str
    rate: int
    pitch: int
    intonation: int
    seed: int
    lead: int = 0
    tail: int = 0


def synthesise(utterance: Utterance) -> npt.NDArray[np.float32]:
    """Speak an utterance.

    Returns:
        (T,) float32 in [-1, 1], mono, 16 kHz, at -23 dBFS RMS, with exactly `lead` and `tail` samples of silence around
        the sound.

    Raises:
        SourceError: the engine does not know the voice, or makes no sound.
        MissingPackageError: the extra `speech` is not installed.
    """
    try:
        import soxr
    except ImportError:
        raise MissingPackageError("soxr", "speech", "speech synthesis") from None
    samples, rate = _speak(utterance)
    if not samples.any():
        raise SourceError("espeak-ng gave no sound", where=f"language {utterance.language}", got=repr(utterance.text))
    wave = soxr.resample(samples.astype(np.float64) / 32768.0, rate, SAMPLE_RATE_HZ)
    return framed(wave, utterance.lead, utterance.tail)


def encode_flac(wave: npt.NDArray[np.float32]) -> bytes:
    """Encode a mono 16 kHz wave, (T,) float32 in [-1, 1], as 16-bit FLAC. Equal waves give equal bytes."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, wave, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


@cache
def _engine() -> tuple[str, bytes]:
    """Return the paths of the library and of its data. Check once that every variant in `VOICES` exists, since
    espeak-ng ignores unknown ones.
    """
    try:
        import espeakng_loader
    except ImportError:
        raise MissingPackageError("espeakng-loader", "speech", "speech synthesis") from None
    data = Path(espeakng_loader.get_data_path())
    known = {entry.name for entry in (data / "voices" / "!v").iterdir()}
    unknown = [voice for voice in VOICES if voice not in known]
    if unknown:
        raise SourceError(
            "espeak-ng lacks voice variants", where=data, got=", ".join(unknown), do="reinstall espeakng-loader"
        )
    return str(espeakng_loader.get_library_path()), str(data).encode()


@cache
def _voice_file(language: str) -> str:
    """Return the place of a language's voice among the engine's files ("grk/el"), or the language itself if there is
    no file of that name. Given the place, the engine opens one file; for a name it reads all 141 of them, and since
    the library is loaded for each recording, that would take more time than the speech.
    """
    languages = Path(_engine()[1].decode()) / "lang"
    found = [path for path in languages.rglob("*") if path.name == language and path.is_file()]
    return found[0].relative_to(languages).as_posix() if len(found) == 1 else language


def _speak(utterance: Utterance) -> tuple[npt.NDArray[np.int16], int]:
    library_path, data_path = _engine()
    pieces: list[bytes] = []

    def receive(wave: int | None, count: int, _events: int | None) -> int:
        if wave and count:
            pieces.append(ctypes.string_at(wave, 2 * count))
        return 0

    callback = _CALLBACK(receive)  # must outlive the synthesis
    library = ctypes.CDLL(library_path)
    try:
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data_path, _DONT_EXIT)
        if rate <= 0:
            raise SourceError("espeak-ng does not start", where=data_path.decode(), got=rate)
        library.espeak_ng_SetRandSeed(ctypes.c_long(utterance.seed))
        library.espeak_SetSynthCallback(callback)
        voice = f"{_voice_file(utterance.language)}+{utterance.voice}"
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SourceError("espeak-ng does not know a voice", got=f"{utterance.language}+{utterance.voice}")
        for parameter, value in (
            (_RATE, utterance.rate),
            (_PITCH, utterance.pitch),
            (_RANGE, utterance.intonation),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        text = _SHADDA_LAST.sub("\u0651\\1", utterance.text).encode("utf-8") + b"\0"
        status = library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, _UTF8 | _PHONEMES, None, None)
        if status != 0:
            raise SourceError("espeak-ng failed to speak", got=repr(utterance.text))
        library.espeak_Terminate()
    finally:
        _ctypes.dlclose(library._handle)
    return np.frombuffer(b"".join(pieces), dtype=np.int16), rate
