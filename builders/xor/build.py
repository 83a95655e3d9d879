"""Build an XOR dataset: bits from named streams indexed by row, shards, card, manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.manifest import Identity, Manifest, file_entry, library_versions
from symile_data.missingness import missing
from symile_data.streams import Stream

from ..cluster import LOCAL
from ..document import Document
from ..execution import open_pool, run_stage
from ..shards import shard_path, shard_ranges, write_shard
from ..workspace import Product, open_workspace
from .schema import xor_schema
from .spec import XorSpec

DATASET = "xor"
ROWS_PER_SHARD = 50_000
ROWS_PER_GROUP = 1_000

_PACKAGES = ("numpy", "pyarrow")

Bits = npt.NDArray[np.float32]


def draw_bits(spec: XorSpec, split: str, start: int, stop: int) -> list[Bits]:
    """The variables of some rows: all but the last independent fair bits; the last their XOR, or a copy of the first.

    Returns:
        V arrays (stop - start, dims) of 0 and 1.

    >>> a, b, c = draw_bits(XorSpec(), "train", 0, 4)
    >>> bool((c == (a != b)).all())
    True
    """
    free = spec.variables - 1
    uniform = Stream(spec.seed, f"xor/{split}").rows(start, stop, free * spec.dims + 1)
    bits = (uniform[:, :-1] < 0.5).reshape(stop - start, free, spec.dims)
    exclusive = np.logical_xor.reduce(bits, axis=1)
    last = np.where(uniform[:, -1:] < spec.p_hat, exclusive, bits[:, 0])
    return [variable.astype(np.float32) for variable in (*bits.transpose(1, 0, 2), last)]


def build_xor(
    spec: XorSpec, out: Path, *, workers: int, executor: str = LOCAL, document: Document, command: str = ""
) -> Manifest:
    """Build the dataset in `out`, or finish a build that was interrupted there.

    Args:
        spec: What to build.
        out: Output directory.
        workers: Worker processes; the bytes do not depend on it.
        executor: "local" for these, or a cluster in their place: see `cluster_pool`.
        document: Writes the files beside the shards and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written.

    Raises:
        OutputError: the output directory is unsuitable, or the disk refuses.
    """
    schema = xor_schema(spec)
    identity = Identity(dataset=DATASET, spec=spec.to_json(), sources={}, versions=library_versions(_PACKAGES))
    with open_workspace(out, identity) as workspace:
        if isinstance(workspace, Manifest):
            return workspace
        products, splits = [], []
        for split, rows in spec.rows.items():
            ranges = shard_ranges(rows, ROWS_PER_SHARD)
            for index, (start, stop) in enumerate(ranges):
                job = _Job(spec, split, start, stop)
                products.append(
                    Product(
                        path=shard_path(split, index, len(ranges), spec.shard_format),
                        arguments=job,
                        key=[split, start, stop],
                    )
                )
                splits.append(split)
        with open_pool(min(workers, len(products)), executor) as pool:
            results = run_stage(workspace, "shards", products, _make_shard, pool)
        shards = [
            file_entry(out, out / product.path, rows=result["rows"], split=split)
            for product, split, result in zip(products, splits, results, strict=True)
        ]
        manifest = Manifest(
            identity=identity,
            modalities=schema.modalities,
            splits={split: rows for split, rows in spec.rows.items() if rows},
            files=shards,
            command=command,
        )
        documents = [file_entry(out, path) for path in sorted(document(out, manifest, schema))]
        manifest = replace(manifest, files=[*shards, *documents])
        workspace.finish(manifest)
        return manifest


@dataclass(frozen=True)
class _Job:
    spec: XorSpec
    split: str
    start: int
    stop: int


def _make_shard(job: _Job, path: Path) -> dict[str, Any]:
    return {"rows": write_shard(path, xor_schema(job.spec), _batches(job))}


def _batches(job: _Job) -> Iterator[pa.RecordBatch]:
    spec, schema = job.spec, xor_schema(job.spec).arrow
    splits = list(spec.rows)
    first_id = sum(spec.rows[before] for before in splits[: splits.index(job.split)])
    masked = job.split != "test" or spec.missing_test
    for start in range(job.start, job.stop, ROWS_PER_GROUP):
        stop = min(start + ROWS_PER_GROUP, job.stop)
        ids = first_id + np.arange(start, stop)
        rates = {name: spec.missing.get(name, 0.0) if masked else 0.0 for name in spec.names}
        absent = {name: missing(spec.seed, ids, name, rate) for name, rate in rates.items()}
        columns = {
            name: pa.FixedSizeListArray.from_arrays(pa.array(bits.ravel()), spec.dims, mask=pa.array(absent[name]))
            for name, bits in zip(spec.names, draw_bits(spec, job.split, start, stop), strict=True)
        }
        masks = {f"{name}_missing": pa.array(values) for name, values in absent.items()}
        yield pa.RecordBatch.from_pydict({"sample_id": pa.array(ids), **columns, **masks}, schema=schema)
