"""A preview: one self-contained HTML page to look at and listen to the samples of a dataset.

`write_preview` is the whole interface. `rows` chooses the rows, `panels` makes images, audio players and words of each
modality's value by its kind, and `page` fills the template.
"""

from __future__ import annotations

from pathlib import Path

from symile_data.errors import UsageError
from symile_data.files import check_replaceable, write_text
from symile_data.format import manifest as manifests
from symile_data.format.manifest import Manifest

from ..sharing import CREDENTIALED, restriction_of
from ..statistics.collect import evenly_spaced
from .page import page_of
from .rows import choose_rows

__all__ = ["default_path", "default_split", "write_preview"]

MOST_BYTES = 3_000_000  # of a page, so that it can be sent by mail and opens at once


def default_path(directory: Path) -> Path:
    """Return the default path of a preview: beside the dataset's directory, which may contain only listed files.

    >>> default_path(Path("build/m3")).as_posix()
    'build/m3-preview.html'
    """
    resolved = directory.resolve()
    return (
        directory.parent / f"{resolved.name}-preview.html"
        if directory.name
        else resolved.with_name(f"{resolved.name}-preview.html")
    )


def default_split(manifest: Manifest) -> str:
    """Return the split that is shown where nobody names one: train, or the first of a dataset without it."""
    return "train" if "train" in manifest.splits else next(iter(manifest.splits), "train")


def write_preview(
    directory: Path, out: Path, *, split: str | None = None, count: int = 24, allow_credentialed: bool = False
) -> int:
    """Write the page.

    Args:
        directory: A dataset with Parquet shards.
        out: The file to write, outside the dataset.
        split: The split whose rows are shown; `default_split` by default.
        count: Largest number of rows, which are evenly spaced. Fewer are shown where the page would be larger than
            `MOST_BYTES`, but at least one.
        allow_credentialed: Also show patients' records.

    Returns:
        The number of rows shown.

    Raises:
        UsageError: the split does not exist, `out` is inside a dataset, or the data are credentialed and
            `allow_credentialed` is false.
        DamageError: the manifest or a shard cannot be read.
        OutputError: the page cannot be written.
    """
    manifest = manifests.read(directory)
    restriction = restriction_of(manifest)
    if restriction and restriction.kind == CREDENTIALED and not allow_credentialed:
        raise UsageError(
            f"{restriction.reason}, and a preview would copy some of them into one file",
            where=directory,
            do="pass `allow_credentialed` if this machine and everyone who will see the page have access",
        )
    manifests.check_outside(out, "the page")
    check_replaceable(out)
    split = default_split(manifest) if split is None else split
    rows = choose_rows(directory, manifest, split, count)
    page = page_of(manifest, split, rows)
    while (size := len(page.encode("utf-8"))) > MOST_BYTES and len(rows) > 1:
        kept = min(len(rows) - 1, max(1, len(rows) * MOST_BYTES // size))
        rows = [rows[place] for place in evenly_spaced(len(rows), kept)]
        page = page_of(manifest, split, rows, cut=True)
    write_text(out, page)
    return len(rows)
