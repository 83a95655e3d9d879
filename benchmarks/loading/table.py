"""All readers of the comparison: this loader, what users of torch have anyway, and the peers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from symile_data.loaders import BatchLoader, Resources, StoredSettings, open_split

from .peers import BATCH, PEERS, Decode, Peer
from .readers import AUDIO, EXACT, FAST, MEL, Mapped, PlainFiles, Streamed, exact_kernel, listed, log_mel, raw, tars

SETTINGS: dict[Decode, tuple[Any, Any]] = {exact_kernel: (EXACT, AUDIO), log_mel: (FAST, MEL)}


def this_loader(media_at: Path, rows: int, decode: Decode, workers: int, **resources: Any) -> Iterator[Any]:
    """One epoch of this package's loader."""
    stored = (StoredSettings(), StoredSettings())
    image, audio = stored if decode is raw else SETTINGS.get(decode, (FAST, AUDIO))
    split = open_split(media_at, "train")
    assert split.rows == rows
    yield from BatchLoader(
        split,
        BATCH,
        transforms={"image": image, "audio": audio},
        resources=Resources(threads=workers, **resources),
        drop_last=False,
    )


def torchs(make: Callable[..., Any], media_at: Path, rows: int, decode: Decode, workers: int) -> Iterator[Any]:
    """Torch's own loader with worker processes."""
    data = make(media_at / "files", rows, decode) if make is PlainFiles else make(media_at, decode)
    shuffle = None if make in (Streamed, tars) else True
    yield from DataLoader(
        data, BATCH, shuffle=shuffle, num_workers=workers, collate_fn=listed if decode is raw else None
    )


OURS = "this loader"
READERS: dict[str, Peer] = {
    OURS: Peer(read=this_loader),
    f"{OURS}, checksums not verified": Peer(read=partial(this_loader, checksums=False)),
    **PEERS,
    "DataLoader, plain files": Peer(read=partial(torchs, PlainFiles)),
    "datasets, map-style": Peer(read=partial(torchs, Mapped), load=partial(import_module, "datasets")),
    "datasets, streaming": Peer(read=partial(torchs, Streamed), load=partial(import_module, "datasets")),
    "webdataset": Peer(read=partial(torchs, tars), load=partial(import_module, "webdataset")),
}
