"""Zero-shot retrieval: find the target modality of each row among candidates, given its other modalities.

The paper has two protocols: every row of the split is a candidate and any candidate of the right class is a hit
(section 5.2, Symile-M3), or each row has a set of K candidates, itself and others (section 5.3, Symile-MIMIC). Symile
ranks by the multilinear inner product, CLIP by the sum of pairwise inner products. `ranks` defines how ties count.

Legend: N rows, D embedding size, K candidates of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from symile_data.datasets.m3 import ceilings
from symile_data.datasets.m3.ceilings import RANDOM
from symile_data.errors import UsageError
from symile_data.losses.objective import Objective
from symile_data.rng import Stream

from .embeddings import Embeddings
from .ranks import Ranks, ranks_from_scores

CANDIDATES = 1 << 22  # numbers of the embeddings of candidates at a time, of which some scores make several copies
CHUNK = 1 << 23  # scores (or products, for sets of candidates) at a time; with all else they take about 100 MB
AT = (1, 5, 10)  # the values k for which recall is computed

_RIGHT_COST = 8  # memory of one right candidate, in units of a score


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which modality is retrieved, and among which candidates.

    Args:
        target: Modality that is retrieved.
        candidates: K, the candidates of each row; 0 takes all rows.
        seed: Seed of the sets of candidates, where these are drawn.
    """

    target: str
    candidates: int = 0
    seed: int = 0

    def by(self, objective: Objective) -> Retrieval:
        """Return the retrieval of this protocol with the scores of an objective."""
        return Retrieval(target=self.target, candidates=self.candidates, seed=self.seed, objective=objective)


@dataclass(frozen=True, kw_only=True)
class Retrieval(Protocol):
    """A protocol, and the scores by which candidates are ranked.

    Args:
        objective: Scores the candidates; of a trained run, the module's `loss`, which may have learned for it.
    """

    objective: Objective


def ranks_of(embedded: Embeddings, retrieval: Retrieval) -> Ranks:
    """Rank the candidates of each query.

    Args:
        embedded: The rows; each is a query, unless the dataset gives others their sets of candidates and not this one.
        retrieval: The protocol.

    Raises:
        UsageError: there are no rows, no such modality, or too few rows for the sets of candidates.
    """
    if not len(query_rows(embedded, retrieval)):
        raise UsageError("there is no row with all modalities to evaluate on", do="use a split that is not masked")
    if retrieval.target not in embedded.values:
        raise UsageError(
            "there is no such modality to retrieve",
            got=retrieval.target,
            do=f"choose among {', '.join(embedded.values)}",
        )
    among = _among_sets if retrieval.candidates else _among_all
    parts = [ranks_from_scores(scores, right) for scores, right in among(embedded, retrieval)]
    return Ranks(*(torch.cat([getattr(part, name) for part in parts]) for name in ("above", "tied", "right")))


def retrieve(embedded: Embeddings, retrieval: Retrieval) -> dict[str, float]:
    """Compute the retrieval figures of a split.

    Args:
        embedded: The rows.
        retrieval: The protocol.

    Returns:
        "rows" (that are queries), "candidates" (of each), "accuracy" (recall at 1), "recall_at_5", "recall_at_10",
        "median_rank" and "random_candidate", the accuracy of a random choice.
    """
    found = ranks_of(embedded, retrieval)
    return {
        "rows": len(found.above),
        "candidates": retrieval.candidates or len(embedded.labels),
        **figures(found),
        RANDOM: random_candidate(embedded.labels, retrieval.candidates),
    }


def figures(found: Ranks) -> dict[str, float]:
    """Return the recalls at each k of `AT` and the median rank, by the names that `retrieve` uses."""
    recalls = {("accuracy" if k == 1 else f"recall_at_{k}"): found.hits(k).mean().item() for k in AT}
    return {**recalls, "median_rank": found.expected().median().item()}


def retrieval_accuracy(embedded: Embeddings, retrieval: Retrieval) -> float:
    """Compute the share of rows whose first candidate is right, as the expected value over the orders of ties."""
    return ranks_of(embedded, retrieval).hits().mean().item()


def random_candidate(labels: Tensor, candidates: int = 0) -> float:
    """Compute the expected accuracy of a random candidate: 1 / K, or the probability that two rows have the same label.

    >>> random_candidate(torch.tensor([0, 0, 1, 1])), random_candidate(torch.tensor([0, 0, 1, 1]), candidates=10)
    (0.5, 0.1)
    """
    return (
        1 / candidates if candidates else ceilings.random_candidate(torch.unique(labels, return_counts=True)[1].numpy())
    )


def query_rows(embedded: Embeddings, retrieval: Protocol) -> Tensor:
    """Return the (Q,) rows that `ranks_of` ranks candidates for, in order."""
    return embedded.queries if retrieval.candidates else torch.arange(len(embedded.labels))


def candidate_rows(embedded: Embeddings, retrieval: Protocol) -> Tensor:
    """Return the sets of candidates of the queries: those of the dataset if it has them, else drawn ones.

    A drawn set is the row itself and K - 1 different rows with other labels; it is a function of the seed.

    Returns:
        (Q, K) int64 indices of rows; all N rows are queries where the sets are drawn.

    Raises:
        UsageError: the dataset's sets have another size or name unknown rows, or there are too few rows with other
            labels to draw from.
    """
    size, given = retrieval.candidates, embedded.candidates
    if given is None:
        return _drawn(embedded.labels, size, retrieval.seed)
    if given.shape[1] != size:
        raise UsageError(
            "the dataset's sets have another number of candidates",
            got=size,
            do=f"evaluate with `candidates={given.shape[1]}`, or set candidates to that in the config",
        )
    given = given[embedded.queries]
    order = torch.argsort(embedded.labels)
    index = order[torch.searchsorted(embedded.labels[order], given).clamp(max=len(order) - 1)]
    unknown = embedded.labels[index] != given
    if unknown.any():
        raise UsageError(
            "a set of candidates names a row that the split does not have, or not with all modalities",
            got=int(given[unknown][0]),
            do="take all rows, with `candidates=0`",
        )
    return index


def _among_all(embedded: Embeddings, retrieval: Retrieval) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the scores (q, N) of chunks of rows against all rows, with the right ones for `ranks_from_scores`."""
    candidates, labels = embedded.values[retrieval.target], embedded.labels
    queries, target = _queries(embedded.values, retrieval.target)
    ordered, order = torch.sort(labels, stable=True)
    most = int(torch.unique_consecutive(ordered, return_counts=True)[1].max())
    for start, stop in _chunks(len(labels), len(labels) + _RIGHT_COST * most):
        first, last = (torch.searchsorted(ordered, labels[start:stop], right=side) for side in (False, True))
        places = first[:, None] + torch.arange(most)
        right = torch.where(places < last[:, None], order[places.clamp(max=len(labels) - 1)], -1)
        asked = {m: query[start:stop] for m, query in queries.items()}
        with torch.no_grad():
            parts = torch.split(candidates, max(1, CANDIDATES // max(candidates.shape[1], 1)))
            scores = torch.cat([retrieval.objective.scores(asked, part, target) for part in parts], dim=1)
        yield scores, right


def _among_sets(embedded: Embeddings, retrieval: Retrieval) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the scores (q, K) of chunks of rows against their sets, with the right ones for `ranks_from_scores`."""
    index, rows = candidate_rows(embedded, retrieval), embedded.queries
    candidates, labels = embedded.values[retrieval.target], embedded.labels
    queries, target = _queries(embedded.values, retrieval.target)
    for start, stop in _chunks(len(rows), retrieval.candidates * candidates.shape[1]):
        chosen, here = index[start:stop], rows[start:stop]
        right = labels[chosen] == labels[here, None]
        asked = {m: query[here] for m, query in queries.items()}
        with torch.no_grad():
            scores = retrieval.objective.set_scores(asked, candidates[chosen], target)
        yield scores, torch.where(right, torch.arange(retrieval.candidates), -1)


def _queries(values: Mapping[str, Tensor], target: str) -> tuple[dict[int, Tensor], int]:
    """Return the embeddings of all modalities but the target by the modality's index, and the target's index."""
    return {m: value for m, (name, value) in enumerate(values.items()) if name != target}, list(values).index(target)


def _chunks(rows: int, cost: int) -> Iterator[tuple[int, int]]:
    step = max(1, CHUNK // max(cost, 1))
    for start in range(0, rows, step):
        yield start, min(start + step, rows)


def _drawn(labels: Tensor, size: int, seed: int) -> Tensor:
    """Draw (N, K) indices of rows: the row itself first, then rows with other labels."""
    rows = len(labels)
    others = rows - int(torch.unique(labels, return_counts=True)[1].max())
    if others < size - 1:
        raise UsageError(
            "there are too few rows of other labels for a set of candidates",
            got=f"{others} for {size - 1}",
            do="lower `candidates`",
        )
    numbers = labels.numpy()
    generator = Stream(seed, "evaluation/candidates").generator()
    index = np.concatenate([np.arange(rows)[:, None], np.full((rows, size - 1), -1)], axis=1)
    unfit = np.ones((rows, size - 1), dtype=bool)
    while unfit.any():
        index[:, 1:][unfit] = generator.integers(rows, size=int(unfit.sum()))
        # The first of equal indices in a set stays; the row itself is first and is never drawn again.
        order = np.argsort(index, axis=1, kind="stable")
        ranked = np.take_along_axis(index, order, axis=1)
        again = np.zeros_like(ranked, dtype=bool)
        again[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
        repeated = np.zeros_like(again)
        np.put_along_axis(repeated, order, again, axis=1)
        unfit = repeated[:, 1:] | (numbers[index[:, 1:]] == numbers[:, None])
    return torch.from_numpy(index)
