"""Read the tables of a Common Voice locale: its recordings, their speakers, and the lines that cannot be used.

Sentences are typed by people and scraped from texts. Where one contains a tab or a carriage return, the number of cells
in its line differs from the header; such a line is left out and counted, like one without a path or without a file.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from symile_data.errors import SourceError
from symile_data.progress.amounts import counted

TABLE = "train.tsv"
DURATIONS = "clip_durations.tsv"
CLIPS = "clips"

_SPEAKER = "client_id"
_DURATION_COLUMNS = ("duration[ms]", "duration")
_NOBODY = {"", "-", "unknown", "none", "null", "nan", "na", "n/a"}  # cells that stand for an unknown speaker
_LONGEST_NAME = 255  # bytes; the limit of Linux's file systems


@dataclass(frozen=True)
class Recording:
    """A recording that a table lists.

    Args:
        name: Name of its file.
        size: Size of the file in bytes.
        speaker: Id of the speaker; None where the table does not tell.
    """

    name: str
    size: int
    speaker: str | None

    @property
    def group(self) -> str:
        """Name of the group that stays in one split: all recordings of a speaker, or this recording alone."""
        return self.speaker or self.name


@dataclass
class LeftOut:
    """Lines, files and tables that were not used.

    Args:
        files: Reason -> the lines or files.
        notes: Sentences about tables that were not used, or not in full.
    """

    files: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, reason: str, example: str) -> None:
        """Count a line or file under a reason."""
        self.files.setdefault(reason, []).append(example)


@dataclass(frozen=True)
class _Table:
    """A TSV file.

    Args:
        path: Path of the file.
        header: Names of its columns.
        lines: Number of each line, and its cells by column; None where their number differs from the header's.
    """

    path: Path
    header: list[str]
    lines: list[tuple[int, dict[str, str] | None]]


def read_recordings(folder: Path, left_out: LeftOut) -> list[Recording]:
    """Read the usable recordings of a locale's train table, sorted by name.

    Args:
        folder: Folder of the locale.
        left_out: Receives the lines and files that cannot be used.

    Raises:
        SourceError: the table or the folder `clips` is missing, the table is broken, or no recording is usable.
    """
    clips = folder / CLIPS
    if not clips.is_dir():
        raise SourceError("a Common Voice locale has no clips folder", where=clips, do="unpack the whole archive")
    table = _read_table(folder / TABLE, needed="path")
    durations = _durations(folder / DURATIONS, left_out)
    sizes: dict[str, int] = {}
    speakers: dict[str, set[str]] = {}
    for name, speaker in _named(table, left_out):
        if name not in speakers:
            if durations.get(name, 1.0) <= 0:
                left_out.add("zero duration", name)
                continue
            try:
                sizes[name] = (clips / name).stat().st_size
            except FileNotFoundError:
                left_out.add("no such file", name)
                continue
        speakers.setdefault(name, set()).update({speaker} if speaker is not None else ())
    recordings = []
    for name in sorted(speakers):
        if len(speakers[name]) > 1:
            left_out.add("listed under two speakers", name)
            continue
        recordings.append(Recording(name, sizes[name], next(iter(speakers[name]), None)))
    if not recordings:
        raise SourceError(
            "a Common Voice locale has no recordings",
            where=table.path,
            got=f"{counted(len(table.lines), 'line')}, none with a usable recording",
            do="download the locale again, or leave the language out with `languages`",
        )
    return recordings


def _named(table: _Table, left_out: LeftOut) -> Iterator[tuple[str, str | None]]:
    """Yield file name and speaker of each line that has a file name."""
    locale = table.path.parent.name
    for number, row in table.lines:
        if row is None:
            left_out.add("line whose number of cells differs from the header", f"{locale}/{TABLE}, line {number}")
            continue
        if not row["path"].strip():
            left_out.add("line without a path", f"{locale}/{TABLE}, line {number}")
            continue
        name = row["path"] if row["path"].endswith(".mp3") else f"{row['path']}.mp3"
        if name != Path(name).name or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
            raise SourceError(
                "a path is not a file name", where=f"{table.path}, line {number}, column path", got=repr(row["path"])
            )
        speaker = row.get(_SPEAKER, "").strip()
        yield name, None if speaker.lower() in _NOBODY else speaker


def _durations(path: Path, left_out: LeftOut) -> dict[str, float]:
    """Read file name -> duration in milliseconds, where a line gives one. The table may be missing or broken."""
    if not path.exists():
        return {}
    name = f"{path.parent.name}/{path.name}"
    try:
        table = _read_table(path, needed="clip")
    except SourceError as error:
        left_out.notes.append(f"The optional table {name} was not used: {error.what}.")
        return {}
    column = next((column for column in _DURATION_COLUMNS if column in table.header), None)
    if column is None:
        left_out.notes.append(f"The optional table {name} was not used: it has no column of durations.")
        return {}
    durations, unused = {}, 0
    for _, row in table.lines:
        duration = _number(row[column]) if row is not None else None
        if row is None or duration is None:
            unused += 1
        else:
            durations[row["clip"]] = duration
    if unused:
        left_out.notes.append(f"Lines of the optional table {name} without a duration were not used: {unused}.")
    return durations


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _read_table(path: Path, needed: str) -> _Table:
    """Read a TSV file. Quotes have no special meaning, since sentences contain unbalanced ones."""
    if path.exists() and not path.is_file():
        raise SourceError("a Common Voice table is not a file", where=path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = next(reader, [])
            for column in (needed, _SPEAKER):
                if header.count(column) > 1:
                    raise SourceError(f"a Common Voice table has two columns {column!r}", where=f"{path}, line 1")
            if needed not in header:
                raise SourceError(
                    f"a Common Voice table has no column {needed!r}",
                    where=f"{path}, line 1",
                    got=", ".join(header)[:80] or "an empty file",
                )
            lines: list[tuple[int, dict[str, str] | None]] = []
            for cells in reader:
                row = dict(zip(header, cells, strict=True)) if len(cells) == len(header) else None
                lines.append((reader.line_num, row))
            return _Table(path, header, lines)
    except FileNotFoundError:
        raise SourceError("a Common Voice table is missing", where=path, do="unpack the whole archive") from None
    except OSError as error:
        raise SourceError("cannot open a Common Voice table", where=path, got=error.strerror) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError("a Common Voice table is broken", where=path, got=error) from None
