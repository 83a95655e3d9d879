"""The recordings that a published plan may name: every file in the `clips` folders of a Common Voice release, also
those that no table lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symile_data.errors import SourceError
from symile_data.files import digest, sorted_entries
from symile_data.format.manifest import Dropped

from .common_voice import RecordedAudio, find_locale
from .common_voice_tables import CLIPS
from .sources import SourceAudio


class PlannedAudio:
    """Recordings by name, all in one store, "shared".

    Args:
        path: The `cv-corpus-*` folder or the one above it.
        languages: (L,) codes, which are the locales' folder names.

    Raises:
        SourceError: the folder of a locale is missing or empty.
    """

    packages: tuple[str, ...] = ()

    def __init__(self, path: Path, languages: Sequence[str]) -> None:
        self._languages = tuple(languages)
        self._folders = [find_locale(path, language) / CLIPS for language in languages]
        self._files: list[list[str]] = []
        listing = []
        for folder in self._folders:
            entries = [entry for entry in sorted_entries(folder) if entry.is_file()] if folder.is_dir() else []
            if not entries:
                raise SourceError(
                    "a Common Voice locale has no recordings", where=folder, do="unpack the whole archive there"
                )
            self._files.append([entry.name for entry in entries])
            listing.append([[entry.name, entry.stat().st_size] for entry in entries])
        self._listing = digest(listing)

    @property
    def names(self) -> list[str]:
        """`<locale>/<file>` of every recording, in the order of their numbers."""
        return [
            f"{language}/{name}" for language, files in zip(self._languages, self._files, strict=True) for name in files
        ]

    @property
    def dropped(self) -> list[Dropped]:
        """An empty list: missing recordings are counted when the plan is read."""
        return []

    @property
    def notes(self) -> list[str]:
        """A sentence for the card: people speak, in the recordings that the plan names."""
        return ["Speech is recorded from people (Common Voice); the plan names the recordings."]

    def fingerprint(self) -> dict[str, Any]:
        """Return the number of recordings and a hash of all names and sizes."""
        return {"kind": "common-voice", "clips": sum(map(len, self._files)), "listing": self._listing}

    def sizes(self, _store: str) -> tuple[int, ...]:
        """Return the number of recordings in each language."""
        return tuple(len(files) for files in self._files)

    def recording(self, _store: str, language: int, index: int) -> SourceAudio:
        """Return the recording at a position of a language."""
        name = self._files[language][index]
        return RecordedAudio(name.rpartition(".")[0], self._folders[language] / name)
