"""Human speech from a Common Voice release: find the locales, list their recordings, divide the speakers, decode.

Layout: `cv-corpus-<version>/<locale>/{clips/*.mp3, train.tsv, clip_durations.tsv, ...}`. As in the paper only the table
`train.tsv` is used, and its recordings are divided among our splits. Tables are read by column name
(`common_voice_tables`), since the columns changed between versions. The column `path` is required; `client_id`, where
the table has it, keeps every speaker in one split. `clip_durations.tsv` is optional.

An mp3 is decoded only when a row needs it. The next recording of its language and split takes the place of one that
does not decode, which is counted under its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symile_data.datasets.m3.schema import SAMPLE_RATE_HZ
from symile_data.errors import MissingPackageError, SourceError
from symile_data.files import digest
from symile_data.format.manifest import Dropped
from symile_data.format.media import UnfitMediumError, read_audio
from symile_data.format.schema import SPLITS
from symile_data.progress.amounts import counted
from symile_data.rng import Stream

from ..text.sentences import proportions
from .common_voice_tables import CLIPS, TABLE, LeftOut, Recording, read_recordings
from .espeak import encode_flac
from .sources import SHARED, SourceAudio
from .spoken import UnreadableAudioError

QUIETEST_DBFS = -40.0  # root mean square of a whole recording, in decibels relative to full scale

_EXAMPLES = 5  # dropped recordings that the manifest names for each reason


@dataclass(frozen=True)
class RecordedAudio:
    """One recording, as a worker encodes it."""

    clip_id: str
    path: Path

    def encode(self) -> bytes:
        """Encode the recording as FLAC, 16 kHz mono, at its recorded level.

        Raises:
            UnreadableAudioError: with the reason "empty file", "does not decode" or "no sound" (below
                `QUIETEST_DBFS`).
            SourceError: the file cannot be opened at all.
        """
        try:
            import soxr
        except ImportError:
            raise MissingPackageError("soxr", "speech", "reading Common Voice") from None
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise SourceError(
                "cannot open a recording",
                where=self.path,
                got=error.strerror,
                do="fix this and run the same command again",
            ) from error
        if not data:
            raise UnreadableAudioError("empty file")
        try:
            wave, rate = read_audio(data, "float64")
        except UnfitMediumError:
            raise UnreadableAudioError("does not decode") from None
        mono = wave.mean(axis=1)
        if not np.isfinite(mono).all():
            raise UnreadableAudioError("does not decode")
        if not len(mono) or mono.std() < 10 ** (QUIETEST_DBFS / 20):  # the deviation also finds a constant signal
            raise UnreadableAudioError("no sound")
        resampled = soxr.resample(mono, rate, SAMPLE_RATE_HZ, quality="VHQ")
        if not len(resampled):
            raise UnreadableAudioError("no sound")
        return encode_flac(np.clip(resampled, -1.0, 1.0).astype(np.float32))


class CommonVoiceSource:
    """Recordings of a release.

    Args:
        path: The `cv-corpus-*` folder or the one above it.
        seed: The build's seed.
        languages: (L,) codes, which are the locales' folder names.
        rows: Rows of each split.
        shared: Whether one store serves all splits.

    Raises:
        SourceError: a folder, table or column is missing, the train table is broken, or a language has too few
            speakers.
    """

    packages: tuple[str, ...] = ()

    def __init__(self, path: Path, seed: int, languages: Sequence[str], rows: Mapping[str, int], shared: bool) -> None:
        self._languages = tuple(languages)
        self._folders = [find_locale(path, language) for language in languages]
        left_out = LeftOut()
        listed = [read_recordings(folder, left_out) for folder in self._folders]
        self._dropped = [
            Dropped(reason=f"audio: {reason}", count=len(names), examples=sorted(names)[:_EXAMPLES])
            for reason, names in sorted(left_out.files.items())
        ]
        self._notes = [_speakers_note(listed, shared), *left_out.notes]
        self._listing = digest([[[r.name, r.size, r.group] for r in recordings] for recordings in listed])
        self._counts = [len(recordings) for recordings in listed]
        self._stores: dict[str, list[list[str]]]
        if shared:
            self._stores = {SHARED: [[recording.name for recording in recordings] for recordings in listed]}
        else:
            self._stores = _divide(listed, self._folders, seed, rows)

    @property
    def dropped(self) -> list[Dropped]:
        """Lines and recordings that cannot be used, counted by reason."""
        return list(self._dropped)

    @property
    def notes(self) -> list[str]:
        """Sentences for the card on the speakers, and on tables that were not used or not in full."""
        return list(self._notes)

    def fingerprint(self) -> dict[str, Any]:
        """Return the number of recordings and a hash of their names, sizes and speakers."""
        return {"kind": "common-voice", "clips": sum(self._counts), "listing": self._listing}

    def sizes(self, store: str) -> tuple[int, ...]:
        """Return the number of a store's recordings in each language."""
        return tuple(len(names) for names in self._stores[store])

    def recording(self, store: str, language: int, index: int) -> SourceAudio:
        """Return the recording at a position of a language."""
        name = self._stores[store][language][index]
        return RecordedAudio(name.rpartition(".")[0], self._folders[language] / CLIPS / name)


def find_locale(path: Path, language: str) -> Path:
    """Find the folder of a language in a release.

    Args:
        path: The `cv-corpus-*` folder or the one above it.
        language: Language code, which is the locale's folder name.

    Raises:
        SourceError: there is no such folder, or two releases have one.
    """
    if not path.is_dir():
        raise SourceError(
            "there is no Common Voice folder", where=path, do="give the cv-corpus-... folder: `recordings`"
        )
    if (path / language).is_dir():
        return path / language
    below = sorted(entry / language for entry in path.iterdir() if (entry / language).is_dir())
    if len(below) > 1:
        raise SourceError(
            f"two Common Voice releases have the language {language}",
            where=path,
            got=", ".join(folder.parent.name for folder in below),
            do="give the path of one of them",
        )
    if below:
        return below[0]
    found = sorted(entry.name for entry in path.iterdir() if entry.is_dir())[:5]
    raise SourceError(
        f"Common Voice has no folder for the language {language}",
        where=path / language,
        got=", ".join(found) or "no folder at all",
        do="download and unpack this locale there, or leave the language out with `languages`",
    )


def _speakers_note(listed: Sequence[Sequence[Recording]], shared: bool) -> str:
    """Say whether splits share speakers. Separate speakers are promised only where every recording names one."""
    recorded = "Speech is recorded from people (Common Voice, its train tables)"
    if shared:
        return f"{recorded}."
    every = [recording for recordings in listed for recording in recordings]
    unknown = sum(recording.speaker is None for recording in every)
    if not unknown:
        return f"{recorded}; no speaker is in two splits."
    return (
        f"{recorded}. Of {counted(len(every), 'recording')}, {unknown:,} {'names' if unknown == 1 else 'name'} no"
        " speaker (client_id): these are divided one by one, and a person may be heard in several splits."
    )


def _divide(
    listed: Sequence[Sequence[Recording]], folders: Sequence[Path], seed: int, rows: Mapping[str, int]
) -> dict[str, list[list[str]]]:
    """Assign every speaker to one split, so that the numbers of recordings are in proportion to the splits' rows as
    nearly as whole speakers allow. A speaker of two languages stays in one split.
    """
    used = [split for split in SPLITS if rows[split]]
    split_of: dict[str, str] = {}
    stores: dict[str, list[list[str]]] = {split: [] for split in used}
    for folder, recordings in zip(folders, listed, strict=True):
        _assign(split_of, recordings, used, seed, folder.name, rows)
        for split in used:
            names = [recording.name for recording in recordings if split_of[recording.group] == split]
            if not names:
                raise SourceError(
                    f"a Common Voice locale has too few speakers for {len(used)} splits without shared speakers",
                    where=folder / TABLE,
                    got=f"{len({recording.group for recording in recordings})} speakers",
                    do="ask for fewer splits (`rows['validation']=0`), use `split_policy='shared'`, or leave the "
                    "language out",
                )
            stores[split].append(names)
    return stores


def _assign(
    split_of: dict[str, str],
    recordings: Sequence[Recording],
    used: Sequence[str],
    seed: int,
    locale: str,
    rows: Mapping[str, int],
) -> None:
    """Add a locale's speakers to `split_of`: those with most recordings first, each to the split that lacks most."""
    counts = Counter(recording.group for recording in recordings)
    shares = proportions(len(recordings), {split: rows[split] for split in SPLITS}, least=1)
    lacks = {split: shares[split] for split in used}
    empty = set(used)
    for speaker in counts:
        if speaker in split_of:
            lacks[split_of[speaker]] -= counts[speaker]
            empty.discard(split_of[speaker])
    new = sorted(speaker for speaker in counts if speaker not in split_of)
    order = Stream(seed, f"m3/speakers/{locale}").generator().permutation(len(new))
    by_size = sorted((new[i] for i in order), key=lambda speaker: -counts[speaker])
    for position, speaker in enumerate(by_size):
        # Where only as many speakers as empty splits are left, each empty split gets one.
        candidates = [s for s in used if s in empty] if len(by_size) - position <= len(empty) else list(used)
        split = max(candidates, key=lambda candidate: lacks[candidate])
        split_of[speaker] = split
        lacks[split] -= counts[speaker]
        empty.discard(split)
