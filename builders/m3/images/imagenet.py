"""Images from an ImageNet folder: find it, list it, divide it among the splits, and read single files robustly.

Accepted layouts are Kaggle's (`ILSVRC/Data/CLS-LOC/train/<wnid>/*`), any part of that path, a plain folder of wnid
folders, and Tiny ImageNet's, where the files are in `<wnid>/images/`. The content of a file decides its format, not its
suffix: ImageNet has CMYK and grayscale JPEGs, EXIF-rotated ones and a PNG named .JPEG. Files that file managers leave
beside images (names with a leading dot, Thumbs.db, desktop.ini) are ignored.

A file is decoded only when a row needs it. The next readable file of its class and split takes the place of an
unreadable one, which is counted under its reason.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from symile_data.errors import SourceError, UsageError
from symile_data.files import digest, sorted_entries
from symile_data.format.images import is_turned, shown
from symile_data.format.manifest import Dropped
from symile_data.format.media import IMAGE_FORMATS, MOST_PIXELS, UnfitMediumError, quiet_pillow
from symile_data.format.schema import SPLITS
from symile_data.progress.amounts import counted
from symile_data.rng import Stream

from ..text.sentences import proportions

WNID = re.compile(r"n\d{8}")
_UNDECODABLE = re.compile("[\ud800-\udfff]")  # surrogates stand for the bytes of file names that are not UTF-8
_LAYOUTS = ("ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train", "CLS-LOC/train", "train", ".")
_INNER = "images"  # folder of a class's files in Tiny ImageNet
_BOXES = "_boxes.txt"  # ending of the table that lies beside it
_NO_IMAGES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
_EXAMPLES = 5
_JPEG_QUALITY = 95


class UnreadableImageError(Exception):
    """A file is not a usable image; the argument is the reason under which it is counted."""


@dataclass(frozen=True)
class ImageCatalogue:
    """The files of an ImageNet folder, sorted.

    Args:
        root: The folder that contains the wnid folders.
        wnids: (C,) class folders that contain files.
        files: For each class, its file names below the class folder.
        fingerprint: Hash of all names and sizes in the class folders, also of classes that are left out.
        other_classes: Folders with files beside the wnid folders whose names are not wnids; they are not read.
    """

    root: Path
    wnids: tuple[str, ...]
    files: tuple[tuple[str, ...], ...]
    fingerprint: str
    other_classes: tuple[str, ...] = ()

    @property
    def dropped(self) -> list[Dropped]:
        """The folders that are not read, as the manifest counts them."""
        if not self.other_classes:
            return []
        reason = "image: class folders not named by wnid; the folders named by wnid are read"
        return [Dropped(reason=reason, count=len(self.other_classes), examples=list(self.other_classes[:_EXAMPLES]))]

    def only(self, wnids: Collection[str]) -> ImageCatalogue:
        """Return a copy with only the classes in `wnids`."""
        kept = [place for place, wnid in enumerate(self.wnids) if wnid in wnids]
        return replace(
            self,
            wnids=tuple(self.wnids[place] for place in kept),
            files=tuple(self.files[place] for place in kept),
        )


@dataclass(frozen=True)
class SplitImages:
    """The images that one split can draw from, numbered class by class ("slots").

    Args:
        offsets: (C + 1,) int64; class c owns the slots offsets[c] to offsets[c + 1] - 1.
        order: (slots,) int64; for each slot the position of its file in the class's file list.
    """

    offsets: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]

    def image_id(self, catalogue: ImageCatalogue, slot: int) -> str:
        """Return `<wnid>/<file name>`, which is also the path below the catalogue's root."""
        cls = self.class_of(slot)
        return f"{catalogue.wnids[cls]}/{catalogue.files[cls][self.order[slot]]}"

    def class_of(self, slot: int) -> int:
        """Return the index of the class that owns a slot."""
        return int(np.searchsorted(self.offsets, slot, side="right")) - 1

    def following(self, slot: int) -> int:
        """Return the next slot of the same class; the first slot follows the last."""
        cls = self.class_of(slot)
        first, last = int(self.offsets[cls]), int(self.offsets[cls + 1])
        return first if slot + 1 == last else slot + 1


def list_images(path: Path) -> ImageCatalogue:
    """List an ImageNet folder.

    Raises:
        SourceError: the folder does not exist or has no class folders, a class folder has no images, or a file name is
            not UTF-8.
    """
    if not path.is_dir():
        raise SourceError(
            "there is no image folder",
            where=path,
            do="point `images` at a folder in ImageNet's layout, or use `images=None`",
        )
    root = _find_root(path)
    wnids, files, listing, others = [], [], [], []
    for folder in sorted_entries(root):
        if not folder.is_dir() or _is_hidden(folder.name):
            continue
        found = _class_files(Path(folder.path))
        if not WNID.fullmatch(folder.name):
            others += [folder.name] if found else []
            continue
        if not found:
            raise SourceError("a class folder is empty", where=folder.path, do="fill it or remove it")
        foreign = [name for name in found if _UNDECODABLE.search(name)]
        if foreign:
            raise SourceError(
                "an image's file name is not UTF-8", where=folder.path, got=repr(foreign[0]), do="rename it"
            )
        wnids.append(folder.name)
        files.append(tuple(found))
        listing.append([folder.name, [[name, size] for name, size in found.items()]])
    return ImageCatalogue(
        root=root,
        wnids=tuple(wnids),
        files=tuple(files),
        fingerprint=digest(listing),
        other_classes=tuple(name.encode("utf-8", "replace").decode() for name in others),
    )


def split_images(catalogue: ImageCatalogue, seed: int, rows: dict[str, int], shared: bool) -> dict[str, SplitImages]:
    """Divide every class's files among the splits, at random, in proportion to the splits' rows.

    Args:
        catalogue: The files.
        seed: The build's seed.
        rows: Rows of each split.
        shared: Whether all splits use all images, as in the paper, instead of separate ones.

    Returns:
        split -> its images.

    Raises:
        SourceError: a class has fewer files than there are splits.
    """
    used = [split for split in SPLITS if rows[split]]
    if shared:
        counts = np.array([len(files) for files in catalogue.files])
        order = np.concatenate([np.arange(count) for count in counts])
        everything = SplitImages(np.concatenate([[0], np.cumsum(counts)]), order)
        return dict.fromkeys(used, everything)
    parts: dict[str, list[npt.NDArray[np.int64]]] = {split: [] for split in used}
    for cls, files in enumerate(catalogue.files):
        if len(files) < len(used):
            raise SourceError(
                f"a class has too few images for {len(used)} splits without shared images",
                where=catalogue.root / catalogue.wnids[cls],
                got=counted(len(files), "file"),
                do="add images, ask for fewer splits (`rows['validation']=0`), or use `split_policy='shared'`",
            )
        shuffled = Stream(seed, "m3/images").generator(cls).permutation(len(files))
        sizes = proportions(len(files), rows, least=1)
        edges = np.cumsum([0, *(sizes[split] for split in SPLITS)])
        for index, split in enumerate(SPLITS):
            if split in parts:
                parts[split].append(shuffled[edges[index] : edges[index + 1]])
    return {
        split: SplitImages(np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]), np.concatenate(pieces))
        for split, pieces in parts.items()
    }


def read_image(path: Path, size: int | None) -> tuple[bytes, str]:
    """Read one image in the form that a shard stores.

    An upright 8-bit RGB JPEG is kept byte for byte, unless it must shrink. Everything else is converted to an upright
    RGB JPEG: see `symile_data.format.images`.

    Args:
        path: The file.
        size: Largest length of the shorter side in pixels; None keeps the image's size.

    Returns:
        JPEG bytes, and "kept" or "converted".

    Raises:
        UnreadableImageError: with the reason "empty file", "not an image", "truncated or corrupt", "too large" or
            "unknown range of grey values".
        SourceError: the file cannot be opened at all.
    """
    data = read_bytes(path)
    if not data:
        raise UnreadableImageError("empty file")
    with quiet_pillow:
        try:
            image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise UnreadableImageError("too large")
            image.load()
            shrink = size is not None and min(image.size) > size
            if image.format == "JPEG" and image.mode == "RGB" and not is_turned(image) and not shrink:
                return data, "kept"
            return _to_jpeg(image, size), "converted"
        except UnreadableImageError:
            raise
        except UnidentifiedImageError:
            raise UnreadableImageError("not an image") from None
        except Image.DecompressionBombError:
            raise UnreadableImageError("too large") from None
        except UnfitMediumError:
            raise UnreadableImageError("unknown range of grey values") from None
        except MemoryError:
            raise  # a lack of memory is not the file's fault
        except Exception:
            # On corrupt data Pillow raises almost anything: OSError, struct.error, RuntimeError, ...
            raise UnreadableImageError("truncated or corrupt") from None


def read_bytes(path: Path) -> bytes:
    """Read the bytes of an image file.

    Raises:
        SourceError: the system refuses. That may be temporary, so it stops the build instead of dropping the image.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            "cannot open an image", where=path, got=error.strerror, do="fix this and run the same command again"
        ) from error


def check_size(size: int | None) -> None:
    """Refuse an image size that is too small to recognise anything.

    Raises:
        UsageError: the size is below 16 pixels.
    """
    if size is not None and size < 16:
        raise UsageError("`image_size` is the shorter side in pixels, at least 16", got=size)


def _to_jpeg(image: Image.Image, size: int | None) -> bytes:
    image = shown(image).convert("RGB")
    if size is not None and min(image.size) > size:
        scale = size / min(image.size)
        image = image.resize(
            (max(size, round(image.width * scale)), max(size, round(image.height * scale))), Image.Resampling.BICUBIC
        )
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _class_files(folder: Path) -> dict[str, int]:
    """Return name below the class folder -> size in bytes, for each file that may be an image, sorted by name."""
    found = {}
    for prefix, place in (("", folder), (f"{_INNER}/", folder / _INNER)):
        for entry in sorted_entries(place) if place.is_dir() else ():
            if entry.is_file() and not _is_hidden(entry.name) and entry.name != folder.name + _BOXES:
                found[prefix + entry.name] = entry.stat().st_size
    return dict(sorted(found.items()))


def _is_hidden(name: str) -> bool:
    """Whether an entry comes from a file manager and is not part of the collection."""
    return name.startswith(".") or name.lower() in _NO_IMAGES


def _find_root(path: Path) -> Path:
    for layout in _LAYOUTS:
        candidate = path / layout
        if candidate.is_dir() and any(entry.is_dir() and WNID.fullmatch(entry.name) for entry in candidate.iterdir()):
            return candidate
    names: Sequence[str] = sorted(entry.name for entry in path.iterdir())[:3]
    raise SourceError(
        "the image folder has no class folders named by wnid (n01440764, ...)",
        where=path,
        got=", ".join(names) or "an empty folder",
        do="point `images` at the folder above ILSVRC/, or at a folder of wnid folders",
    )
