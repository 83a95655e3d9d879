"""Run by test_ranks.py: trains on several real processes, some of which get killed, and prints what each rank saw.

All ranks of all runs are forked from this one process, so that torch is imported once.
"""

import json
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

import torch
import torch._dynamo  # DistributedDataParallel wants it: imported once here, not in each rank
from torch.nn.parallel import DistributedDataParallel

from symile_data.loaders import BatchLoader, Distribution, Resources, open_split


def train(rank, world, port, location, batch, stop, state_path, seen_path):
    signal.alarm(60)  # whatever hangs, nothing stays behind
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": str(rank), "WORLD_SIZE": str(world)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    loader = BatchLoader(
        open_split(location, "train"),
        batch,
        drop_last=False,
        distribution=Distribution(rank=rank, world_size=world),
        resources=Resources(threads=1),
    )
    if state_path.exists():
        loader.load_state_dict(json.loads(state_path.read_text()))
    model = DistributedDataParallel(torch.nn.Linear(4, 1))
    with seen_path.with_suffix(f".{rank}").open("w") as seen:
        for steps, part in enumerate(loader, start=1):
            model(part["a"]).mean().backward()  # averages gradients: hangs where a rank has no batch left
            print(json.dumps(part["sample_id"][~part["padding"]].tolist()), file=seen, flush=True)
            if steps == stop:
                if rank == 0:
                    state_path.write_text(json.dumps(loader.state_dict()))
                torch.distributed.barrier()
                os.kill(os.getpid(), signal.SIGKILL)
    torch.distributed.barrier()
    os._exit(0)  # torch's own teardown, DistributedDataParallel after its process group, sometimes never ends


def run(folder, name, location, world, batch, stop):
    """One run on `world` processes: exit codes, and by rank the ids of each batch."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    context, seen_path = multiprocessing.get_context("fork"), folder / name
    ranks = [
        context.Process(target=train, args=(r, world, port, location, batch, stop, folder / "state.json", seen_path))
        for r in range(world)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    lines = [seen_path.with_suffix(f".{rank}").read_text().splitlines() for rank in range(world)]
    seen = [[json.loads(line) for line in of_rank] for of_rank in lines]
    return {"codes": [process.exitcode for process in ranks], "seen": seen}


if __name__ == "__main__":
    location, runs = sys.argv[1], json.loads(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        results = [run(Path(folder), str(index), location, *one) for index, one in enumerate(runs)]
    sys.stdout.write(json.dumps(results))
