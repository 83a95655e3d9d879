import pytest
import torch
from slow_losses import random_embeddings
from symile import MIPSimilarity as PackageSimilarity
from symile import Symile as PackageSymile

from symile_data.errors import UsageError
from symile_data.losses import MIPSimilarity, PairwiseSimilarity, Symile, SymileSimilarity, mip_scores, pairwise_scores


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_mip_scores_are_inner_products_of_all_with_each_candidate(chunk):
    x, y = random_embeddings(2, 7, 5)
    (z,) = random_embeddings(1, 4, 5, seed=1)
    expected = torch.einsum("qd,qd,cd->qc", x, y, z)
    assert torch.allclose(mip_scores([x, y], z, chunk), expected)
    assert torch.equal(SymileSimilarity(chunk)([x, y], z), mip_scores([x, y], z, chunk))


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_pairwise_scores_are_sums_of_inner_products_with_each_candidate(chunk):
    x, y = random_embeddings(2, 7, 5)
    (z,) = random_embeddings(1, 4, 5, seed=1)
    assert torch.allclose(pairwise_scores([x, y], z, chunk), x @ z.T + y @ z.T)
    assert torch.equal(PairwiseSimilarity(chunk)([x, y], z), pairwise_scores([x, y], z, chunk))


def test_pairwise_scores_rank_as_the_full_sum_over_pairs_does():
    x, y = random_embeddings(2, 6, 5)
    (z,) = random_embeddings(1, 9, 5, seed=1)
    full = x @ z.T + y @ z.T + (x * y).sum(1, keepdim=True)
    assert torch.equal(pairwise_scores([x, y], z).argsort(dim=1), full.argsort(dim=1))


def test_scores_of_half_precision_are_float32_and_queries_stay_unchanged():
    x, y, z = random_embeddings(3, 4, 64, dtype=torch.float16)
    before = x.clone()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = mip_scores([x, y], z)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, mip_scores([x.float(), y.float()], z.float()))
    assert torch.equal(x, before)


def test_no_queries_give_no_rows():
    assert mip_scores([torch.ones(0, 3)], torch.ones(2, 3)).shape == (0, 2)


@pytest.mark.parametrize(
    ("queries", "candidates"),
    [
        ([], torch.ones(2, 3)),
        ([torch.ones(2, 3), torch.ones(1, 3)], torch.ones(2, 3)),
        ([torch.ones(2, 4)], torch.ones(2, 3)),
    ],
)
def test_shapes_that_do_not_fit_are_named(queries, candidates):
    with pytest.raises(UsageError, match="same width"):
        mip_scores(queries, candidates)
    with pytest.raises(UsageError, match="chunk is at least 1"):
        pairwise_scores([torch.ones(1, 3)], torch.ones(2, 3), chunk=0)


def test_similarity_stands_in_for_the_package():
    x, y = random_embeddings(2, 7, 5)
    (z,) = random_embeddings(1, 4, 5, seed=1)
    assert torch.allclose(MIPSimilarity()(z, [x, y]), PackageSimilarity()(z, [x, y]))
    assert torch.allclose(MIPSimilarity()(z, [x[0], y[0]]), PackageSimilarity()(z, [x[0], y[0]]))


def test_loss_stands_in_for_the_package():
    embeddings = random_embeddings(3, 7, 5)
    scale = torch.tensor(2.0)
    expected = PackageSymile("n_squared")(embeddings, scale)
    assert Symile("n_squared")(embeddings, scale).item() == pytest.approx(expected.item(), rel=1e-12)
    sampled = Symile()
    assert sampled(embeddings, scale) != sampled(embeddings, scale)
    with pytest.raises(UsageError, match="Choose among n, n_squared"):
        Symile("all")
