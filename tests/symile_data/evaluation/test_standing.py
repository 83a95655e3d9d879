"""Ties are broken at random in expectation: checked against every order that they can have."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from symile_data.evaluation.standing import standing

SCORES = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6)


def places_of(right: Tensor) -> Tensor:
    """Indices of the right candidates, -1 for the others."""
    return torch.where(right, torch.arange(right.shape[1]), -1)


@given(SCORES, st.integers(1, 7))
def test_figures_are_averages_over_all_orders_of_equal_scores(candidates: list[tuple[int, bool]], k: int) -> None:
    scores, right = zip(*candidates, strict=True)
    found = standing(torch.tensor([scores], dtype=torch.float32), places_of(torch.tensor([right])))
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    ranks = [next((place for place, j in enumerate(order, 1) if right[j]), len(scores) + 1) for order in orders]
    assert abs(found.hits(k).item() - sum(any(right[j] for j in order[:k]) for order in orders) / len(orders)) < 1e-12
    assert abs(found.ranks().item() - sum(ranks) / len(ranks)) < 1e-12


@given(SCORES, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_weights_are_repeated_candidates(candidates: list[tuple[int, bool]], counts: list[int]) -> None:
    scores, right = (torch.tensor([values]) for values in zip(*candidates, strict=True))
    weights = torch.tensor(counts[: len(candidates)])
    weights[0] += 1  # at least one candidate
    drawn = torch.arange(len(candidates)).repeat_interleave(weights)
    one = standing(scores.float(), places_of(right), weights)
    two = standing(scores[:, drawn].float(), places_of(right[:, drawn]))
    assert (one.above, one.tied, one.right) == (two.above, two.tied, two.right)


def test_a_constant_score_is_worth_chance() -> None:
    found = standing(torch.zeros(1, 50), torch.tensor([[7]]))
    assert abs(found.hits(1).item() - 1 / 50) < 1e-12 and abs(found.hits(10).item() - 10 / 50) < 1e-12
    assert found.ranks().item() == 25.5
