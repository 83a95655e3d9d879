"""Read images from a dataset on the Hugging Face Hub, or from a local folder of that form: ILSVRC/imagenet-1k and
similar datasets with the columns `image` and `label`.

The rows are streamed once into an ImageNet folder below `.build/`, encoded as they are, and then read like any folder.
The position in the stream is saved regularly, so an interrupted build resumes there.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import traceback
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from symile_data.datasets.m3.names import imagenet_classes
from symile_data.errors import SourceError, SymileDataError, UsageError
from symile_data.files import digest, open_regular, pretty_json, write_errors, write_text
from symile_data.format.front_matter import CARD, MOST_CARD_BYTES, configs_of, read_front_matter
from symile_data.format.location import Location
from symile_data.format.manifest import Dropped
from symile_data.progress import stage

from .imagenet import WNID

NOTED_ROWS = 1024  # rows after which the position in the stream is saved

_PREFIX = "hf:"
_COLUMNS = ("image", "label")
_STATE = "state.json"
_EXAMPLES = 5  # rows without an image that the manifest names for each reason


@dataclass(frozen=True)
class HubImages:
    """A repository of the Hub, or a local folder that `datasets.load_dataset` reads.

    Args:
        repo: "owner/name", or a folder.
        revision: Branch, tag or commit; None is the newest.
    """

    repo: str
    revision: str | None = None

    @property
    def name(self) -> str:
        """The name in the manifest: the repository, or the last part of a folder's path."""
        return Path(self.repo).name if self.is_folder else self.repo

    @property
    def is_folder(self) -> bool:
        """Whether it is a local folder."""
        return Path(self.repo).is_dir()


def parse_hub(text: str) -> HubImages | None:
    """Parse `hf:REPO` or `hf:REPO@REVISION`, as `--images` takes it; return None for anything else.

    >>> parse_hub("hf:zh-plus/tiny-imagenet@main")
    HubImages(repo='zh-plus/tiny-imagenet', revision='main')
    >>> parse_hub("/data/imagenet") is None
    True
    """
    if not text.startswith(_PREFIX):
        return None
    repo, _, revision = text.removeprefix(_PREFIX).partition("@")
    if not repo:
        raise UsageError("`images='hf:'` needs a repository", got=repr(text), do="write it like hf:ILSVRC/imagenet-1k")
    return HubImages(repo, revision or None)


@dataclass(frozen=True)
class HubStream:
    """An opened repository.

    Args:
        images: The repository.
        fingerprint: JSON-like description of what is read, for the build's fingerprint.
        rows: Number of rows; 0 where the repository does not say.
        wnids: Class of each label; empty where each row gives its wnid.
        stream: The streamed dataset.
    """

    images: HubImages
    fingerprint: dict[str, Any]
    rows: int
    wnids: tuple[str, ...]
    stream: Any


def open_hub(images: HubImages) -> HubStream:
    """Open a repository's training split and read its classes; no image is read yet.

    Raises:
        SourceError: the repository does not exist or cannot be reached, or it has other columns or classes.
    """
    from datasets import Image, load_dataset

    with _hub_errors(images):
        revision = _revision(images)
        licence = _licence(_read_card(images, revision))
        splits = load_dataset(
            images.repo,
            revision=None if images.is_folder else revision,
            streaming=True,
            trust_remote_code=False,
        )
        name = "train" if "train" in splits else next(iter(splits))
        stream = splits[name]
        if stream.features is None:
            stream = stream._resolve_features()
        absent = [column for column in _COLUMNS if column not in stream.features]
        if absent:
            raise SourceError(
                f"the dataset has no column {absent[0]!r}",
                where=images.repo,
                got=", ".join(stream.features),
                do="give one with the columns image and label, such as ILSVRC/imagenet-1k",
            )
        wnids = _classes(images, stream.features["label"])
        stream = stream.select_columns(list(_COLUMNS)).cast_column("image", Image(decode=False))
        info = (stream.info.splits or {}).get(name)
    kind: dict[str, Any] = {"kind": "imagenet", "repository": images.name, "split": name}
    return HubStream(
        images=images,
        fingerprint=kind | licence | ({"listing": revision} if images.is_folder else {"revision": revision}),
        rows=info.num_examples if info is not None and info.num_examples else 0,
        wnids=wnids,
        stream=stream,
    )


def write_hub(opened: HubStream, folder: Path) -> list[Dropped]:
    """Stream every image into `folder`/<wnid>/, or resume an interrupted stream.

    Returns:
        Rows without a label or an image, counted by reason.

    Raises:
        SourceError: the stream broke off; images that arrived are kept.
    """
    state = _read_state(folder)
    if state["finished"]:
        return _dropped(state)
    dropped: dict[str, list[str]] = state["dropped"]
    done = int(state["rows"])
    with (
        stage("images (hub)", opened.rows or None, "images", done) as advance,
        _hub_errors(opened.images),
        closing(_rows(opened, done)) as rows,
    ):
        while batch := list(itertools.islice(rows, NOTED_ROWS)):
            with write_errors(folder):
                for number, row in enumerate(batch, start=done):
                    reason = _write(folder, opened, number, row)
                    if reason:
                        dropped.setdefault(reason, []).append(f"row {number}")
                os.sync()  # the saved position promises that these files are on the disk
            done += len(batch)
            _write_state(folder, {"rows": done, "dropped": dropped, "finished": False})
            advance(len(batch))
    state = {"rows": done, "dropped": dropped, "finished": True}
    _write_state(folder, state)
    return _dropped(state)


def first_images(opened: HubStream, count: int) -> list[bytes]:
    """Return the images of the first `count` rows at most, encoded as they are.

    Raises:
        SourceError: the stream broke off.
    """
    with _hub_errors(opened.images), closing(_rows(opened, 0)) as rows:
        return [data for row in itertools.islice(rows, count) if (data := _image(opened, row["image"]))]


def _rows(opened: HubStream, start: int) -> Generator[dict[str, Any], None, None]:
    """Yield the rows from `start` on. Always close this generator: pyarrow reads Parquet ahead in its own threads, and
    the program aborts or hangs if they still run when it exits (apache/arrow#45214). They end once nothing refers to
    the stream, and a garbage collection breaks the reference cycles.
    """
    rows = iter(opened.stream.skip(start) if start else opened.stream)
    try:
        yield from rows
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # an error that is kept would keep the stream's frames
        raise
    finally:
        del rows
        gc.collect()


def _read_card(images: HubImages, revision: str) -> str:
    """Read the card, "" where there is none. A card is refused that is not safe for `datasets`, whose reader expands
    YAML aliases without a limit and opens files outside the dataset that the card names.

    Raises:
        SourceError: the card cannot be parsed safely, or names files outside the dataset.
    """
    place = Location.of(images.repo if images.is_folder else f"hf://datasets/{images.repo}@{revision}")
    try:
        card = place.read_text(CARD, MOST_CARD_BYTES)
        configs = configs_of(card)
    except FileNotFoundError:
        return ""
    except ValueError as error:
        raise _refused(place, error) from None
    named = [pattern for config in configs for files in config.files or () for pattern in files.patterns]
    named += [config.folder for config in configs]
    outside = next((path for path in named if not _is_inside(path)), None)
    if outside is not None:
        raise _refused(place, f"files outside the dataset ({outside})")
    return card


def _licence(card: str) -> dict[str, str | None]:
    r"""Return what a card that was read says of the licence: "licence", None where it states none, and "licence_link".

    >>> _licence("---\nlicense: other\nlicense_name: its-terms\nlicense_link: https://example.org/\n---\n")
    {'licence': 'its-terms', 'licence_link': 'https://example.org/'}
    """
    matter = read_front_matter(card)
    stated = matter if isinstance(matter, dict) else {}
    names = [stated.get("license_name")] if stated.get("license_name") else stated.get("license")
    listed = [name for name in (names if isinstance(names, list) else [names]) if isinstance(name, str)]
    link = stated.get("license_link")
    return {
        "licence": ", ".join(listed) or None,
        **({"licence_link": link} if isinstance(link, str) and link.startswith("https://") else {}),
    }


def _is_inside(path: str) -> bool:
    """Whether a path or pattern is relative, has no "..", and is not a URL."""
    return not (":" in path or "\\" in path or path.startswith(("/", "~")) or ".." in PurePosixPath(path).parts)


def _refused(place: Location, why: object) -> SourceError:
    return SourceError("the dataset's card cannot be trusted", where=place.where(CARD), got=why, do="choose another")


def _write(folder: Path, opened: HubStream, number: int, row: dict[str, Any]) -> str | None:
    """Write the image of one row. Return None, or the reason why the row has none to write."""
    wnids, label = opened.wnids, row["label"]
    if isinstance(label, str):
        wnid = label if WNID.fullmatch(label) else None
    else:
        wnid = wnids[label] if label is not None and 0 <= label < len(wnids) else None
    if wnid is None:
        return "no label"
    data = _image(opened, row["image"])
    if not data:
        return "no image"
    path = folder / wnid / f"{wnid}_{number:08d}.JPEG"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return None


def _image(opened: HubStream, image: dict[str, Any] | None) -> bytes | None:
    """Return the encoded bytes of a row's image; None where it has none."""
    if image is None:
        return None
    if image["bytes"] is not None:
        return bytes(image["bytes"])
    return _referenced_file(Path(opened.images.repo) if opened.images.is_folder else None, image["path"])


def _referenced_file(root: Path | None, name: str | None) -> bytes | None:
    """Read a file that a row names in place of an image; refuse files outside the folder of the dataset."""
    if root is None or not name or not Path(name).resolve().is_relative_to(root.resolve()):
        return None
    with open_regular(Path(name)) as file:
        return file.read()


def _classes(images: HubImages, label: Any) -> tuple[str, ...]:
    names = getattr(label, "names", None)
    if names is None:
        if getattr(label, "dtype", None) == "string":
            return ()  # each row gives its wnid
    elif all(WNID.fullmatch(name) for name in names):
        return tuple(names)
    elif len(names) == len(imagenet_classes()[0]):
        return imagenet_classes()[0]
    raise SourceError(
        "the labels do not name classes of ImageNet",
        where=images.repo,
        got=repr(label) if names is None else f"{len(names)} names, such as {', '.join(names[:3])}",
        do="give a dataset whose labels are wnids, or are the 1000 classes in ILSVRC's order",
    )


def _revision(images: HubImages) -> str:
    """Return the commit of a repository, or the hash of a local folder's listing."""
    if images.is_folder:
        root = Path(images.repo)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return digest([[path.relative_to(root).as_posix(), path.stat().st_size] for path in files])
    from huggingface_hub import HfApi

    return str(HfApi().dataset_info(images.repo, revision=images.revision).sha)


@contextmanager
def _hub_errors(images: HubImages) -> Iterator[None]:
    try:
        yield
    except SymileDataError:
        raise
    except Exception as error:  # the hub's libraries raise errors of many unrelated classes
        said = str(error).strip().splitlines()
        raise SourceError(
            "cannot read the images from the hub",
            where=images.repo,
            got=f"{type(error).__name__}: {said[0] if said else ''}",
            do="check the name, the network and your access (huggingface-cli login; ImageNet's terms must be accepted "
            "on its page), then run the same command again: images that arrived are kept",
        ) from error


def _read_state(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / _STATE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {"rows": 0, "dropped": {}, "finished": False}


def _write_state(folder: Path, state: dict[str, Any]) -> None:
    write_text(folder / _STATE, pretty_json(state))


def _dropped(state: dict[str, Any]) -> list[Dropped]:
    return [
        Dropped(reason=f"image: {reason}", count=len(rows), examples=rows[:_EXAMPLES])
        for reason, rows in sorted(state["dropped"].items())
    ]
