"""What the processes of a distributed run tell each other beside the loss: that they are there, whose turn it is, rows
for retrieval, and counts.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.utilities import rank_zero_only
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from symile_data.errors import SymileDataError, UsageError
from symile_data.evaluation.embeddings import Embeddings
from symile_data.launch import AGAIN, LOST, is_watched
from symile_data.losses.gather import rank_shard

SECONDS = "SYMILE_DATA_RENDEZVOUS_SECONDS"  # in which all processes must have come; an environment variable

_SECONDS = 30.0
_TURN = timedelta(days=7)  # the main process may pretrain or test for long; that it lives is seen otherwise
_LOST = re.compile(r"closed by peer|reset by peer|broken pipe|gloo|nccl|timed out", re.IGNORECASE)


class _Meeting:
    """Where the processes wait for each other; nowhere before they joined."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._turns = 0

    def open(self, store: Store) -> None:
        self._store = store

    def go_on(self) -> None:
        """As the main process: let the others go on."""
        self._turns += 1
        if self._store is not None:
            self._store.set(f"turn {self._turns}", "done")

    def wait(self) -> None:
        """As another process: wait for the main one."""
        self._turns += 1
        if self._store is not None:
            self._store.wait([f"turn {self._turns}"], _TURN)


_meeting = _Meeting()


def is_main_process() -> bool:
    """Whether this process is the one that writes and prints; the only one where there are not several."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


@contextlib.contextmanager
def main_process_first() -> Iterator[None]:
    """Let the main process do something before the others, which wait however long it takes.

    Where the processes did not `join`, none waits.
    """
    if is_main_process():
        yield
        _meeting.go_on()
    else:
        _meeting.wait()
        yield


def join(devices: int, accelerator: str) -> None:
    """Meet the other processes of this run, before anything that takes long is done.

    Raises:
        SymileDataError: they do not come in time.
        UsageError: there are fewer GPUs than processes.
    """
    if devices == 1 or dist.is_initialized():
        return
    kinds = (TorchElasticEnvironment, SLURMEnvironment, LightningEnvironment)
    environment = next(kind for kind in kinds if kind.detect())()
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    rank, seconds = environment.local_rank(), float(os.environ.get(SECONDS, _SECONDS))
    device = None
    if accelerator != "cpu" and torch.cuda.is_available():
        if torch.cuda.device_count() < devices:
            raise UsageError("there are fewer GPUs than devices", got=f"{torch.cuda.device_count()} for {devices}")
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
    try:
        store, *_ = next(rendezvous("env://", rank, devices, timeout=timedelta(seconds=seconds)))
    except RuntimeError as error:
        raise SymileDataError(
            f"the other processes of this training did not come within {seconds:g} seconds",
            where=f"process {rank + 1} of {devices}",
            do=f"start all of them together; the environment variable {SECONDS} gives slow ones more time",
        ) from error
    dist.init_process_group(
        "gloo" if device is None else "nccl",
        store=PrefixStore("training", store),
        rank=rank,
        world_size=devices,
        device_id=device,
    )
    _meeting.open(PrefixStore("turns", store))


def is_lost(error: BaseException) -> bool:
    """Whether an error comes of another process's end."""
    if not dist.is_initialized() or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, dist.DistError) or _LOST.search(str(error)) is not None


@contextlib.contextmanager
def lost_peers() -> Iterator[None]:
    """Turn the errors that come of another process's end into one sentence, which the launcher says where it watches.

    Raises:
        SymileDataError: another process ended.
        SystemExit: the same, where the launcher watches.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_lost(error):
            raise
        if is_watched():
            raise SystemExit(LOST) from error
        raise SymileDataError("another process of this training has ended", do=AGAIN) from error


def rows_of_all_ranks(rows: int, device: torch.device) -> int:
    """The sum over ranks of each one's number of rows; one of them at least has rows."""
    return rank_shard(rows, device, gather=True).total


def gathered(embedded: Embeddings, device: torch.device) -> Embeddings:
    """The rows of all ranks, in rank order, on the CPU of each.

    Args:
        embedded: This rank's.
        device: On which ranks talk to each other.
    """
    if not dist.is_available() or not dist.is_initialized():
        return embedded
    shard = rank_shard(len(embedded.labels), device, gather=True)
    values = shard.gather([value.to(device) for value in embedded.values.values()])
    (labels,) = shard.gather([embedded.labels.to(device)])
    sets = None if embedded.candidates is None else shard.gather([embedded.candidates.to(device)])[0].cpu()
    return Embeddings(
        {name: value.cpu() for name, value in zip(embedded.values, values, strict=True)}, labels.cpu(), sets
    )
