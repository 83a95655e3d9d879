"""Ties are broken at random in expectation: checked against every order that they can have."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from symile_data.evaluation.ranks import ranks_from_scores

SCORES = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6)


def places_of(right: Tensor) -> Tensor:
    """Indices of the right candidates, -1 for the others."""
    return torch.where(right, torch.arange(right.shape[1]), -1)


@given(SCORES, st.integers(1, 7))
def test_figures_are_averages_over_all_orders_of_equal_scores(candidates: list[tuple[int, bool]], k: int) -> None:
    scores, right = zip(*candidates, strict=True)
    found = ranks_from_scores(torch.tensor([scores], dtype=torch.float32), places_of(torch.tensor([right])))
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    ranks = [next((place for place, j in enumerate(order, 1) if right[j]), len(scores) + 1) for order in orders]
    assert abs(found.hits(k).item() - sum(any(right[j] for j in order[:k]) for order in orders) / len(orders)) < 1e-12
    assert abs(found.expected().item() - sum(ranks) / len(ranks)) < 1e-12


@given(SCORES, st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_score_that_is_no_number_ranks_nothing(candidates: list[tuple[int, bool]], broken: list[bool]) -> None:
    scores, right = (torch.tensor([values]) for values in zip(*candidates, strict=True))
    gone = torch.tensor([broken[: len(candidates)]])
    found = ranks_from_scores(scores.float().masked_fill(gone, torch.nan), places_of(right))
    if not (right & ~gone).any():  # no right one is left: it stands behind all
        assert (found.above.item(), found.tied.item(), found.right.item()) == (len(candidates), 0, 0)
        assert found.expected().item() == len(candidates) + 1 and found.hits(len(candidates)).item() == 0.0
        return
    left = ranks_from_scores(scores[~gone][None].float(), places_of(right[~gone][None]))
    assert (found.above, found.tied, found.right) == (left.above, left.tied, left.right)


def test_a_constant_score_is_worth_a_random_candidate() -> None:
    found = ranks_from_scores(torch.zeros(1, 50), torch.tensor([[7]]))
    assert abs(found.hits(1).item() - 1 / 50) < 1e-12 and abs(found.hits(10).item() - 10 / 50) < 1e-12
    assert found.expected().item() == 25.5
