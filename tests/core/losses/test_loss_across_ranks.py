from typing import Any

import pytest
import torch
import torch.distributed as dist
from slow_losses import random_embeddings
from torch import nn
from torch.multiprocessing.spawn import spawn

from symile_data.losses import pairwise_clip_loss, symile_loss

WIDTH, OUT = 6, 5
CASES: dict[str, tuple[int, float, dict[str, Any]]] = {
    "exact, M = 2": (2, 0.5, {"negatives": "exact"}),
    "exact, M = 3": (3, 0.5, {"negatives": "exact"}),
    "exact, M = 3, small tiles": (3, 0.5, {"negatives": "exact", "tile_rows": 4, "cache_bytes": 0}),
    "exact, M = 3, wide range": (3, 400.0, {"negatives": "exact"}),
    "exact, M = 3, groups": (3, 0.5, {"negatives": "exact", "groups": True}),
    "exact, M = 4": (4, 0.5, {"negatives": "exact"}),
    "exact, M = 4, groups": (4, 0.5, {"negatives": "exact", "groups": True}),
    "n, M = 3": (3, 0.5, {"negatives": "n", "shuffles": 2}),
    "n, M = 3, groups": (3, 0.5, {"negatives": "n", "groups": True, "mip_scale": "unit"}),
    "n, M = 4": (4, 0.5, {"negatives": "n", "shuffles": 3}),
    "clip, M = 3": (3, 0.5, {}),
    "clip, M = 3, groups": (3, 0.5, {"groups": True}),
}


def solve(case, start, stop, total, gather):
    """Value, encoder gradients and logit scale gradient of rows `start` to `stop` of a batch of `total`."""
    modalities, scale, options = CASES[case]
    options = dict(options)
    torch.manual_seed(1)
    encoders = nn.ModuleList(nn.Linear(WIDTH, OUT).double() for _ in range(modalities))
    log_scale = nn.Parameter(torch.tensor(scale, dtype=torch.float64).log())
    inputs = random_embeddings(modalities, total, WIDTH, seed=2)
    if options.pop("groups", False):
        ids = [torch.arange(total) // 2, None, torch.arange(total) % 3, torch.arange(total) % 2 - 1]
        options["groups"] = [None if group is None else group[start:stop] for group in ids[:modalities]]
    if options.get("negatives") == "n":
        options["generator"] = torch.Generator().manual_seed(7)
    loss = symile_loss if "negatives" in options else pairwise_clip_loss
    embeddings = [encoder(rows[start:stop]) for encoder, rows in zip(encoders, inputs, strict=True)]
    value = loss(embeddings, log_scale.exp(), gather=gather, **options)
    value.backward()
    return value.detach(), [parameter.grad for parameter in encoders.parameters()], log_scale.grad


BATCHES = {"two ranks": (4, 3), "four ranks, one without rows": (2, 0, 3, 1)}


def worker(rank, folder):
    torch.set_num_threads(1)
    for name, counts in BATCHES.items():
        if rank < len(counts):
            meeting = f"file://{folder}/meet-{len(counts)}"
            dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=len(counts))
            torch.save(results_of_rank(rank, counts), f"{folder}/{name}-{rank}.pt")
            dist.destroy_process_group()


def results_of_rank(rank, counts):
    start = sum(counts[:rank])
    results = {}
    for case in CASES:
        value, gradients, scale_gradient = solve(case, start, start + counts[rank], sum(counts), gather=True)
        # What DistributedDataParallel does with the gradients of parameters.
        for gradient in gradients:
            dist.all_reduce(gradient)
            gradient /= len(counts)
        results[case] = (value, gradients, scale_gradient)
    results["without gather"] = own_loss(rank)
    return results


def own_loss(rank):
    return symile_loss(random_embeddings(3, 4, 3, seed=rank), 1.0, negatives="exact")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("ranks")
    spawn(worker, (str(path),), nprocs=max(map(len, BATCHES.values())))
    return path


@pytest.mark.parametrize("name", BATCHES)
def test_gradients_after_the_mean_over_ranks_equal_those_of_one_process(name, folder):
    counts = BATCHES[name]
    ranks = [torch.load(folder / f"{name}-{rank}.pt") for rank in range(len(counts))]
    for case in CASES:
        value, gradients, scale_gradient = solve(case, 0, sum(counts), sum(counts), gather=False)
        for rank in ranks:
            rank_value, rank_gradients, rank_scale_gradient = rank[case]
            assert torch.allclose(rank_value, value, rtol=1e-11, atol=1e-13), case
            assert torch.allclose(rank_scale_gradient, scale_gradient, rtol=1e-10, atol=1e-12), case
            for ours, expected in zip(rank_gradients, gradients, strict=True):
                assert torch.allclose(ours, expected, rtol=1e-10, atol=1e-12), case
    for rank, results in enumerate(ranks):
        assert torch.equal(results["without gather"], own_loss(rank))
