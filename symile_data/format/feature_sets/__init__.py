"""Sets of features beside a dataset: columns of frozen encoders in `features/<name>/`, which readers join to the rows.

A set lies in the dataset's own directory, with Parquet files and a manifest. For each shard of the dataset it has one
file with as many rows, in the same row groups: the rows' `sample_id` and one column of features for each encoded
modality. Labels and masks stay in the dataset's shards. The manifest of a set names the digest of the rows whose values
were encoded, which `rows_digest` computes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from symile_data.errors import DamageError, UsageError
from symile_data.files import digest
from symile_data.format import manifest as manifests
from symile_data.format.location import Location
from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.schema import Modality

FOLDER = "features"
DATASET = "feature-set"  # what the manifest of a set says instead of a dataset's name
ROWS_OF = "rows"  # key in the manifest's sources: the digest of the dataset's rows
KIND = "features"
SAMPLE_ID = "sample_id"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_AGAIN = "remove the folder, and encode the features again"


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """One set of features of a dataset.

    Args:
        name: Its name, that of its folder.
        manifest: Its manifest; the modalities are its columns of features.
    """

    name: str
    manifest: Manifest

    @property
    def folder(self) -> str:
        """The set's folder relative to the dataset."""
        return f"{FOLDER}/{self.name}"

    def shards(self, split: str) -> list[FileEntry]:
        """Return the entries of a split's files, one for each shard of the dataset, relative to the dataset."""
        return [replace(entry, path=f"{self.folder}/{entry.path}") for entry in self.manifest.shards(split)]


def column_of(modality: str, name: str) -> str:
    """Return the column in which a set holds the features of a modality; a batch has them under the same name.

    >>> column_of("image", "clip-l")
    'image_clip-l'
    """
    return f"{modality}_{name}"


def encoded_modality(features: Modality) -> str:
    """Return the name of the modality of the dataset whose values a modality of a set encodes."""
    return str(features.details["modality"])


def rows_digest(manifest: Manifest) -> str:
    """Return the SHA-256 (hex) of what decides a dataset's rows: its fingerprint, and every shard and media table.

    A card that is written anew leaves it as it is.
    """
    entries = [asdict(entry) for entry in (*manifest.shards(), *manifest.pool_files())]
    # Footers are left out, so that datasets of before they were listed keep their sets.
    files = [{key: value for key, value in entry.items() if key != "footer"} for entry in entries]
    return digest([manifest.identity.fingerprint, files])


def check_name(name: str) -> None:
    """Refuse a name that could not be a folder's on every system.

    Raises:
        UsageError: it has other characters than letters, digits, ".", "_" and "-", or begins with one of these three.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "this is no name of a set of features",
            got=repr(name),
            do="use letters, digits, dots, underscores and hyphens, a letter or digit first",
        )


def set_names(location: Location) -> list[str]:
    """Return the sorted names of a dataset's finished sets of features.

    Raises:
        OSError: the folder cannot be listed.
    """
    folders = location.folders(FOLDER)
    finished = [folder for folder in folders if f"{folder}/{manifests.FILE_NAME}" in location.listed(folder)]
    return [folder.removeprefix(f"{FOLDER}/") for folder in finished]


def read_feature_set(location: Location, name: str, dataset: Manifest) -> FeatureSet:
    """Read the manifest of a set, and check that the set is of these rows.

    Args:
        location: The dataset's directory.
        name: Name of the set.
        dataset: Manifest of the dataset.

    Raises:
        UsageError: the dataset has no such set; the message names those that it has.
        DamageError: the manifest is damaged, or the set is of other rows.
    """
    check_name(name)
    folder = f"{FOLDER}/{name}"
    where = location.where(f"{folder}/{manifests.FILE_NAME}")
    try:
        text = location.read_text(f"{folder}/{manifests.FILE_NAME}")
    except FileNotFoundError:
        raise _no_such_set(location, name) from None
    except OSError as error:
        raise DamageError("the manifest of a set of features cannot be read", where=where, got=error) from None
    except ValueError as error:
        raise manifests.not_json(where, error) from None
    manifest = manifests.parse(text, where)
    if location.system is None:
        manifests.check_links(Path(location.root, folder), manifest)
    found = FeatureSet(name=name, manifest=manifest)
    check_rows(found, dataset, where)
    return found


def check_rows(found: FeatureSet, dataset: Manifest, where: str) -> None:
    """Check that a set is of a dataset's rows.

    Raises:
        DamageError: the digest that the set names is another one, or the numbers of rows differ.
    """
    manifest, known = found.manifest, [modality.name for modality in dataset.modalities]
    ours = all(_is_of_set(made, found.name, known) for made in manifest.modalities)
    if manifest.identity.dataset != DATASET or not ours:
        raise DamageError("this folder holds no set of features", where=where, got=manifest.identity.dataset, do=_AGAIN)
    expected, digest_there = rows_digest(dataset), manifest.identity.sources.get(ROWS_OF)
    if digest_there != expected:
        raise DamageError(
            "this set of features is of other rows than the dataset has now",
            where=where,
            got=f"digest {str(digest_there)[:12]}, the dataset's is {expected[:12]}",
            do=_AGAIN,
        )
    for split, rows in dataset.splits.items():
        mine = [entry.rows for entry in manifest.shards(split)]
        if manifest.splits.get(split) != rows or mine != [entry.rows for entry in dataset.shards(split)]:
            raise DamageError(
                "this set of features has other numbers of rows than the dataset",
                where=where,
                got=f"{manifest.splits.get(split)} rows of split {split}, the dataset has {rows}",
                do=_AGAIN,
            )


def _is_of_set(made: Modality, name: str, known: Sequence[str]) -> bool:
    """Tell whether a modality is one that a set of this name can have, given the names of the dataset's modalities."""
    encoded = made.details.get("modality")
    return made.kind == KIND and encoded in known and made.name == made.column == column_of(str(encoded), name)


def joined_modalities(found: FeatureSet, dataset: Sequence[Modality]) -> list[Modality]:
    """Return a set's modalities as the joined rows have them: with the mask and id column of the encoded modality."""
    known = {modality.name: modality for modality in dataset}
    joined = []
    for made in found.manifest.modalities:
        base = known[encoded_modality(made)]
        others = tuple(column for column in base.null_columns if column != base.column)
        joined.append(replace(made, mask=base.mask, null_columns=(made.column, *others), id_column=base.id_column))
    return joined


def _no_such_set(location: Location, name: str) -> UsageError:
    names: list[str] = []
    with contextlib.suppress(OSError):  # a server that cannot list its folders
        names = set_names(location)
    advice = f"choose among {', '.join(names)}" if names else f"encode some with `beside='{name}'`"
    return UsageError("the dataset has no such set of features", where=location.url, got=name, do=advice)
