"""Speech from Google's text-to-speech through gTTS: one voice in each language, cached on disk.

gTTS writes nothing and raises no error when an answer has no audio, so every answer is decoded before it is cached.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from symile_data.datasets.m3.schema import SAMPLE_RATE_HZ
from symile_data.errors import MissingPackageError
from symile_data.format.manifest import Dropped
from symile_data.format.media import UnfitMediumError, read_audio
from symile_data.progress import stage

from ..text.online import (
    NOT_ASKED,
    PATIENT,
    PAUSE_SECONDS,
    AnswerCache,
    FailureCounts,
    NoAnswerError,
    OnlineError,
    Patience,
    ask,
    no_answer,
    watched,
)
from .framing import LOUDNESS_DBFS

_SHORTEST_SECONDS = 0.1


def gtts_speech(
    text: str,
    language: str,
    *,
    cache: Path,
    strict: bool,
    pause_seconds: float = PAUSE_SECONDS,
    patience: Patience = PATIENT,
) -> npt.NDArray[np.float32]:
    """Fetch the speech of a text, from the cache or from the engine.

    Args:
        text: Plain text.
        language: Code as in `LANGUAGES`.
        cache: Directory of answers; a text that it has is not requested again.
        strict: Changes only the advice in the error: the caller decides what replaces a missing recording.
        pause_seconds: Pause before a request.
        patience: Retries and time-outs.

    Returns:
        (T,) float32 in [-1, 1], mono, 16 kHz, at -23 dBFS RMS.

    Raises:
        OnlineError: the engine gave no audio after all tries; `what` is "no speech: " and the reason.
        MissingPackageError: the extra `online` is not installed.
    """
    try:
        return _speech(text, language, AnswerCache(cache), pause_seconds, patience)
    except NoAnswerError as error:
        raise _error(error.reason, text, language, strict) from None


def gather_speech(
    texts: Sequence[tuple[str, str]],
    *,
    cache: Path,
    strict: bool,
    pause_seconds: float = PAUSE_SECONDS,
    patience: Patience = PATIENT,
) -> tuple[set[tuple[str, str]], list[Dropped]]:
    """Fetch the speech of many texts into the cache, one after the other, so that workers need no network afterwards.

    The requests stop when the engine no longer answers.

    Args:
        texts: (text, language) pairs.
        cache: Directory of answers; a text that it has is not requested again.
        strict: Stop at the first failure.
        pause_seconds: Pause between requests.
        patience: Retries and time-outs.

    Returns:
        The pairs without audio, and their counts by reason.

    Raises:
        OnlineError: a request failed and `strict` is true.
        MissingPackageError: the extra `online` is not installed.
    """
    failed: set[tuple[str, str]] = set()
    failures, answers = FailureCounts(), AnswerCache(cache)
    with stage("speaking (gtts)", len(texts), "recordings") as advance:
        for text, language in texts:
            advance()
            if _cached(text, language, answers) is not None:
                continue
            try:
                if failures.given_up:
                    raise NoAnswerError(NOT_ASKED, silent=True)
                _speech(text, language, answers, pause_seconds, patience)
                failures.heard()
            except NoAnswerError as error:
                if strict:
                    raise _error(error.reason, text, language, strict) from None
                failures.unanswered(error)
                failures.failed(error.reason, f"{language} {text!r}")
                failed.add((text, language))
    return failed, failures.dropped("speech")


def _error(reason: str, text: str, language: str, strict: bool) -> OnlineError:
    advice = "run the same command again to go on from here"
    if strict:
        advice += ", or allow the embedded voices (no `strict`)"
    return OnlineError(f"no speech: {reason}", where=f"gtts, {text!r} in {language}", do=advice)


def _speech(
    text: str, language: str, answers: AnswerCache, pause_seconds: float, patience: Patience
) -> npt.NDArray[np.float32]:
    kept = _cached(text, language, answers)
    if kept is not None:
        return kept
    patience.sleep(pause_seconds)
    mp3 = ask(lambda: _ask_once(text, language, patience), patience, f"gtts/{language}/{text}")
    wave = _decode(mp3)
    answers.write(_request(text, language), base64.b64encode(mp3).decode("ascii"))
    return wave


def _request(text: str, language: str) -> dict[str, str]:
    return {"engine": "gtts", "target": language, "text": text}


def _cached(text: str, language: str, answers: AnswerCache) -> npt.NDArray[np.float32] | None:
    answer = answers.read(_request(text, language))
    if answer is None:
        return None
    try:
        return _decode(base64.b64decode(answer, validate=True))
    except (binascii.Error, NoAnswerError):
        return None


def _ask_once(text: str, language: str, patience: Patience) -> bytes:
    try:
        from gtts import gTTS, gTTSError
    except ImportError:
        raise MissingPackageError("gTTS", "online", "speech by gtts") from None

    buffer = io.BytesIO()
    with watched(patience.timeout_seconds) as watch:
        try:
            gTTS(text, lang=language).write_to_fp(buffer)
        except gTTSError as error:
            response = getattr(error, "rsp", None)
            status = watch.status if response is None else response.status_code
            if status is not None and status < 300:  # the answer has a marker, but no audio after it
                raise NoAnswerError("empty audio", silent=True) from None
            raise no_answer(status) from None
        except AssertionError:
            raise NoAnswerError("nothing to speak") from None
        except ValueError:  # an unknown language, or an answer that is not base64
            reason = "language not supported" if watch.status is None else "unreadable answer"
            raise NoAnswerError(reason) from None
    return buffer.getvalue()


def _decode(mp3: bytes) -> npt.NDArray[np.float32]:
    """Decode MP3 bytes to (T,) float32, mono, 16 kHz, at -23 dBFS RMS.

    Raises:
        NoAnswerError: the bytes are not audio, or it is too short or silent.
    """
    try:
        import soxr
    except ImportError:
        raise MissingPackageError("soxr", "online", "speech by gtts") from None

    if not mp3:
        raise NoAnswerError("empty audio", silent=True)
    try:
        samples, rate = read_audio(mp3, "float64")
    except UnfitMediumError:
        raise NoAnswerError("audio that does not decode") from None
    if len(samples) < _SHORTEST_SECONDS * rate or not samples.any():
        raise NoAnswerError("empty audio")
    wave = soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE_HZ, quality="VHQ")
    level = 10 ** (LOUDNESS_DBFS / 20) / np.sqrt(np.mean(wave**2))
    clipped: npt.NDArray[np.float32] = np.clip(wave * level, -1.0, 1.0).astype(np.float32)
    return clipped
