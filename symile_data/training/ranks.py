"""Communication of the processes of a distributed run beside the loss: joining, taking turns, gathering rows for
retrieval, and adding counts.
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
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from symile_data.errors import SymileDataError, UsageError
from symile_data.evaluation.embeddings import Embeddings
from symile_data.launch import AGAIN, LOST, is_watched
from symile_data.losses.gather import rank_shard

SECONDS = "SYMILE_DATA_RENDEZVOUS_SECONDS"  # environment variable: seconds within which all processes must have joined

_SECONDS = 30.0
_TURN = timedelta(days=7)  # the main process may pretrain or test for long; other checks notice that it died
_LOST = re.compile(r"closed by peer|reset by peer|broken pipe|gloo|nccl|timed out", re.IGNORECASE)


class _Meeting:
    """Let the other processes wait for the main one. Before they have joined, none waits."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._turns = 0

    def open(self, store: Store) -> None:
        self._store = store

    def go_on(self) -> None:
        """Let the other processes go on; the main process calls it."""
        self._turns += 1
        if self._store is not None:
            self._store.set(f"turn {self._turns}", "done")

    def wait(self) -> None:
        """Wait for the main process; the others call it."""
        self._turns += 1
        if self._store is not None:
            self._store.wait([f"turn {self._turns}"], _TURN)


_meeting = _Meeting()


def is_main_process() -> bool:
    """Whether this process writes and prints: the only one, or the first of several."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


@contextlib.contextmanager
def main_process_first() -> Iterator[None]:
    """Let the main process run the body before the others, which wait however long it takes.

    Where the processes did not `join`, none waits.
    """
    if is_main_process():
        yield
        _meeting.go_on()
    else:
        _meeting.wait()
        yield


def join(devices: int, accelerator: str) -> None:
    """Join the other processes of this run, before any long work starts.

    Raises:
        SymileDataError: a process does not join in time.
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
            f"the other processes of this training did not join within {seconds:g} seconds",
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
    """Whether an error was caused by the end of another process."""
    if not dist.is_initialized() or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, dist.DistError) or _LOST.search(str(error)) is not None


@contextlib.contextmanager
def lost_peers() -> Iterator[None]:
    """Turn errors caused by the end of another process into one sentence, or leave it to a watching launcher.

    Raises:
        SymileDataError: another process ended.
        SystemExit: another process ended, and the launcher watches and reports it.
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
    """Sum the numbers of rows over ranks, at least one of which has rows."""
    return rank_shard(rows, device, gather=True).total


def sum_of_all_ranks(values: Tensor) -> Tensor:
    """Sum a tensor over ranks; every rank gets the result."""
    if not dist.is_available() or not dist.is_initialized():
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total


def gathered(embedded: Embeddings, device: torch.device) -> Embeddings:
    """Gather the rows of all ranks, in rank order, on the CPU of each.

    Args:
        embedded: Rows of this rank.
        device: Device on which ranks communicate.
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
