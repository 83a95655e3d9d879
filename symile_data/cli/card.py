"""`symile-data preview`, `card` and `push`: show a dataset, document it, publish it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symile_data.progress.amounts import counted, size

from .choices import Split
from .common import Json
from .output import say, say_json, say_text

if TYPE_CHECKING:
    from symile_data.format.manifest import Manifest

Directory = Annotated[Path, typer.Argument(help="A dataset's directory.")]


def preview(
    directory: Directory,
    out: Annotated[
        Path | None, typer.Option(help="The page; default: <directory>-preview.html beside the dataset.")
    ] = None,
    split: Annotated[Split, typer.Option(help="Split whose rows are shown.")] = "train",
    count: Annotated[int, typer.Option(min=1, help="Rows shown, evenly spaced through the split.")] = 24,
    allow_credentialed: Annotated[
        bool, typer.Option("--allow-credentialed", help="Also copy patients' records into the page.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write one HTML page to look at and listen to: images, audio, words, masks. It needs no network.

    Examples:

        symile-data preview build/symile-m3-10

        symile-data preview build/xor --split test --count 50 --out xor.html
    """
    from symile_data.cards.preview import default_path, write_preview

    page = out or default_path(directory)
    rows = write_preview(directory, page, split=split, count=count, allow_credentialed=allow_credentialed)
    if as_json:
        say_json({"page": str(page), "rows": rows})
    else:
        say(f"{page}: {counted(rows, 'row')} of {split}, {size(page.stat().st_size)}; open it in a browser")


def card(
    directory: Directory,
    show: Annotated[bool, typer.Option("--print", help="Print the existing card; write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Write the card anew: README.md, figures, stats.json, croissant.json. The shards stay as they are.

    Examples:

        symile-data card build/symile-m3-10

        symile-data card build/symile-m3-10 --print
    """
    from symile_data.cards import README, refresh_card
    from symile_data.errors import DamageError, no_directory

    if show:
        path = directory / README
        if not directory.is_dir():
            raise no_directory(directory, DamageError)
        if not path.is_file():
            raise DamageError("the dataset has no card", where=path, do="run symile-data card without --print")
        say_text(path.read_text(encoding="utf-8"))
        return
    written = refresh_card(directory)
    names = [path.relative_to(directory).as_posix() for path in written]
    if as_json:
        say_json({"written": names})
    else:
        say(f"{directory}: {counted(len(names), 'file')} written: {', '.join(names)}")


def push(
    directory: Directory,
    repo: Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face Hub; made where it does not exist.")],
    private: Annotated[bool, typer.Option("--private", help="Make the repository private.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove another dataset's files from the repository.")
    ] = False,
    allow_images: Annotated[
        bool, typer.Option("--allow-pictures", help="I may pass these images on: ImageNet's terms do not allow it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files; send nothing to the Hub.")] = False,
    as_json: Json = False,
) -> None:
    """Verify a dataset and upload it to the Hugging Face Hub, the manifest last.

    Log in first with `hf auth login`. Running it again goes on with an interrupted upload. Patients' records are never
    uploaded.

    Examples:

        symile-data push build/symile-m3-10 me/my-m3 --dry-run

        symile-data push build/symile-m3-10 me/my-m3 --private
    """
    from symile_data.format import manifest as manifests
    from symile_data.format import publish

    publish.check_name(repo)
    manifest = manifests.read(directory)
    _refuse_restricted(directory, manifest, allow_images)
    _refuse_damaged(directory, manifest)
    uploads = publish.uploads_of(directory, manifest)
    total = sum(upload.bytes for upload in uploads)
    url = "" if dry_run else publish.push(directory, manifest, repo, private=private, replace=replace)
    if as_json:
        files = [{"path": upload.path, "bytes": upload.bytes} for upload in uploads]
        say_json({"repo": repo, "url": url, "bytes": total, "files": files})
    elif dry_run:
        for upload in uploads:
            say(f"{upload.bytes:>15,}  {upload.path}")
        say(f"{counted(len(uploads), 'file')}, {counted(total, 'byte')} would go to {repo}")
    else:
        say(f"{counted(len(uploads), 'file')}, {counted(total, 'byte')} are in {url}")


def _refuse_restricted(directory: Path, manifest: Manifest, allow_images: bool) -> None:
    from symile_data.cards.sharing import CREDENTIALED, restriction_of
    from symile_data.errors import UsageError

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
            do="share the build command instead, or pass --allow-pictures if you may pass them on",
        )


def _refuse_damaged(directory: Path, manifest: Manifest) -> None:
    from symile_data.errors import DamageError
    from symile_data.format.verify import verify
    from symile_data.workflows.datasets import invariants_of

    problem = next(iter(verify(directory, invariants_of(manifest))), None)
    if problem is not None:
        raise DamageError(
            "the dataset differs from what was built",
            where=directory,
            got=problem,
            do="list all problems with symile-data verify, and fix them before others get it",
        )
