"""Ranks of gloo process groups, as processes on this machine.

The parent hosts the store at which ranks meet, and ranks wait there for each other before they leave. A barrier among
the ranks themselves would not do: gloo may fail a rank that is still reading when another closes its connections, even
where both have passed a barrier (pytorch/gloo, issue 155). Each wait has an end that lies before the tests' own.
"""

import os
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]
from torch.multiprocessing.spawn import spawn

_HOST = "127.0.0.1"
_PATIENCE = timedelta(seconds=120)


def run_ranks(worker: Callable[..., None], sizes: Sequence[int], *arguments: object) -> None:
    """Run a function in every rank of process groups, one group after the other in the same processes.

    Args:
        worker: A function of a module, called with the rank, the number of ranks and the arguments.
        sizes: Numbers of ranks, all different.
        arguments: Further arguments.
    """
    store = TCPStore(_HOST, 0, is_master=True, wait_for_workers=False, timeout=_PATIENCE)
    spawn(_run_rank, (store.port, worker, tuple(sizes), arguments), nprocs=max(sizes))


def _run_rank(
    rank: int, port: int, worker: Callable[..., None], sizes: Sequence[int], arguments: Sequence[object]
) -> None:
    torch.set_num_threads(1)
    # Of this machine alone: the name of the host may stand for an address at which it cannot be reached.
    os.environ["GLOO_SOCKET_IFNAME"] = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    store = TCPStore(_HOST, port, is_master=False, timeout=_PATIENCE)
    for size in sizes:
        if rank < size:
            meeting = PrefixStore(f"group of {size}", store)
            dist.init_process_group("gloo", store=meeting, rank=rank, world_size=size, timeout=_PATIENCE)
            worker(rank, size, *arguments)
            if meeting.add("done", 1) == size:
                meeting.set("all done", "")
            meeting.wait(["all done"], _PATIENCE)
            dist.destroy_process_group()
