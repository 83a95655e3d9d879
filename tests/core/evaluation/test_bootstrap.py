"""Bootstrap intervals cover what they promise, shown by simulation, and a perfect model has no spread."""

import numpy as np
import pytest
import torch
from scipy import special
from torch import Tensor
from torch.nn import functional as F

from symile_data.evaluation.bootstrap import bootstrap, interval
from symile_data.evaluation.clusters import Clusters
from symile_data.evaluation.embeddings import Embeddings
from symile_data.evaluation.ranks import ranks_from_scores
from symile_data.evaluation.retrieval import Retrieval, figures, ranks_of, retrieve
from symile_data.losses import ClipLoss

ROWS, DIMS, SPLITS, REPLICATES = 120, 8, 1000, 10
ALL = Retrieval(target="image", objective=ClipLoss())


def splits(count: int, right: int, noise: float) -> tuple[Tensor, Tensor, Tensor]:
    """Many splits of rows of the same classes: images and queries scatter around the centre of their class.

    Returns:
        (count, ROWS, DIMS) pictures and queries, and (ROWS,) labels, `right` rows of each.
    """
    generator = torch.Generator().manual_seed(right)
    labels = torch.arange(ROWS) // right
    centres = torch.randn(ROWS // right, DIMS, generator=generator)[labels]
    image, query = centres + noise * torch.randn(2, count, ROWS, DIMS, generator=generator)
    return F.normalize(image, dim=2), query, labels


@pytest.mark.parametrize(("right", "noise"), [(1, 0.5), (4, 0.8), (20, 1.3)])
def test_intervals_cover_the_figures_that_new_queries_have(right: int, noise: float) -> None:
    image, query, labels = splits(SPLITS, right, noise)
    places = torch.nonzero(labels[:, None] == labels)[:, 1].view(ROWS, right).repeat(SPLITS, 1)
    found = ranks_from_scores((query @ image.mT).flatten(0, 1), places)
    drawn = torch.randint(ROWS, (SPLITS, REPLICATES, ROWS), generator=torch.Generator().manual_seed(0))
    hits = found.hits().view(SPLITS, ROWS)
    truth = hits.mean().item()
    assert 0.3 < truth < 0.7
    replicates = hits[:, None].expand(-1, REPLICATES, -1).gather(2, drawn).mean(dim=2)
    covered = sum(one["low"] <= truth <= one["high"] for one in map(interval, replicates)) / SPLITS
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("right", [1, 4, 20])
def test_a_perfect_model_has_no_spread(right: int) -> None:
    labels = torch.arange(ROWS) // right
    values = torch.eye(ROWS // right)[labels]
    found = bootstrap(Embeddings({"image": values, "text": values}, labels), ALL, REPLICATES)
    assert found["accuracy"] == {"mean": 1.0, "se": 0.0, "low": 1.0, "high": 1.0}


@pytest.mark.parametrize("candidates", [0, 5])
def test_a_replicate_has_the_queries_drawn_again_and_their_own_candidates(candidates: int) -> None:
    image, query, labels = splits(1, 4, 0.8)
    rows = Embeddings({"image": image[0], "text": query[0]}, labels)
    protocol = Retrieval(target="image", objective=ClipLoss(), candidates=candidates)
    generator = torch.Generator().manual_seed(3)
    found = ranks_of(rows, protocol)
    samples = [figures(found.take(torch.randint(ROWS, (ROWS,), generator=generator))) for _ in range(REPLICATES)]
    expected = {
        name: interval(
            torch.tensor([sample[name] for sample in samples], dtype=torch.float64),
            (1.0, float("inf")) if name == "median_rank" else (0.0, 1.0),
        )
        for name in samples[0]
    }
    assert bootstrap(rows, protocol, REPLICATES, seed=3) == expected
    accuracy = retrieve(rows, protocol)["accuracy"]
    assert expected["accuracy"]["low"] < accuracy < expected["accuracy"]["high"]


def test_few_replicates_give_a_wide_interval() -> None:
    values = torch.tensor([0.4, 0.6], dtype=torch.float64)
    two, many = interval(values), interval(values.repeat(500))
    assert (two["mean"], many["mean"]) == pytest.approx((0.5, 0.5))
    assert two["se"] == pytest.approx(0.02**0.5)  # the sum of squares is divided by B - 1
    assert (two["high"] - two["mean"]) / two["se"] == pytest.approx(12.706 * 1.5**0.5, rel=1e-3)
    assert (many["high"] - many["mean"]) / many["se"] == pytest.approx(1.963, rel=1e-3)


def test_an_interval_stays_within_what_the_figure_can_be() -> None:
    image, query, labels = splits(1, 1, 2.0)
    found = bootstrap(Embeddings({"image": image[0][:9], "text": query[0][:9]}, labels[:9]), ALL, 2)
    median = found.pop("median_rank")
    assert 1 <= median["low"] <= median["high"]
    assert all(0 <= figure["low"] <= figure["mean"] <= figure["high"] <= 1 for figure in found.values())
    spread = [figure for figure in found.values() if figure["se"] and 0 < figure["mean"] < 1]
    assert any(12.7 * figure["se"] > min(figure["mean"], 1 - figure["mean"]) for figure in spread), (
        "log-odds were needed"
    )


def test_the_interval_of_a_share_is_symmetric_in_its_log_odds() -> None:
    values = torch.tensor([0.7, 0.8, 0.9], dtype=torch.float64)
    plain, share = interval(values), interval(values, (0.0, 1.0))
    below, above = (special.logit(share["mean"]) - special.logit(share["low"]), special.logit(share["high"]))
    assert below == pytest.approx(above - special.logit(share["mean"]))
    assert below * 0.8 * 0.2 == pytest.approx(plain["high"] - plain["mean"])
    assert share["high"] < 1 < plain["high"]


def test_all_rows_of_a_cluster_are_drawn_together() -> None:
    """Twice the same rows are worth no more than once, so clusters of two have the interval of half as many rows."""
    image, query, labels = splits(1, 4, 0.8)
    rows = Embeddings({"image": image[0].repeat(2, 1), "text": query[0].repeat(2, 1)}, labels.repeat(2))
    clusters = Clusters.of(np.tile(np.arange(ROWS), 2))
    alone = bootstrap(rows, ALL, 400)["accuracy"]
    together = bootstrap(rows, ALL, 400, clusters=clusters)["accuracy"]
    assert together["se"] / alone["se"] == pytest.approx(2**0.5, rel=0.15)
    assert together["mean"] == pytest.approx(alone["mean"], abs=0.01)
