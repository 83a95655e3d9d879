"""`symile-data preview`, `card` and `push`: show a dataset, document it, publish it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symile_data.progress.amounts import counted, size

from .choices import Track, one_of
from .common import Directory, Json
from .output import say, say_json, say_text

if TYPE_CHECKING:
    from symile_data.format.manifest import Manifest
    from symile_data.format.publication import Publication

Creators = Annotated[
    list[str] | None,
    typer.Option("--creator", help="Who made the dataset; repeat for several. org:NAME is an organization."),
]
Published = Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Date of publication, for the card.")]


def preview(
    directory: Directory,
    out: Annotated[
        Path | None, typer.Option(help="The page; default: <directory>-preview.html beside the dataset.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split whose rows are shown; default: train, or the first of a dataset without it.",
            autocompletion=one_of("train", "validation", "test"),
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Rows shown, evenly spaced through the split.")] = 24,
    allow_credentialed: Annotated[
        bool, typer.Option("--allow-credentialed", help="Also copy patients' records into the page.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write one HTML page to look at and listen to: images, audio, words, masks.

    The page needs no network.

    Examples:

        symile-data preview build/symile-m3-10

        symile-data preview build/xor --split test --count 50 --out xor.html
    """
    from symile_data.cards.preview import default_path, default_split, write_preview
    from symile_data.format import manifest as manifests

    page, split = out or default_path(directory), default_split(manifests.read(directory)) if split is None else split
    rows = write_preview(directory, page, split=split, count=count, allow_credentialed=allow_credentialed)
    if as_json:
        say_json({"page": str(page), "rows": rows})
    else:
        say(f"{page}: {counted(rows, 'row')} of {split}, {size(page.stat().st_size)}; open it in a browser")


def card(
    directory: Directory,
    creator: Creators = None,
    published: Published = "",
    statements: Annotated[
        Path | None, typer.Option(help="TOML file with what only people know: licence, biases, ... (docs/cards.md).")
    ] = None,
    check: Annotated[Track | None, typer.Option(help="List what a datasets track asks for and the card lacks.")] = None,
    show: Annotated[bool, typer.Option("--print", help="Print the existing card; write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Write the card anew: README.md, figures, stats.json, croissant.json. The shards stay as they are.

    --check writes nothing and exits with 1 where something is missing.

    Examples:

        symile-data card build/symile-m3-10

        symile-data card build/symile-m3-10 --creator "Ada Lovelace" --published 2026-12-01

        symile-data card build/symile-m3-10 --check neurips
    """
    from symile_data.cards import refresh_card
    from symile_data.errors import UsageError

    stated = creator or published or statements
    if (stated and (check or show)) or (check and show):
        raise UsageError("--check and --print write nothing, so they stand alone", do="give the other options first")
    if check:
        raise typer.Exit(_check(directory, as_json))
    if show:
        _print_card(directory)
        return
    written = refresh_card(directory, _stated(creator, published, statements))
    names = [path.relative_to(directory).as_posix() for path in written]
    if as_json:
        say_json({"written": names})
    else:
        say(f"{directory}: {counted(len(names), 'file')} written: {', '.join(names)}")


def _print_card(directory: Path) -> None:
    from symile_data.cards import README
    from symile_data.errors import DamageError, no_directory

    path = directory / README
    if not directory.is_dir():
        raise no_directory(directory, DamageError)
    if not path.is_file():
        raise DamageError("the dataset has no card", where=path, do="run symile-data card without --print")
    say_text(path.read_text(encoding="utf-8"))


def _stated(creator: list[str] | None, published: str, statements: Path | None = None) -> Publication:
    from dataclasses import replace

    from symile_data.cards.publication import read_statements
    from symile_data.format.publication import Publication

    found = read_statements(statements) if statements else Publication()
    found = replace(found, creators=tuple(creator)) if creator else found
    return replace(found, published=published) if published else found


def _check(directory: Path, as_json: bool) -> int:
    """Print what is missing and how to give it; return the exit code."""
    from symile_data.cards.croissant.check import CORE, RESPONSIBLE, missing_fields

    missing = {field: _how_to_give(field) for field in missing_fields(directory)}
    if as_json:
        say_json({"missing": missing})
    elif missing:
        say(f"{directory}: croissant.json lacks {len(missing)} of {len(CORE) + len(RESPONSIBLE)} fields:")
        width = max(map(len, missing))
        for field, how in missing.items():
            say(f"  {field:<{width}}  {how}")
    else:
        say(f"{directory}: croissant.json has all {len(CORE) + len(RESPONSIBLE)} fields")
    return 1 if missing else 0


def _how_to_give(field: str) -> str:
    """Say how a missing field of croissant.json comes into the card."""
    in_file = "in the file of --statements"
    known = {
        "creator": "symile-data card DIR --creator NAME, or push",
        "datePublished": "symile-data card DIR --published YYYY-MM-DD, or push",
        "url": f'push, or url = "https://..." {in_file}',
        "license": f'licence = "CC-BY-4.0" {in_file}',
        "citeAs": f'citation = "@article{{...}}" {in_file}',
        "description": f'summary = "..." {in_file}',
        "prov:wasDerivedFrom": f"[[derived_from]] with name, url and licence {in_file}",
        "rai:hasSyntheticData": f"hasSyntheticData = true or false under [rai] {in_file}",
        "rai:dataSocialImpact": f'dataSocialImpact = "..." under [rai] {in_file}',
    }
    if field.startswith("rai:"):
        return known.get(field, f'{field.removeprefix("rai:")} = ["..."] under [rai] {in_file}')
    return known.get(field, "write the card anew: symile-data card DIR")


def push(
    directory: Directory,
    repo: Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face Hub; made where it does not exist.")],
    private: Annotated[bool, typer.Option("--private", help="Make the repository private.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove another dataset's files from the repository.")
    ] = False,
    creator: Creators = None,
    published: Published = "",
    allow_images: Annotated[
        bool, typer.Option("--allow-pictures", help="I may pass these images on: ImageNet's terms do not allow it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files; send nothing to the Hub.")] = False,
    as_json: Json = False,
) -> None:
    """Verify a dataset and upload it to the Hugging Face Hub, the manifest last.

    Log in first with `hf auth login`. Running it again goes on with an interrupted upload. Patients' records are never
    uploaded. The card names who made the dataset and when it was published: what it lacks is asked for, and without a
    terminal the date is that of today.

    Examples:

        symile-data push build/symile-m3-10 me/my-m3 --dry-run

        symile-data push build/symile-m3-10 me/my-m3 --private --creator "Ada Lovelace"
    """
    from symile_data.format import manifest as manifests
    from symile_data.format.publish import check_name
    from symile_data.workflows.publish import check_restriction, plan_publication, publish_dataset

    check_name(repo)
    if dry_run:
        found = plan_publication(directory, repo, allow_images=allow_images)
    else:
        manifest = manifests.read(directory)
        check_restriction(directory, manifest, allow_images=allow_images)  # before anybody is asked
        stated = _to_publish(manifest, repo, creator, published)
        found = publish_dataset(directory, repo, stated, private=private, replace=replace, allow_images=allow_images)
    if as_json:
        files = [{"path": upload.path, "bytes": upload.bytes} for upload in found.uploads]
        say_json({"repo": repo, "url": found.url, "bytes": found.bytes, "files": files})
    elif dry_run:
        for upload in found.uploads:
            say(f"{upload.bytes:>15,}  {upload.path}")
        say(f"{counted(len(found.uploads), 'file')}, {counted(found.bytes, 'byte')} would go to {repo}")
    else:
        say(f"{counted(len(found.uploads), 'file')}, {counted(found.bytes, 'byte')} are in {found.url}")


def _to_publish(manifest: Manifest, repo: str, creator: list[str] | None, published: str) -> Publication:
    """Return what the published dataset states: by options, by an earlier statement, or by asking at a terminal."""
    import sys
    from dataclasses import replace
    from datetime import date

    from huggingface_hub import constants

    from symile_data.cards.publication import with_publication
    from symile_data.errors import UsageError

    stated = replace(_stated(creator, published), url=f"{constants.ENDPOINT}/datasets/{repo}")
    known = with_publication(manifest, stated).publication
    asks = sys.stdin is not None and sys.stdin.isatty()
    if not known.creators:
        if not asks:
            raise UsageError("nobody is named as the dataset's creator", do="give --creator NAME, or org:NAME")
        names = typer.prompt("Who made the dataset? (several: with commas; an organization: org:NAME)", err=True)
        stated = replace(stated, creators=tuple(name.strip() for name in names.split(",") if name.strip()))
    if not known.published:
        today = date.today().isoformat()
        day = typer.prompt("Date of publication", default=today, err=True) if asks else today
        stated = replace(stated, published=day)
    with_publication(manifest, stated)  # refuses what does not fit before the dataset is verified
    return stated
