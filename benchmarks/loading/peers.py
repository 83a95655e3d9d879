"""Other loaders that read the same rows, as their documentation shows it, with two threads or worker processes.

Each takes the folder that `data.write_media` wrote, the number of rows, what to do with each row, and the number of
workers, and yields batches. Libraries are imported within the functions: each peer runs in its own environment.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import struct
import subprocess
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, default_collate

from .readers import PlainFiles, raw

BATCH = 32
Decode = Callable[[bytes, bytes], Any]
Read = Callable[[Path, int, Decode, int], Iterator[Any]]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A loader to compare with.

    Args:
        read: One pass.
        requirements: What pip installs into an environment of its own; nothing for what this project has anyway.
        load: Imports the library, which is not counted.
        prepare: Writes the rows in the loader's own format into a new folder.
        folder: Name of that folder.
    """

    read: Read
    requirements: tuple[str, ...] = ()
    load: Callable[[], object] = int
    prepare: Callable[[Path, Path, int], None] | None = None
    folder: str = ""


def _import(module: str) -> Callable[[], object]:
    return functools.partial(importlib.import_module, module)


def batch_of(rows: list[Any], decode: Decode) -> Any:
    """Return rows as a batch: bytes as a list, tensors stacked."""
    return rows if decode is raw else default_collate(rows)


def stored(media_at: Path, row: int) -> tuple[bytes, bytes]:
    """Return the two files of a row."""
    return (media_at / f"files/{row}.jpg").read_bytes(), (media_at / f"files/{row}.flac").read_bytes()


_BOTO = ("boto3==1.44.8", "botocore==1.44.8", "s3transfer", "jmespath", "python-dateutil")
_MOSAIC = (
    "Brotli==1.2.1",
    "python-snappy==0.7.3",
    "cramjam==2.14.0",
    "xxhash==3.8.2",
    "zstd==1.5.7.2",
    "catalogue==2.0.10",
)


def thread_pool(media_at: Path, rows: int, decode: Decode, workers: int) -> Iterator[Any]:
    """Fifteen lines that anybody can write."""
    order = np.random.default_rng(0).permutation(rows).tolist()

    def load(row: int) -> Any:
        return decode(*stored(media_at, row))

    with ThreadPoolExecutor(workers) as pool:
        pending: deque[list[Future[Any]]] = deque()
        for start in range(0, rows, BATCH):
            pending.append([pool.submit(load, row) for row in order[start : start + BATCH]])
            if len(pending) > 2:
                yield batch_of([future.result() for future in pending.popleft()], decode)
        while pending:
            yield batch_of([future.result() for future in pending.popleft()], decode)


def stateful(media_at: Path, rows: int, decode: Decode, workers: int) -> Iterator[Any]:
    """Torchdata's loader, which keeps the state of its workers."""
    loader = importlib.import_module("torchdata.stateful_dataloader").StatefulDataLoader
    files = PlainFiles(media_at / "files", rows, decode)
    collate = functools.partial(batch_of, decode=decode)
    yield from loader(files, BATCH, shuffle=True, num_workers=workers, collate_fn=collate)


def grain_files(media_at: Path, rows: int, decode: Decode, workers: int) -> Iterator[Any]:
    """Grain over plain files."""
    grain = importlib.import_module("grain")
    source = grain.MapDataset.range(rows).shuffle(seed=0).map(lambda row: decode(*stored(media_at, row)))
    return _grain(grain, source, decode, workers)


def grain_records(media_at: Path, rows: int, decode: Decode, workers: int) -> Iterator[Any]:
    """Grain over ArrayRecord files, which it is made for."""
    grain = importlib.import_module("grain")
    records = grain.sources.ArrayRecordDataSource([str(path) for path in sorted((media_at / "records").iterdir())])
    source = grain.MapDataset.source(records).shuffle(seed=0).map(lambda data: decode(*_unpacked(data)))
    return _grain(grain, source[:rows], decode, workers)


def _grain(grain: Any, source: Any, decode: Decode, workers: int) -> Iterator[Any]:
    options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=2 * BATCH)
    batches = source.to_iter_dataset(options).batch(BATCH, drop_remainder=False, batch_fn=list)
    return (batch_of(batch, decode) for batch in batches)


def write_records(media_at: Path, to: Path, rows: int) -> None:
    """Write both files of a row as one record, each of its own for random access."""
    writer_of = importlib.import_module("array_record.python.array_record_module").ArrayRecordWriter
    for shard in range(4):
        writer = writer_of(str(to / f"{shard}.array_record"), "group_size:1")
        for row in range(rows * shard // 4, rows * (shard + 1) // 4):
            picture, clip = stored(media_at, row)
            writer.write(struct.pack("<I", len(picture)) + picture + clip)
        writer.close()


def _unpacked(data: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(data[:4], "little")
    return data[4:end], data[end:]


def lance_take(media_at: Path, rows: int, decode: Decode, workers: int) -> Iterator[Any]:
    """Lance, each batch taken by row numbers in a thread."""
    data = importlib.import_module("lance").dataset(str(media_at / "lance"))
    order = np.random.default_rng(0).permutation(rows).tolist()

    def load(start: int) -> Any:
        table = data.take(order[start : start + BATCH], columns=["image", "audio"])
        found = zip(table["image"].to_pylist(), table["audio"].to_pylist(), strict=True)
        return batch_of([decode(picture, clip) for picture, clip in found], decode)

    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Any]] = deque()
        for start in range(0, rows, BATCH):
            pending.append(pool.submit(load, start))
            if len(pending) > 2:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def write_lance(media_at: Path, to: Path, rows: int) -> None:
    """Write two binary columns."""
    import pyarrow as pa

    schema = pa.schema([("image", pa.binary()), ("audio", pa.binary())])

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, 50):
            some = [stored(media_at, row) for row in range(start, min(start + 50, rows))]
            yield pa.record_batch([pa.array(column, pa.binary()) for column in zip(*some, strict=True)], schema=schema)

    lance = importlib.import_module("lance")
    lance.write_dataset(pa.RecordBatchReader.from_batches(schema, batches()), str(to), mode="overwrite")


def litdata(media_at: Path, rows: int, decode: Decode, workers: int) -> Iterator[Any]:
    """LitData over its own chunks, with worker processes."""
    library = importlib.import_module("litdata")
    data = library.StreamingDataset(str(media_at / "litdata"), shuffle=True, transform=_Row(decode))
    collate = functools.partial(batch_of, decode=decode)
    yield from library.StreamingDataLoader(data, batch_size=BATCH, num_workers=workers, collate_fn=collate)


@dataclass(frozen=True)
class _Row:
    """Decodes a row that is a dict of two files; other arguments are passed over."""

    decode: Decode

    def __call__(self, row: dict[str, bytes], *_: Any, **__: Any) -> Any:
        return self.decode(row["image"], row["audio"])


def _row_of(row: int, media_at: Path) -> dict[str, bytes]:
    picture, clip = stored(media_at, row)
    return {"image": picture, "audio": clip}


def write_litdata(media_at: Path, to: Path, rows: int) -> None:
    """Write chunks of 64 MB."""
    optimize = importlib.import_module("litdata").optimize
    row_of = functools.partial(_row_of, media_at=media_at)
    optimize(
        fn=row_of, inputs=list(range(rows)), output_dir=str(to), num_workers=1, chunk_bytes="64MB", mode="overwrite"
    )


def spdl(media_at: Path, rows: int, decode: Decode, workers: int) -> Iterator[Any]:
    """SPDL, one task for each batch of plain files, which is its fastest way here."""
    builder = importlib.import_module("spdl.pipeline").PipelineBuilder()
    order = np.random.default_rng(0).permutation(rows).tolist()

    def load(some: list[int]) -> Any:
        return batch_of([decode(*stored(media_at, row)) for row in some], decode)

    batches = [order[start : start + BATCH] for start in range(0, rows, BATCH)]
    pipeline = builder.add_source(batches).pipe(load, concurrency=workers).add_sink(2).build(num_threads=workers)
    with pipeline.auto_stop():
        yield from pipeline.get_iterator()


def mosaic(media_at: Path, rows: int, decode: Decode, workers: int) -> Iterator[Any]:
    """The streaming library of mosaicml over its own shards, with worker processes."""
    library = mosaic_library()

    class Rows(library.StreamingDataset):  # type: ignore[name-defined]
        def __getitem__(self, at: int) -> Any:
            row = super().__getitem__(at)
            return decode(row["image"], row["audio"])

    data = Rows(local=str(media_at / "mosaic"), shuffle=True, batch_size=BATCH, num_canonical_nodes=1)
    yield from DataLoader(data, BATCH, num_workers=workers, collate_fn=functools.partial(batch_of, decode=decode))


def mosaic_library() -> Any:
    """Import it without torchvision, whose wheels need CUDA, and which only its image folders use."""
    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional"):
        module = sys.modules.setdefault(name, types.ModuleType(name))
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    sys.modules["torchvision.datasets"].VisionDataset = object  # type: ignore[attr-defined]
    sys.modules["torchvision.transforms.functional"].to_tensor = None  # type: ignore[attr-defined]
    return importlib.import_module("streaming")


def write_mosaic(media_at: Path, to: Path, rows: int) -> None:
    """Write shards of its format MDS, of 64 MB."""
    columns = {"image": "bytes", "audio": "bytes"}
    with mosaic_library().MDSWriter(out=str(to), columns=columns, size_limit=1 << 26, exist_ok=True) as writer:
        for row in range(rows):
            writer.write(_row_of(row, media_at))


def energon(media_at: Path, rows: int, decode: Decode, workers: int) -> Iterator[Any]:
    """Megatron Energon over the tars, with worker processes and its shuffle buffer."""
    library = importlib.import_module("megatron.energon")

    class Rows(library.DefaultTaskEncoder):  # type: ignore[name-defined]
        decoder = None  # the files as they are

        @library.stateless
        def encode_sample(self, sample: Any) -> Any:
            return {"row": decode(sample["jpg"], sample["flac"])}

        def batch(self, samples: list[Any]) -> Any:
            return batch_of([sample["row"] for sample in samples], decode)

    cookers = [library.Cooker(library.stateless(_kept))]
    encoder = type("Encoder", (Rows,), {"cookers": cookers})()
    config = library.WorkerConfig(rank=0, world_size=1, num_workers=workers)
    data = library.get_train_dataset(
        str(media_at / "energon"),
        worker_config=config,
        batch_size=BATCH,
        shuffle_buffer_size=200,
        max_samples_per_sequence=100,
        task_encoder=encoder,
        repeat=False,
    )
    yield from library.get_loader(data)


def _kept(sample: Any) -> Any:
    return sample


def write_tars(media_at: Path, to: Path, rows: int) -> None:
    """Link the tars and index them, which Energon does by a command of its own."""
    for path in (media_at / "tars").iterdir():
        (to / path.name).hardlink_to(path)
    command = [sys.executable, "-m", "megatron.energon.cli.main", "prepare", str(to), "--non-interactive", *_PREPARE]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)


_PREPARE = ["--split-ratio", "1,0,0", "--sample-type", "CrudeWebdataset", "--num-workers", "1", "--force-overwrite"]
_GRAIN = ("grain==0.2.18", "array-record==0.8.6")

PEERS: dict[str, Peer] = {
    "15 lines of ThreadPoolExecutor, plain files": Peer(read=thread_pool),
    "grain, plain files": Peer(read=grain_files, requirements=_GRAIN, load=_import("grain")),
    "grain, ArrayRecord": Peer(
        read=grain_records, requirements=_GRAIN, load=_import("grain"), prepare=write_records, folder="records"
    ),
    "Lance, take": Peer(
        read=lance_take, requirements=("pylance==14.0.2",), load=_import("lance"), prepare=write_lance, folder="lance"
    ),
    "SPDL, plain files": Peer(read=spdl, requirements=("spdl==0.8.0",), load=_import("spdl.pipeline")),
    "StatefulDataLoader, plain files": Peer(
        read=stateful, requirements=("torchdata==0.11.0",), load=_import("torchdata.stateful_dataloader")
    ),
    "LitData": Peer(
        read=litdata,
        # Its requirement torchvision has wheels for CUDA only, which would bring a second torch.
        requirements=("--no-deps", "litdata==0.2.76", "obstore==0.12.1", "tifffile==2026.3.3", *_BOTO),
        load=_import("litdata"),
        prepare=write_litdata,
        folder="litdata",
    ),
    "mosaicml-streaming": Peer(
        read=mosaic,
        requirements=("--no-deps", "mosaicml-streaming==0.13.0", *_MOSAIC, *_BOTO),
        load=mosaic_library,
        prepare=write_mosaic,
        folder="mosaic",
    ),
    "Energon": Peer(
        read=energon,
        requirements=("megatron-energon==7.4.1",),
        load=_import("megatron.energon"),
        prepare=write_tars,
        folder="energon",
    ),
}
