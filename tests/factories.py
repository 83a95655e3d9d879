"""Miniature sources and datasets: images with every oddity of ImageNet, names tables, quick builds of Symile-M3."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from symile_data.builders.engine.card_hook import CardWriter, no_card
from symile_data.builders.m3.build import build_m3
from symile_data.builders.m3.images.hub import HubImages
from symile_data.builders.m3.spec import M3Spec
from symile_data.datasets.m3.names import read_names
from symile_data.format import manifest as manifests
from symile_data.format.manifest import Manifest, file_entry
from symile_data.format.verify import verify
from symile_data.workflows.datasets import invariants_of

WNIDS = ("n01440764", "n01443537", "n02127052", "n02129165")
WIDTH, HEIGHT = 24, 20
ROWS = {"train": 12, "validation": 4, "test": 4}


def picture(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Smooth random colours: survives JPEG compression nearly unchanged."""
    cells = np.random.default_rng(seed).integers(0, 256, size=(3, 4, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **({"quality": 95} if form == "JPEG" else {}), **options)
    return buffer.getvalue()


def rotated(image: Image.Image, orientation: int) -> bytes:
    """A JPEG whose EXIF block asks the viewer to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, exif=exif)


def unreadable_files() -> dict[str, tuple[bytes, str]]:
    """Files that are no images, by name, with the reason that a build counts them under."""
    whole = encoded(picture(7))
    return {
        "cut.JPEG": (whole[: len(whole) // 2], "truncated or corrupt"),
        "notes.txt": (b"no picture at all, " * 20, "not an image"),
        "nothing.JPEG": (b"", "empty file"),
    }


def odd_files() -> dict[str, bytes]:
    """Readable files that cannot go into a shard as they are."""
    return {
        "cmyk.JPEG": encoded(picture(1).convert("CMYK")),
        "gray.JPEG": encoded(picture(2).convert("L")),
        "png.JPEG": encoded(picture(3), "PNG"),
        "turned.JPEG": rotated(picture(4), 6),
    }


def imagenet_tree(
    root: Path,
    wnids: Sequence[str] = WNIDS,
    pictures: int = 5,
    odd: bool = True,
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a plain folder of wnid folders.

    Args:
        pictures: Ordinary RGB JPEGs in each class.
        odd: Add the odd but readable files to each class.
        extra: More files, by path below `root`.
    """
    for number, wnid in enumerate(wnids):
        files = {f"{wnid}_{index}.JPEG": encoded(picture(100 * number + index)) for index in range(pictures)}
        for name, data in (files | (odd_files() if odd else {})).items():
            _write(root / wnid / name, data)
    for path, data in (extra or {}).items():
        _write(root / path, data)
    return root


def names_table(
    path: Path,
    wnids: Iterable[str] = WNIDS,
    languages: Sequence[str] = ("en", "el"),
    changes: Mapping[tuple[str, str], str] | None = None,
) -> Path:
    """Write a names table taken from the bundled one, with some cells changed: (wnid, language) -> name."""
    table = read_names()
    lines = ["\t".join(("wnid", *languages))]
    for wnid in wnids:
        row = table.wnids.index(wnid)
        cells = [(changes or {}).get((wnid, language), table.names[language][row]) for language in languages]
        lines.append("\t".join((wnid, *cells)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def spec(images: Path | HubImages | None, **changes: Any) -> M3Spec:
    """Twenty rows of Greek and English."""
    settings: dict[str, Any] = {"languages": ("el", "en"), "words": 2, "rows": ROWS, "images": images}
    return M3Spec(**(settings | changes))


def build(
    images: Path | HubImages | None,
    out: Path,
    *,
    workers: int = 1,
    write_card: CardWriter = no_card,
    command: str = "",
    **changes: Any,
) -> Manifest:
    """Build the twenty rows."""
    return build_m3(spec(images, **changes), out, workers=workers, write_card=write_card, command=command)


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of a directory, by relative path."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def rows_of(directory: Path, split: str) -> list[dict[str, Any]]:
    """The rows of one split, in order."""
    paths = sorted((directory / "data").glob(f"{split}-*.parquet"))
    return pa.concat_tables(pq.read_table(path) for path in paths).to_pylist()


def rewrite(directory: Path, path: str, rows: list[dict[str, Any]]) -> None:
    """Replace a shard's rows and list the new file in the manifest, as a faulty builder would have done."""
    schema = pq.read_schema(directory / path)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), directory / path)
    relist(directory)


def relist(directory: Path) -> None:
    """Let the manifest describe the files as they now are."""
    manifest = manifests.read(directory)
    files = [file_entry(directory, directory / e.path, rows=e.rows, split=e.split, pool=e.pool) for e in manifest.files]
    manifests.write(directory, replace(manifest, files=files))


def problems(directory: Path, deep: bool = False) -> list[str]:
    """What `symile-data verify` finds."""
    return list(verify(directory, invariants_of(manifests.read(directory)), deep=deep))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
