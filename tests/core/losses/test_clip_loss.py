from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_losses import random_embeddings, slow_clip, with_gradients, worst_error

from symile_data.errors import UsageError
from symile_data.losses import ClipLoss, pairwise_clip_loss, symile_loss


def textbook(embeddings, scale):
    total: Any = 0.0
    labels = torch.arange(len(embeddings[0]))
    for a in range(len(embeddings)):
        for b in range(a):
            logits = scale * embeddings[a] @ embeddings[b].T
            total = total + (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    return total


@pytest.mark.parametrize("modalities", [2, 3, 5])
@pytest.mark.parametrize("scale", [0.5, 30.0, 3000.0])
def test_is_the_sum_of_symmetric_cross_entropies(modalities, scale):
    embeddings = random_embeddings(modalities, 12, 6)
    expected = with_gradients(textbook, embeddings, scale)
    for layout in ({}, {"tile_rows": 5, "cache_bytes": 0}):
        results = with_gradients(lambda e, s, o=layout: pairwise_clip_loss(e, s, **o), embeddings, scale)
        assert worst_error(results, expected) < 1e-12


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_equals_loops_with_groups(data):
    modalities, rows = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 5))
    embeddings = random_embeddings(modalities, rows, 3, seed=data.draw(st.integers(0, 99)))
    ids = st.lists(st.integers(-1, 2), min_size=rows, max_size=rows).map(torch.tensor)
    groups = [data.draw(st.one_of(st.none(), ids)) for _ in range(modalities)]
    results = with_gradients(lambda e, s: pairwise_clip_loss(e, s, groups=groups), embeddings, 2.0)
    assert worst_error(results, with_gradients(lambda e, s: slow_clip(e, s, groups), embeddings, 2.0)) < 1e-9


def test_of_two_modalities_equals_symile():
    embeddings = random_embeddings(2, 9, 4)
    expected = symile_loss(embeddings, 3.0, negatives="exact")
    torch.testing.assert_close(ClipLoss()(embeddings, 3.0), expected, rtol=1e-14, atol=0.0)


def test_the_module_passes_groups_and_options_on():
    embeddings = random_embeddings(3, 5, 4)
    ids = [torch.tensor([0, 0, 1, 2, 3]), None, None]
    assert ClipLoss()(embeddings, 2.0, ids) == pairwise_clip_loss(embeddings, 2.0, groups=ids)
    with pytest.raises(UsageError, match="max_flops"):
        ClipLoss(max_flops=1.0)(embeddings, 2.0)


@pytest.mark.parametrize("layout", [{}, {"tile_rows": 5}])  # all pairs at once, and each alone
def test_bfloat16_products_come_close(layout):
    embeddings = [F.layer_norm(e, (32,)) for e in random_embeddings(3, 24, 32, dtype=torch.float32)]

    def loss(dtype):
        return lambda e, s: pairwise_clip_loss(e, s, gemm_dtype=dtype, **layout)

    exact = with_gradients(loss(None), embeddings, 0.3)
    rounded = with_gradients(loss(torch.bfloat16), embeddings, 0.3)
    assert 0 < worst_error(rounded, exact) < 3e-2
