"""Human speech from a Common Voice release: find the locales, list their clips, divide the speakers, decode.

Layout: `cv-corpus-<version>/<locale>/{clips/*.mp3, train.tsv, clip_durations.tsv, ...}`. As in the paper only the table
`train.tsv` is used, and its clips are divided among our splits. Tables are read by column name, since the columns
changed between versions: `path` is needed; `client_id`, where there is one, keeps every speaker in one split.
`clip_durations.tsv` is optional.

An mp3 is decoded only when a row needs it. One that does not decode gives its place to the next one of its language
and split, and is counted under its reason.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symile_data.errors import MissingPackageError, SourceError
from symile_data.files import digest
from symile_data.manifest import Dropped
from symile_data.media import UnfitMediumError, read_clip
from symile_data.schema import SPLITS
from symile_data.streams import Stream

from .audio_sources import SHARED, SourceClip
from .clips import UnreadableClipError
from .schema import SAMPLE_RATE_HZ
from .sentences import proportions
from .speech import encode_flac

TABLE = "train.tsv"
DURATIONS = "clip_durations.tsv"
CLIPS = "clips"

_DURATION_COLUMNS = ("duration[ms]", "duration")
_LONGEST_NAME = 255  # bytes, of Linux's file systems
_EXAMPLES = 5  # dropped clips named for each reason


@dataclass(frozen=True)
class RecordedClip:
    """One recording, as workers need it."""

    clip_id: str
    path: Path

    def encode(self) -> bytes:
        """The recording as FLAC, 16 kHz mono, at the level it was recorded with.

        Raises:
            UnreadableClipError: with the reason "empty file", "does not decode" or "no sound".
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
                "cannot open a clip", where=self.path, got=error.strerror, do="mend that and run the same command again"
            ) from error
        if not data:
            raise UnreadableClipError("empty file")
        try:
            wave, rate = read_clip(data, "float64")
        except UnfitMediumError:
            raise UnreadableClipError("does not decode") from None
        mono = wave.mean(axis=1)
        if not len(mono) or not mono.any():
            raise UnreadableClipError("no sound")
        resampled = soxr.resample(mono, rate, SAMPLE_RATE_HZ, quality="VHQ")
        if not len(resampled):
            raise UnreadableClipError("no sound")
        return encode_flac(np.clip(resampled, -1.0, 1.0).astype(np.float32))


@dataclass(frozen=True)
class _Recording:
    """A line of a table: file name, size in bytes, and the speaker (the file itself where none is told)."""

    name: str
    size: int
    speaker: str


class CommonVoiceSource:
    """Recordings of a release.

    Args:
        path: The `cv-corpus-*` folder or the one above it.
        seed: The build's seed.
        languages: (L,) codes, which are the locales' folder names.
        rows: Rows of each split.
        shared: One pool for all splits.

    Raises:
        SourceError: a folder, table or column is missing, a table is broken, or a language has too few speakers.
    """

    packages: tuple[str, ...] = ()

    def __init__(self, path: Path, seed: int, languages: Sequence[str], rows: Mapping[str, int], shared: bool) -> None:
        self._languages = tuple(languages)
        self._folders = [find_locale(path, language) for language in languages]
        left_out: dict[str, list[str]] = {}
        listed = [_recordings(folder, left_out) for folder in self._folders]
        self._dropped = [
            Dropped(reason=f"audio: {reason}", count=len(names), examples=sorted(names)[:_EXAMPLES])
            for reason, names in sorted(left_out.items())
        ]
        self._listing = digest([[[r.name, r.size, r.speaker] for r in recordings] for recordings in listed])
        self._counts = [len(recordings) for recordings in listed]
        self._pools: dict[str, list[list[str]]]
        if shared:
            self._pools = {SHARED: [[recording.name for recording in recordings] for recordings in listed]}
        else:
            self._pools = _divide(listed, self._folders, seed, rows)

    @property
    def dropped(self) -> list[Dropped]:
        """Clips without duration or without a file."""
        return list(self._dropped)

    @property
    def notes(self) -> list[str]:
        """That people speak."""
        return ["Speech is recorded from people (Common Voice, its train tables); no speaker is in two splits."] * (
            SHARED not in self._pools
        ) + ["Speech is recorded from people (Common Voice, its train tables)."] * (SHARED in self._pools)

    def fingerprint(self) -> dict[str, Any]:
        """Of names, sizes and speakers."""
        return {"kind": "common-voice", "clips": sum(self._counts), "listing": self._listing}

    def sizes(self, pool: str) -> tuple[int, ...]:
        """Clips of each language."""
        return tuple(len(names) for names in self._pools[pool])

    def clip(self, pool: str, language: int, index: int) -> SourceClip:
        """One recording."""
        name = self._pools[pool][language][index]
        return RecordedClip(name.rpartition(".")[0], self._folders[language] / CLIPS / name)


def find_locale(path: Path, language: str) -> Path:
    """The folder of a language in a release.

    Args:
        path: The `cv-corpus-*` folder or the one above it.

    Raises:
        SourceError: there is none, or two releases have one.
    """
    if not path.is_dir():
        raise SourceError(
            "there is no Common Voice folder", where=path, do="give the cv-corpus-... folder: --audio common-voice:PATH"
        )
    if (path / language).is_dir():
        return path / language
    below = sorted(entry / language for entry in path.iterdir() if (entry / language).is_dir())
    if len(below) > 1:
        raise SourceError(
            f"two Common Voice releases have the language {language}",
            where=path,
            got=", ".join(folder.parent.name for folder in below),
            do="point at one of them",
        )
    if below:
        return below[0]
    found = sorted(entry.name for entry in path.iterdir() if entry.is_dir())[:5]
    raise SourceError(
        f"Common Voice has no folder for the language {language}",
        where=path / language,
        got=", ".join(found) or "no folder at all",
        do="download and unpack this locale there, or leave the language out with --langs",
    )


def _recordings(folder: Path, left_out: dict[str, list[str]]) -> list[_Recording]:
    """The usable clips of a locale's train table by name; notes the others under their reasons."""
    clips = folder / CLIPS
    if not clips.is_dir():
        raise SourceError("a Common Voice locale has no clips folder", where=clips, do="unpack the whole archive")
    rows = _read_table(folder / TABLE, needed="path")
    durations = _durations(folder / DURATIONS)
    recordings: dict[str, _Recording] = {}
    for number, row in enumerate(rows, start=2):
        name = row["path"] if row["path"].endswith(".mp3") else f"{row['path']}.mp3"
        if name != Path(name).name or name == ".mp3" or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
            raise SourceError(
                "a path is no file name", where=f"{folder / TABLE}, line {number}, column path", got=repr(row["path"])
            )
        if durations.get(name, 1.0) <= 0:
            left_out.setdefault("zero duration", []).append(name)
            continue
        try:
            size = (clips / name).stat().st_size
        except FileNotFoundError:
            left_out.setdefault("no such file", []).append(name)
            continue
        recordings[name] = _Recording(name, size, row.get("client_id") or name)
    if not recordings:
        raise SourceError(
            "a Common Voice locale has no clips",
            where=folder / TABLE,
            got=f"{len(rows)} lines, none with a usable clip",
            do="download the locale again, or leave the language out with --langs",
        )
    return [recordings[name] for name in sorted(recordings)]


def _durations(path: Path) -> dict[str, float]:
    """File name -> duration; empty where the release has no such table."""
    if not path.exists():
        return {}
    rows = _read_table(path, needed="clip")
    column = next((name for name in _DURATION_COLUMNS if rows and name in rows[0]), None)
    if rows and column is None:
        raise SourceError("the table of durations has no column of durations", where=path, got=", ".join(rows[0]))
    durations = {}
    for number, row in enumerate(rows, start=2):
        try:
            durations[row["clip"]] = float(row[column or ""])
        except ValueError:
            where = f"{path}, line {number}, column {column}"
            raise SourceError("a duration is a number", where=where, got=repr(row[column or ""])) from None
    return durations


def _read_table(path: Path, needed: str) -> list[dict[str, str]]:
    """A TSV file by column name. Quotes are letters like others: sentences hold single ones."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = next(lines, [])
            if needed not in header:
                raise SourceError(
                    f"a Common Voice table has no column {needed!r}",
                    where=f"{path}, line 1",
                    got=", ".join(header)[:80] or "an empty file",
                )
            rows = []
            for number, cells in enumerate(lines, start=2):
                if len(cells) != len(header):
                    raise SourceError(
                        f"a line has {len(cells)} cells where the header has {len(header)}",
                        where=f"{path}, line {number}",
                    )
                rows.append(dict(zip(header, cells, strict=True)))
            return rows
    except FileNotFoundError:
        raise SourceError("a Common Voice table is missing", where=path, do="unpack the whole archive") from None
    except OSError as error:
        raise SourceError("cannot open a Common Voice table", where=path, got=error.strerror) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError("a Common Voice table is broken", where=path, got=error) from None


def _divide(
    listed: Sequence[Sequence[_Recording]], folders: Sequence[Path], seed: int, rows: Mapping[str, int]
) -> dict[str, list[list[str]]]:
    """Give every speaker to one split, so that the splits' clips are in proportion to their rows as nearly as whole
    speakers allow. A speaker of two languages stays in one split.
    """
    used = [split for split in SPLITS if rows[split]]
    split_of: dict[str, str] = {}
    pools: dict[str, list[list[str]]] = {split: [] for split in used}
    for folder, recordings in zip(folders, listed, strict=True):
        _assign(split_of, recordings, used, seed, folder.name, rows)
        for split in used:
            names = [recording.name for recording in recordings if split_of[recording.speaker] == split]
            if not names:
                raise SourceError(
                    f"a Common Voice locale has too few speakers for {len(used)} splits with speakers of their own",
                    where=folder / TABLE,
                    got=f"{len({recording.speaker for recording in recordings})} speakers",
                    do="ask for fewer splits (--validation 0), use --splits shared, or leave the language out",
                )
            pools[split].append(names)
    return pools


def _assign(
    split_of: dict[str, str],
    recordings: Sequence[_Recording],
    used: Sequence[str],
    seed: int,
    locale: str,
    rows: Mapping[str, int],
) -> None:
    """Add a locale's speakers to `split_of`: those with most clips first, each to the split that lacks most."""
    counts = Counter(recording.speaker for recording in recordings)
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
        # As many speakers left as empty splits: one for each of these.
        candidates = [s for s in used if s in empty] if len(by_size) - position <= len(empty) else list(used)
        split = max(candidates, key=lambda candidate: lacks[candidate])
        split_of[speaker] = split
        lacks[split] -= counts[speaker]
        empty.discard(split)
