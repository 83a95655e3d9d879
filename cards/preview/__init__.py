"""A preview: one HTML page that shows a dataset's samples, complete in itself, for looking and listening.

`write_preview` is the whole interface. `rows` chooses what is shown, `panels` turns each modality's value into
pictures, sounds and words by its kind, `page` fills the template.
"""

from __future__ import annotations

from pathlib import Path

from symile_data.errors import UsageError
from symile_data.files import check_replaceable, write_text
from symile_data.format import manifest as manifests

from ..sharing import CREDENTIALED, restriction_of
from .page import page_of
from .rows import choose_rows

__all__ = ["default_path", "write_preview"]


def default_path(directory: Path) -> Path:
    """Where a dataset's preview goes: beside its directory, in which nothing may lie that the manifest does not list.

    >>> default_path(Path("build/m3")).as_posix()
    'build/m3-preview.html'
    """
    resolved = directory.resolve()
    return (
        directory.parent / f"{resolved.name}-preview.html"
        if directory.name
        else resolved.with_name(f"{resolved.name}-preview.html")
    )


def write_preview(
    directory: Path, out: Path, *, split: str = "train", count: int = 24, allow_credentialed: bool = False
) -> int:
    """Write the page.

    Args:
        directory: A dataset with Parquet shards.
        out: The file to write; outside the dataset.
        split: Whose rows are shown.
        count: At most so many, evenly spaced.
        allow_credentialed: Show patients' records too.

    Returns:
        The number of rows shown.

    Raises:
        UsageError: no such split, a file inside the dataset, or credentialed data that was not asked for.
        DamageError: the manifest or a shard cannot be read.
        OutputError: the disk refuses.
    """
    manifest = manifests.read(directory)
    restriction = restriction_of(manifest)
    if restriction and restriction.kind == CREDENTIALED and not allow_credentialed:
        raise UsageError(
            f"{restriction.reason}, and a preview would copy some of them into one file",
            where=directory,
            do="pass `allow_credentialed` if this machine and everyone who will see the page have access",
        )
    if out.resolve().is_relative_to(directory.resolve()):
        raise UsageError(
            "the page would lie inside the dataset, where verify allows only what the manifest lists",
            where=out,
            do="choose another `out`",
        )
    check_replaceable(out)
    rows = choose_rows(directory, manifest, split, count)
    write_text(out, page_of(manifest, split, rows))
    return len(rows)
