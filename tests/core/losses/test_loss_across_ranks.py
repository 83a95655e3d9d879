from typing import Any

import pytest
import torch
import torch.distributed as dist
from gloo_ranks import run_ranks
from objective_cases import CASES as OBJECTIVE_CASES
from objective_cases import WIDTH as OUT
from slow_losses import random_embeddings
from torch import nn
from torch.nn import functional as F

from symile_data.losses import pairwise_clip_loss, symile_loss

WIDTH = 6
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
    """Value of rows `start` to `stop` of a batch of `total`; gradients of parameters, and those of the logit scale."""
    torch.manual_seed(1)
    of_objective = case in OBJECTIVE_CASES
    modalities = objective_modalities(case) if of_objective else CASES[case][0]
    encoders = nn.ModuleList(nn.Linear(WIDTH, OUT).double() for _ in range(modalities))
    inputs = random_embeddings(modalities, total, WIDTH, seed=2)
    embeddings = [encoder(rows[start:stop]) for encoder, rows in zip(encoders, inputs, strict=True)]
    parameters = list(encoders.parameters())
    log_scale = nn.Parameter(torch.tensor(0.5, dtype=torch.float64).log())
    if of_objective:
        loss = OBJECTIVE_CASES[case].make(modalities, total).train()
        loss.gather = gather
        mask = OBJECTIVE_CASES[case].mask(modalities, total)
        missing = {} if mask is None else {"missing": mask[start:stop]}
        value = loss([F.normalize(embedding, dim=1) for embedding in embeddings], log_scale.exp() * 8, **missing)
        parameters += loss.parameters()
    else:
        value = loss_of_function(case, embeddings, log_scale, start, stop, total, gather)
    value.backward()
    scale_gradient = torch.zeros_like(log_scale) if log_scale.grad is None else log_scale.grad
    return value.detach(), [parameter.grad for parameter in parameters], scale_gradient


def objective_modalities(case):
    return 3 if 3 in OBJECTIVE_CASES[case].modalities else OBJECTIVE_CASES[case].modalities[0]


def loss_of_function(case, embeddings, log_scale, start, stop, total, gather):
    modalities, scale, options = CASES[case]
    options = dict(options)
    if options.pop("groups", False):
        ids = [torch.arange(total) // 2, None, torch.arange(total) % 3, torch.arange(total) % 2 - 1]
        options["groups"] = [None if group is None else group[start:stop] for group in ids[:modalities]]
    if options.get("negatives") == "n":
        options["generator"] = torch.Generator().manual_seed(7)
    loss = symile_loss if "negatives" in options else pairwise_clip_loss
    return loss(embeddings, log_scale.exp() * 2 * scale, gather=gather, **options)


BATCHES = {2: (4, 3), 4: (2, 0, 3, 1)}  # rows of each rank, by the number of ranks; one rank of four has none
ALL_CASES = [*CASES, *OBJECTIVE_CASES]


def worker(rank, world, folder):
    counts = BATCHES[world]
    start = sum(counts[:rank])
    results = {}
    for case in ALL_CASES:
        value, gradients, scale_gradient = solve(case, start, start + counts[rank], sum(counts), gather=True)
        # What DistributedDataParallel does with the gradients of parameters.
        for gradient in gradients:
            dist.all_reduce(gradient)
            gradient /= world
        results[case] = (value, gradients, scale_gradient)
    results["without gather"] = own_loss(rank)
    torch.save(results, f"{folder}/{world}-{rank}.pt")


def own_loss(rank):
    return symile_loss(random_embeddings(3, 4, 3, seed=rank), 1.0, negatives="exact")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("ranks")
    run_ranks(worker, list(BATCHES), str(path))
    return path


@pytest.mark.parametrize("world", BATCHES)
def test_gradients_after_the_mean_over_ranks_equal_those_of_one_process(world, folder):
    counts = BATCHES[world]
    ranks = [torch.load(folder / f"{world}-{rank}.pt") for rank in range(world)]
    for case in ALL_CASES:
        value, gradients, scale_gradient = solve(case, 0, sum(counts), sum(counts), gather=False)
        for rank in ranks:
            rank_value, rank_gradients, rank_scale_gradient = rank[case]
            assert torch.allclose(rank_value, value, rtol=1e-11, atol=1e-13), case
            assert torch.allclose(rank_scale_gradient, scale_gradient, rtol=1e-10, atol=1e-12), case
            for ours, expected in zip(rank_gradients, gradients, strict=True):
                assert torch.allclose(ours, expected, rtol=1e-10, atol=1e-12), case
    for rank, results in enumerate(ranks):
        assert torch.equal(results["without gather"], own_loss(rank))
