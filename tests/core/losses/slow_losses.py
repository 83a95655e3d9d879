"""The losses as one would write them on a blackboard: loops over every combination, autograd for the gradients."""

from itertools import combinations, product

import torch
from torch import Tensor

from symile_data.losses.kernels.sampled import draw_candidates


def inner_product(rows):
    total = torch.ones_like(rows[0])
    for row in rows:
        total = total * row
    return total.sum()


def same_value(groups, m, i, j):
    if i == j:
        return True
    return groups is not None and groups[m] is not None and groups[m][i] == groups[m][j] and groups[m][i] != -1


def anchor_loss(embeddings, scale, groups, m, i, combinations_of_rows):
    """-log softmax of row i's positive among itself and those of the given combinations that are no copies of it."""
    positive = scale * inner_product([embedding[i] for embedding in embeddings])
    negatives = []
    for rows in combinations_of_rows:
        if all(same_value(groups, other, i, row) for other, row in enumerate(rows) if other != m):
            continue
        negatives.append(
            scale * inner_product([embedding[row] for embedding, row in zip(embeddings, rows, strict=True)])
        )
    if not negatives:
        return 0 * positive
    # log(1 + sum of exp(negative - positive)), the form that keeps its digits and gradient where it is close to zero.
    return torch.logaddexp(torch.stack(negatives).logsumexp(0) - positive, torch.zeros_like(positive))


def slow_exact(embeddings, scale, groups=None) -> Tensor:
    n, modalities = len(embeddings[0]), len(embeddings)
    losses = []
    for m, i in product(range(modalities), range(n)):
        every = [rows for rows in product(range(n), repeat=modalities) if rows[m] == i]
        losses.append(anchor_loss(embeddings, scale, groups, m, i, every))
    return torch.stack(losses).mean()


def slow_sampled(embeddings, scale, shuffles, generator, groups=None) -> Tensor:
    n, modalities = len(embeddings[0]), len(embeddings)
    losses = []
    for m in range(modalities):
        drawn = draw_candidates(n, modalities, shuffles, generator)
        for i in range(n):
            chosen = []
            for k, column in product(range(drawn.rows.shape[1]), range(n)):
                if k == 0 and column == drawn.replaced[i]:
                    continue
                rows = [column, *drawn.rows[:, k, column].tolist()]
                rows.insert(m, i)
                chosen.append(rows)
            losses.append(anchor_loss(embeddings, scale, groups, m, i, chosen))
    return torch.stack(losses).mean()


def slow_clip(embeddings, scale, groups=None) -> Tensor:
    total = torch.zeros((), dtype=embeddings[0].dtype)
    for a, b in combinations(range(len(embeddings)), 2):
        ids = None if groups is None else [groups[a], groups[b]]
        total = total + slow_exact([embeddings[a], embeddings[b]], scale, ids)
    return total


def random_embeddings(modalities, rows, width, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, width, generator=generator, dtype=dtype) for _ in range(modalities)]


def with_gradients(loss, embeddings, scale):
    """Value, gradients of the embeddings and gradient of the scale of `loss(embeddings, scale)`."""
    embeddings = [embedding.clone().requires_grad_() for embedding in embeddings]
    scale = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    value = loss(embeddings, scale)
    value.backward()
    return [value.detach(), *[embedding.grad for embedding in embeddings], scale.grad]


def worst_error(results, expected):
    """The largest error over value and gradients, each relative to the largest entry of the gradient expected."""
    return max(
        ((a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1e-9)).item()
        for a, b in zip(results, expected, strict=True)
    )
