"""Publish a dataset on the Hugging Face Hub: refuse what must not be passed on, verify it, complete its card, upload.

`symile_data.format.publish` only transports files; whoever publishes calls `publish_dataset`, which never uploads
patients' records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from symile_data.cards import state
from symile_data.cards.sharing import CREDENTIALED, restriction_of
from symile_data.errors import DamageError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format import publish
from symile_data.format.manifest import Manifest
from symile_data.format.publication import Publication
from symile_data.format.publish import Upload
from symile_data.format.verify import verify

from .datasets import invariants_of


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was uploaded, or would be.

    Args:
        uploads: The files, the manifest last.
        url: Address of the repository; "" where nothing was sent.
    """

    uploads: Sequence[Upload]
    url: str = ""

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(upload.bytes for upload in self.uploads)


def publish_dataset(
    directory: Path,
    repo: str,
    stated: Publication,
    *,
    private: bool = False,
    replace: bool = False,
    allow_images: bool = False,
) -> Published:
    """Verify a dataset, enter what is stated of it in its card, and upload it. Running it again goes on.

    Args:
        directory: Directory of the dataset; its card and manifest change where something new is stated.
        repo: Repository "owner/name", created if it does not exist.
        stated: Creators, date and page of the publication.
        private: Whether a repository that is created is private.
        replace: Remove the shards and figures of another dataset from the repository.
        allow_images: Whether the caller may pass on images that are under ImageNet's or unknown terms.

    Raises:
        UsageError: the dataset must not be passed on, `repo` is no repository name, or a statement does not fit.
        DamageError: the dataset is damaged, or the files on the Hub differ from those on disk.
        OutputError: the Hub refuses or cannot be reached, or the repository holds another dataset.
    """
    publish.check_name(repo)
    check_restriction(directory, manifests.read(directory), allow_images=allow_images)
    _check_whole(directory)
    manifest = state(directory, stated)
    url = publish.push(directory, manifest, repo, private=private, replace=replace)
    return Published(uploads=publish.uploads_of(directory, manifest), url=url)


def plan_publication(directory: Path, repo: str, *, allow_images: bool = False) -> Published:
    """Do everything that `publish_dataset` does before it changes or sends anything, with the same errors."""
    publish.check_name(repo)
    check_restriction(directory, manifests.read(directory), allow_images=allow_images)
    return Published(uploads=publish.uploads_of(directory, _check_whole(directory)))


def check_restriction(directory: Path, manifest: Manifest, *, allow_images: bool = False) -> None:
    """Refuse to publish patients' records, and images that the caller has not said may be passed on.

    Args:
        directory: Directory of the dataset.
        manifest: Its manifest.
        allow_images: As in `publish_dataset`; patients' records are refused in any case.

    Raises:
        UsageError: the dataset must not be passed on.
    """
    restriction = restriction_of(manifest)
    if restriction is None:
        return
    if restriction.kind == CREDENTIALED:
        raise UsageError(
            f"{restriction.reason}, which forbids passing them on",
            where=directory,
            do="share the build command instead: everyone with access makes the same dataset with it",
        )
    if not allow_images:
        raise UsageError(
            restriction.reason,
            where=directory,
            do="share the build command instead, or pass `allow_images` if you may pass them on",
        )


def _check_whole(directory: Path) -> Manifest:
    """Verify a dataset and return its manifest.

    Raises:
        DamageError: it differs from its manifest.
    """
    manifest = manifests.read(directory)
    problem = next(iter(verify(directory, invariants_of(manifest))), None)
    if problem is not None:
        raise DamageError(
            "the dataset differs from what was built",
            where=directory,
            got=problem,
            do="list all problems with symile-data verify, and fix them before others get it",
        )
    return manifest
