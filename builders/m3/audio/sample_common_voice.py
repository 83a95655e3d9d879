"""Write a sample Common Voice release: speech of espeak-ng in the layout, columns and formats of a real one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from symile_data.datasets.m3.schema import SAMPLE_RATE_HZ
from symile_data.errors import MissingPackageError
from symile_data.files import atomic_path, check_vacant, digest, write_text
from symile_data.progress import stage

from ..text.sentences import read_sentences
from .common_voice_tables import CLIPS, DURATIONS, TABLE
from .espeak import VOICES, synthesise
from .spoken import spoken_audio

COLUMNS = (
    "client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes", "age", "gender",
    "accents", "variant", "locale", "segment",
)  # fmt: skip

_RATE_HZ = 48_000
_OTHER_TABLES = ("dev.tsv", "test.tsv")
_OTHER_RECORDINGS = 2  # recordings in each of the other tables


def write_sample_common_voice(directory: Path, languages: Sequence[str], count: int, seed: int = 0) -> int:
    """Write `directory`/<locale>/{clips/*.mp3, train.tsv, dev.tsv, test.tsv, clip_durations.tsv}.

    A speaker is a voice, with about three recordings in each language. One recording of each train table has the
    duration zero, like some in the real releases.

    Args:
        directory: A new or empty folder.
        languages: Language codes.
        count: Number of recordings of each language in its train table.
        seed: Seed of the sentences and voices.

    Returns:
        The number of recordings in all tables.

    Raises:
        UsageError: the directory contains other files.
        MissingPackageError: the extra `speech` is not installed.
    """
    check_vacant(directory, languages)
    total = count + _OTHER_RECORDINGS * len(_OTHER_TABLES)
    with stage("sample speech", len(languages) * total, "recordings") as advance:
        for language in languages:
            durations, lines = [], []
            for index in range(total):
                name, line, milliseconds = _write_audio(directory / language, language, index, max(3, count // 3), seed)
                durations.append(f"{name}\t{0 if index == count - 1 else milliseconds}")
                lines.append(line)
                advance()
            tables = {TABLE: lines[:count]}
            for number, table in enumerate(_OTHER_TABLES):
                tables[table] = lines[count + number * _OTHER_RECORDINGS :][:_OTHER_RECORDINGS]
            for table, rows in tables.items():
                write_text(directory / language / table, "\n".join(["\t".join(COLUMNS), *rows]) + "\n")
            header = "clip\tduration[ms]"
            write_text(directory / language / DURATIONS, "\n".join([header, *durations]) + "\n")
    return len(languages) * total


def _write_audio(folder: Path, language: str, index: int, speakers: int, seed: int) -> tuple[str, str, int]:
    """Write one mp3. Return its name, its line of the table and its duration in milliseconds."""
    import soundfile

    try:
        import soxr
    except ImportError:
        raise MissingPackageError("soxr", "speech", "drawing sample speech") from None
    sentences = read_sentences(language)
    drawn = spoken_audio(seed, "sample", language, list(range(len(sentences))), index)
    speaker = index % min(speakers, len(VOICES))
    wave = synthesise(replace(drawn.utterance, voice=VOICES[speaker]))
    buffer = io.BytesIO()
    soundfile.write(buffer, soxr.resample(wave, SAMPLE_RATE_HZ, _RATE_HZ), _RATE_HZ, format="MP3")
    name = f"common_voice_{language}_{10_000_000 + index}.mp3"
    with atomic_path(folder / CLIPS / name) as temporary:
        temporary.write_bytes(buffer.getvalue())
    values = {
        "client_id": digest(f"{language}/{speaker}"),
        "path": name,
        "sentence_id": digest(f"sentence {drawn.sentence_id}"),
        "sentence": sentences[drawn.sentence_id].text,
        "up_votes": "2",
        "down_votes": "0",
        "locale": language,
    }
    return name, "\t".join(values.get(column, "") for column in COLUMNS), round(1000 * len(wave) / SAMPLE_RATE_HZ)
