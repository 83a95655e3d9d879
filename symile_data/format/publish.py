"""Upload a dataset to the Hugging Face Hub, or continue an interrupted upload.

The manifest is uploaded last, in a commit of its own, as in a build. A repository without manifest.json is an
unfinished upload, and the same call finishes it. Whether a dataset may be shared is not decided here.
"""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.errors import DamageError, OutputError, UsageError
from symile_data.progress.amounts import counted

from . import manifest as manifests
from .manifest import Manifest

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_KIND = "dataset"
_OURS = ("data/", "figures/")  # in these folders a repository holds only files that the manifest lists
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.[^/]+$")  # and no shard of another build in any other, such as a media table


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One file that is uploaded to the repository.

    Args:
        path: Path relative to the dataset, and to the repository.
        bytes: Size in bytes.
    """

    path: str
    bytes: int


def uploads_of(directory: Path, manifest: Manifest) -> list[Upload]:
    """Return every file of the dataset, manifest.json last. Other files in the directory are not uploaded."""
    files = [Upload(path=entry.path, bytes=entry.bytes) for entry in manifest.files]
    return [*files, Upload(path=manifests.FILE_NAME, bytes=(directory / manifests.FILE_NAME).stat().st_size)]


def stale_files(remote: Sequence[str], uploads: Sequence[Upload]) -> list[str]:
    """Return the files of the repository that a reader would wrongly take for parts of this dataset.

    >>> remote = ["data/train-00000-of-00009.parquet", "images/all-00000-of-00001.parquet", "notes.md"]
    >>> stale_files(remote, [Upload(path="data/train.parquet", bytes=1)])
    ['data/train-00000-of-00009.parquet', 'images/all-00000-of-00001.parquet']
    """
    ours = {upload.path for upload in uploads}
    return sorted(path for path in remote if path not in ours and (path.startswith(_OURS) or _SHARD.search(path)))


def push(
    directory: Path,
    manifest: Manifest,
    repo: str,
    *,
    private: bool = False,
    replace: bool = False,
    api: HfApi | None = None,
) -> str:
    """Upload a dataset's files, the manifest last, and compare what arrived. Files that are already there are skipped.

    This only transports: `symile_data.workflows.publish.publish_dataset` also refuses what must not be passed on.

    Args:
        directory: Directory of the dataset, which the caller has verified and may publish.
        manifest: Manifest of the dataset.
        repo: Repository "owner/name", created if it does not exist.
        private: Whether a repository that is created is private.
        replace: Remove the shards and figures of another dataset from the repository.
        api: Client of the Hub; by default one with the token that `hf auth login` stored.

    Returns:
        The address of the repository.

    Raises:
        UsageError: `repo` is no repository name.
        OutputError: the Hub refuses or cannot be reached, or the repository holds another dataset.
        DamageError: the files on the Hub differ from those on disk.
    """
    from huggingface_hub import HfApi

    check_name(repo)
    hub = api or HfApi()
    uploads = uploads_of(directory, manifest)
    with _hub_errors(repo):
        url = hub.create_repo(repo, repo_type=_KIND, private=private, exist_ok=True)
        stale = stale_files(hub.list_repo_files(repo, repo_type=_KIND), uploads)
        if stale and not replace:
            raise OutputError(
                "the repository holds files of another dataset",
                where=repo,
                got=stale[0] if len(stale) == 1 else f"{counted(len(stale), 'file')}, such as {stale[0]}",
                do="choose another repository, or pass `replace` to remove them",
            )
        *files, last = [glob.escape(upload.path) for upload in uploads]
        message = f"{manifest.identity.dataset}, build {manifest.identity.fingerprint[:12]}"
        for patterns, removed in ((files, [glob.escape(path) for path in stale]), ([last], [])):
            hub.upload_folder(
                repo_id=repo,
                repo_type=_KIND,
                folder_path=directory,
                allow_patterns=patterns,
                delete_patterns=removed or None,
                commit_message=message,
            )
        _check_arrived(hub, directory, repo, uploads)
    return str(url)


def _check_arrived(hub: HfApi, directory: Path, repo: str, uploads: Sequence[Upload]) -> None:
    """Compare the hashes that the Hub reports with the files on disk."""
    found = hub.verify_repo_checksums(repo, repo_type=_KIND, local_dir=directory)
    sent = {upload.path for upload in uploads}
    wrong = sorted({entry["path"] for entry in found.mismatches} & sent | set(found.extra_paths) & sent)
    if wrong:
        raise DamageError(
            f"{counted(len(wrong), 'file')} did not arrive as they were sent",
            where=f"{repo}, {wrong[0]}",
            do="run the same command again",
        )


def check_name(repo: str) -> None:
    """Refuse an invalid repository name, before a dataset is read for the upload.

    Raises:
        UsageError: the name is not valid.

    >>> check_name("me/my-m3")
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageError("this is no name of a repository", got=repr(repo), do="give OWNER/NAME") from error


@contextlib.contextmanager
def _hub_errors(repo: str) -> Iterator[None]:
    """Turn errors of the Hub, and of the connection to it, into one sentence."""
    from huggingface_hub.errors import HfHubHTTPError

    # The bases of the Hub's error belong to its HTTP library, which also raises them for lost connections.
    bases = tuple(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))
    trouble: tuple[type[Exception], ...] = (OSError, RuntimeError, *bases)
    try:
        yield
    except trouble as error:
        said = " ".join(str(error).split())
        raise OutputError(
            "the Hugging Face Hub did not take the dataset",
            where=repo,
            got=said,
            do="log in with `hf auth login` or check the connection, then run the same command again: what has "
            "arrived is kept",
        ) from error
