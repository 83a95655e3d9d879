"""manifest.json: what a dataset is, how it was made and every file it consists of. Written last, it marks a finished
build.

`Manifest` is the record, `read` and `write` its two directions, `file_entry` measures one file. Checking a dataset
against its manifest is `symile_data.format.verify`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from symile_data import __version__
from symile_data.errors import DamageError, MissingPackageError, UsageError, no_directory
from symile_data.files import digest, file_sha256, open_regular, pretty_json, write_text

from .deduplicated import Deduplicated
from .location import Location
from .publication import Publication
from .safe_paths import check_inside, is_plain_path
from .schema import Modality
from .typed_json import parse_json, read_text, record

FILE_NAME = "manifest.json"
FORMAT = "symile-data/1"
# Version of the bytes that builds write. Raise it whenever equal settings, sources and libraries give other rows or
# files. It is part of every fingerprint, so an unfinished build of an earlier version is refused; finished datasets
# still open.
WRITER = "3"
WRITER_KEY = "writer"  # key in `BuildFingerprint.versions`; absent in older datasets
OWN_VERSIONS: Mapping[str, str] = {"symile-data": __version__, WRITER_KEY: WRITER}
UNFINISHED = ".build"  # folder that marks a directory as an unfinished build


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a dataset: its path relative to the dataset, size and hash. Shards have `rows` and `split`; files of
    media tables have `rows` and `pool`. Both have the SHA-256 (hex) of their `footer`, which older datasets lack.
    """

    path: str
    bytes: int
    sha256: str
    rows: int | None = None
    split: str | None = None
    pool: str | None = None
    footer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """The number of source items that were dropped for one reason, with a few examples. A count of patients' data that
    must not be published is None: see `symile_data.format.disclosure`.
    """

    reason: str
    count: int | None
    examples: list[str]


@dataclass(frozen=True, kw_only=True)
class FlowStep:
    """One step of a selection: how many source items were left after a rule; None as in `Dropped`."""

    rule: str
    count: int | None


@dataclass(frozen=True, kw_only=True)
class BuildFingerprint:
    """Everything that decides a build's bytes. Builds with equal fingerprints produce identical shards.

    Args:
        dataset: "symile-m3", "symile-mimic", "pid" or "xor".
        spec: The build's settings, JSON-like; the seed is among them.
        sources: Hashes of the sources (listings, tables).
        versions: Versions of the libraries that decide the bytes, and of this package with its `WRITER`.
    """

    dataset: str
    spec: dict[str, Any]
    sources: dict[str, Any]
    versions: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all fields and of the format's version."""
        return digest({"format": FORMAT, **asdict(self)})


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The contents of manifest.json. `files` lists every file of the dataset except manifest.json itself. `cohort_flow`
    lists the steps that selected rows from a source, if there were any. `pooled` describes the media tables of the
    deduplicated layout. `publication` is what people stated of the dataset.
    """

    identity: BuildFingerprint
    modalities: tuple[Modality, ...]
    splits: dict[str, int]
    files: list[FileEntry] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    cohort_flow: list[FlowStep] = field(default_factory=list)
    command: str = ""
    notes: list[str] = field(default_factory=list)
    pooled: Deduplicated | None = None
    publication: Publication = field(default_factory=Publication)

    def shards(self, split: str | None = None) -> list[FileEntry]:
        """Return the entries of all shards or of one split, in order."""
        return [entry for entry in self.files if entry.split is not None and split in (None, entry.split)]

    def pool_files(self, key: str | None = None) -> list[FileEntry]:
        """Return the entries of all media tables or of one, in order."""
        return [entry for entry in self.files if entry.pool is not None and key in (None, entry.pool)]

    def to_json(self) -> dict[str, Any]:
        """Return the contents of manifest.json; its `digest` covers all other fields, so that edits are detected."""
        value = {
            "format": FORMAT,
            "symile_data": __version__,
            "dataset": self.identity.dataset,
            "fingerprint": self.identity.fingerprint,
            "command": self.command,
            "spec": self.identity.spec,
            "sources": self.identity.sources,
            "versions": self.identity.versions,
            "splits": self.splits,
            "modalities": [modality.to_json() for modality in self.modalities],
            "dropped": [asdict(entry) for entry in self.dropped],
            **({"funnel": [asdict(step) for step in self.cohort_flow]} if self.cohort_flow else {}),
            "notes": self.notes,
            **({} if self.pooled is None else {"pooled": self.pooled.to_json()}),
            **({"publication": stated} if (stated := self.publication.to_json()) else {}),
            "files": [{k: v for k, v in asdict(entry).items() if v is not None} for entry in self.files],
        }
        return {**value, "digest": digest(value)}


def __getattr__(name: str) -> Any:
    """Serve the former name of `BuildFingerprint` in this version, with a warning."""
    if name == "Identity":
        warnings.warn("Identity is now BuildFingerprint; the old name goes in the next version", DeprecationWarning, 2)
        return BuildFingerprint
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def write(directory: Path, manifest: Manifest) -> None:
    """Write manifest.json atomically: a reader sees the old file or the new one, never a part."""
    write_text(directory / FILE_NAME, pretty_json(manifest.to_json()))


def read(directory: Path) -> Manifest:
    """Read manifest.json.

    Raises:
        DamageError: the file is missing, is no JSON, has another format, was edited, or names files outside the
            directory.
    """
    path = directory / FILE_NAME
    try:
        text = read_text(path)
    except (FileNotFoundError, NotADirectoryError):
        if not directory.is_dir():
            raise no_directory(directory, DamageError) from None
        raise DamageError(
            "this directory is no finished dataset: it has no manifest.json",
            where=directory,
            do="run the build command again to finish it, or point at a dataset's directory",
        ) from None
    except OSError as error:
        raise DamageError("the manifest cannot be read", where=path, got=error.strerror) from error
    except ValueError as error:
        raise not_json(path, error) from None
    manifest = parse(text, path)
    check_links(directory, manifest)
    return manifest


def read_at(place: Location) -> Manifest | None:
    """Read and check the manifest of a dataset that is anywhere; None where it has no manifest.

    Raises:
        DamageError: the location cannot be read, or the manifest is damaged or names files outside the dataset.
    """
    try:
        text = place.read_text(FILE_NAME)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamageError("the dataset's location cannot be read", where=place.url, got=error) from None
    except ValueError as error:
        raise not_json(place.where(FILE_NAME), error) from None
    manifest = parse(text, place.where(FILE_NAME))
    if place.system is None:
        check_links(Path(place.root), manifest)
    return manifest


def check_links(directory: Path, manifest: Manifest) -> None:
    """Refuse a dataset whose files are links to places outside it.

    Raises:
        DamageError: a file is such a link.
    """
    check_inside(directory, [FILE_NAME, *(entry.path for entry in manifest.files)])


def parse(text: str, where: str | Path) -> Manifest:
    """Parse the text of a manifest.

    Args:
        text: Contents of the file.
        where: The file, for messages.

    Raises:
        DamageError: it is not JSON, of another format, was edited, or names files outside its directory.
    """
    try:
        value = parse_json(text)
    except ValueError as error:
        raise not_json(where, error) from None
    try:
        if value["format"] != FORMAT:
            raise DamageError(
                "the manifest has an unknown format", where=where, got=value["format"], do=f"use {FORMAT}"
            )
        manifest = _from_json(value)
        fingerprint, sealed = value["fingerprint"], value["digest"]
    except (KeyError, TypeError, AttributeError) as error:
        raise DamageError(
            "the manifest lacks or misnames a field", where=where, got=error, do="build it again"
        ) from None
    for what, found, contents in (
        ("fingerprint", fingerprint, manifest.identity.fingerprint),
        ("digest", sealed, digest({name: part for name, part in value.items() if name != "digest"})),
    ):
        if found != contents:
            raise DamageError(
                f"the manifest was changed after the build: its {what} does not match its contents",
                where=where,
                do="build the dataset again",
            )
    _check_files(manifest, where)
    return manifest


def is_as_written(text: str) -> bool:
    """Tell whether a manifest's text equals what `write` writes, byte for byte; its digest ignores blanks."""
    return text == pretty_json(parse_json(text))


def _from_json(value: Mapping[str, Any]) -> Manifest:
    parts = {name: value[name] for name in ("modalities", "splits", "files", "dropped", "command", "notes")}
    # key in the JSON -> field of the record
    optional = {"funnel": "cohort_flow", "pooled": "pooled", "publication": "publication"}
    parts |= {name: value[key] for key, name in optional.items() if key in value}
    identity = {name: value[name] for name in ("dataset", "spec", "sources", "versions")}
    return record(Manifest, {"identity": identity, **parts})


def _check_files(manifest: Manifest, where: str | Path) -> None:
    seen: set[str] = set()
    for entry in manifest.files:
        if not is_plain_path(entry.path):
            raise DamageError(
                "the manifest names a file outside its directory", where=where, got=repr(entry.path), do="do not use it"
            )
        if entry.path in seen or min(entry.bytes, entry.rows or 0) < 0:
            raise DamageError("the manifest lists a file twice or with a negative size", where=where, got=entry.path)
        seen.add(entry.path)


def not_json(where: str | Path, error: Exception) -> DamageError:
    """Return the error for a manifest that is not valid JSON."""
    return DamageError("the manifest is not readable JSON", where=where, got=error, do="build it again")


def check_outside(path: Path, what: str) -> None:
    """Refuse to write among the files of a dataset, finished or not.

    Args:
        path: What would be written.
        what: The same, as the subject of the error's sentence.

    Raises:
        UsageError: a directory above `path` is a dataset's.
    """
    for above in path.resolve().parents:
        if (above / UNFINISHED / "identity.json").is_file() or _is_manifest(above / FILE_NAME):
            raise UsageError(
                f"{what} would be inside a dataset, where verify allows only files that the manifest lists",
                where=path,
                do=f"choose a place outside {above}",
            )


def _is_manifest(path: Path) -> bool:
    """Tell whether a file begins as `write` begins a manifest; other programs have a manifest.json too."""
    try:
        with open_regular(path) as file:
            return f'"{FORMAT}"'.encode() in file.read(64)
    except OSError:
        return False


def file_entry(
    directory: Path, path: Path, *, rows: int | None = None, split: str | None = None, pool: str | None = None
) -> FileEntry:
    """Measure and hash one file of the dataset in `directory`."""
    return FileEntry(
        path=path.relative_to(directory).as_posix(),
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
        rows=rows,
        split=split,
        pool=pool,
    )


def library_versions(packages: Sequence[str], extra: str = "m3,online") -> dict[str, str]:
    """Return the versions for a fingerprint: of this package, of its writer, and of the named distributions.

    Args:
        packages: Names of distributions.
        extra: The extra that brings them, for the error's install command.

    Raises:
        MissingPackageError: a distribution is not installed.
    """
    versions = dict(OWN_VERSIONS)
    for package in packages:
        try:
            versions[package] = _version(package)
        except metadata.PackageNotFoundError:
            raise MissingPackageError(package, extra, "this build") from None
    return versions


@cache
def _version(package: str) -> str:
    """Return the version of an installed distribution, whose metadata is parsed once in a process."""
    return metadata.version(package)
