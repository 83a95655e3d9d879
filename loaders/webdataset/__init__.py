"""A pipeline of the webdataset library over the tars of this package, with the batches of `BatchLoader`.

    batches = pipeline(open_split("build/symile-m3-10-tars", "train"), 16, transforms={...})
    loader = webdataset.WebLoader(batches, batch_size=None, num_workers=4)

For code that is written for webdataset: further stages (`.map`, `.select`, `.with_epoch`) follow, and worker processes
and ranks share the shards as its users know it. It has webdataset's limits too: whole tars are read, whatever the
columns, without the index and its checksums; ranks get unequal numbers of rows; a run cannot be continued within an
epoch. `BatchLoader` has none of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.arguments import check_call
from symile_data.errors import UsageError
from symile_data.extras import needs_extra
from symile_data.format.shards.tar import TarShard

from ..batches import make_batch_spec
from ..checks import check_split
from ..split import Split
from .batches import RawBatch

if TYPE_CHECKING:
    from webdataset.pipeline import DataPipeline


def pipeline(
    split: Split,
    batch_size: int,
    *,
    seed: int = 0,
    buffer: int = 1000,
    drop_last: bool = False,
    transforms: Mapping[str, Any] | None = None,
    columns: Sequence[str] = (),
) -> DataPipeline:
    """Make a pipeline of batches with the entries that `BatchLoader` gives them.

    Args:
        split: From `open_split`, of a local dataset of tars, with all of its rows.
        batch_size: B, rows of a batch.
        seed: Seed of the order, which is another one in each epoch.
        buffer: Rows among which one is drawn at random; the order of the tars is random too. 0 gives file order.
        drop_last: Leave out the rows that do not fill a batch, in each worker process.
        transforms: Decoder settings by modality name; other modalities get the defaults of their kind.
        columns: Further columns to deliver.

    Raises:
        UsageError: the split is not of whole, local tars, or an argument does not fit it.
        MissingPackageError: webdataset is not installed.
    """
    with needs_extra("webdataset", "a pipeline of the webdataset library"):
        from webdataset import filters, shardlists
        from webdataset.compat import WebDataset  # the library's stub names it only here
    check_call(pipeline, {**locals(), "split": check_split(split)})
    if batch_size < 1 or buffer < 0:
        raise UsageError("a batch needs rows, and the buffer cannot be negative", got=f"{batch_size}, {buffer}")
    tars = _tars(split)
    spec = make_batch_spec(split, seed=seed, transforms=transforms or {}, columns=columns, rates={}, misaligned={})
    batch = RawBatch(spec=spec, members=tars[0].members, schema=tars[0].schema)
    paths = [str(Path(tar.location.root, tar.name).resolve()) for tar in tars]
    samples: Any = WebDataset(
        paths,
        shardshuffle=len(paths) if buffer else False,
        detshuffle=bool(buffer),
        seed=seed,
        nodesplitter=shardlists.split_by_node,
    )
    if buffer:
        samples = samples.compose(filters.detshuffle(buffer, initial=min(buffer, 100), seed=seed))
    made: DataPipeline = samples.batched(batch_size, collation_fn=None, partial=not drop_last).map(batch)
    return made


def _tars(split: Split) -> list[TarShard]:
    """Return the tars of a split.

    Raises:
        UsageError: a shard is no tar, is not local, or is not presented with all its rows and columns. The library runs
            a shell command for what is not local, with the name of the file in it.
    """
    tars = [shard for shard in split.shards if isinstance(shard, TarShard) and shard.location.system is None]
    if len(tars) < len(split.shards):
        raise UsageError(
            "the webdataset library reads whole local tars",
            where=split.location,
            got=f"{split.shards[0].name}, as {type(split.shards[0]).__name__}",
            do="build with `shard_format='webdataset'`, open it without where, rows and features, or use BatchLoader",
        )
    return tars
