"""Zero-shot retrieval against a slow loop, its chance level, and what an ablation makes of an oracle."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from symile_data.errors import UsageError
from symile_data.evaluation import embeddings as embedding_module
from symile_data.evaluation import retrieval
from symile_data.evaluation.ablation import ablate
from symile_data.evaluation.bootstrap import bootstrap
from symile_data.evaluation.embeddings import NO_SET, Embeddings, candidate_sets
from symile_data.evaluation.retrieval import (
    Retrieval,
    candidate_rows,
    random_candidate,
    ranks_of,
    retrieval_accuracy,
    retrieve,
)
from symile_data.losses import BatchShape, ClipLoss, Objective, SymileLoss, make_objective

OBJECTIVE = {"symile": SymileLoss(), "clip": ClipLoss()}


def embedded(rows: int = 23, names: tuple[str, ...] = ("image", "audio", "text"), labels: int = 5) -> Embeddings:
    generator = torch.Generator().manual_seed(rows)
    values = {name: torch.randn(rows, 6, generator=generator) for name in names}
    return Embeddings(values, torch.randint(labels, (rows,), generator=generator))


def of(target: str, loss: str = "symile", **options: Any) -> Retrieval:
    return Retrieval(target=target, objective=OBJECTIVE[loss], **options)


def hits(rows: Embeddings, target: str, loss: str) -> Tensor:
    return ranks_of(rows, of(target, loss)).hits()


def slow_hits(rows: Embeddings, target: str, loss: str) -> list[bool]:
    found = []
    for i in range(len(rows.labels)):
        scores = []
        for j in range(len(rows.labels)):
            vectors = [value[j if name == target else i] for name, value in rows.values.items()]
            if loss == "symile":
                scores.append(sum(float(torch.stack(list(p)).prod()) for p in zip(*vectors, strict=True)))
            else:
                scores.append(sum(float(a @ b) for a, b in itertools.combinations(vectors, 2)))
        found.append(bool(rows.labels[max(range(len(scores)), key=scores.__getitem__)] == rows.labels[i]))
    return found


@pytest.mark.parametrize("loss", ["symile", "clip"])
@pytest.mark.parametrize("names", [("image", "audio"), ("image", "audio", "text"), ("a", "image", "b", "c")])
def test_hits_are_those_of_a_slow_loop(loss: str, names: tuple[str, ...]) -> None:
    rows = embedded(names=names)
    assert hits(rows, "image", loss).tolist() == slow_hits(rows, "image", loss)


@pytest.mark.parametrize("chunk", [1, 40, 250, 1000])
def test_chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = embedded()
    whole = hits(rows, "text", "symile")
    sets = ranks_of(rows, of("text", candidates=4)).expected()
    monkeypatch.setattr(retrieval, "CHUNK", chunk)
    assert torch.equal(hits(rows, "text", "symile"), whole)
    assert torch.equal(ranks_of(rows, of("text", candidates=4)).expected(), sets)


@pytest.mark.parametrize("name", ["symile", "pmrl", "gated", "gram"])
def test_candidates_are_scored_a_part_at_a_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that copy their candidates, widened or through a network, then hold a part of them only."""
    rows = embedded()
    values = {key: F.normalize(value, dim=1) for key, value in rows.values.items()}
    rows = Embeddings(values, rows.labels)
    objective = make_objective(name, BatchShape(modalities=3, dim=6, rows=23))
    asked = Retrieval(target="audio", objective=objective)
    whole = ranks_of(rows, asked).expected()
    seen, scores = [], type(objective).scores

    def noted(self: Objective, queries: Any, candidates: Tensor, target: int) -> Tensor:
        seen.append(len(candidates))
        return scores(self, queries, candidates, target)

    monkeypatch.setattr(type(objective), "scores", noted)
    monkeypatch.setattr(retrieval, "CANDIDATES", 6 * 5)
    monkeypatch.setattr(retrieval, "CHUNK", 1000)
    torch.testing.assert_close(ranks_of(rows, asked).expected(), whole)
    assert set(seen) == {5, 3} and sum(seen) % 23 == 0


def test_accuracy_is_the_share_of_hits_also_of_joined_batches() -> None:
    rows = embedded()
    parts = [Embeddings({n: v[s] for n, v in rows.values.items()}, rows.labels[s]) for s in (slice(9), slice(9, None))]
    joined = Embeddings.join(parts)
    assert torch.equal(joined.labels, rows.labels)
    expected = sum(slow_hits(rows, "image", "symile")) / 23
    assert retrieval_accuracy(joined, of("image")) == pytest.approx(expected)


def test_a_random_candidate_has_the_probability_of_one_label() -> None:
    labels = torch.tensor([0, 0, 0, 4, 4, 9])
    pairs = [int(a == b) for a in labels for b in labels]
    assert random_candidate(labels) == pytest.approx(sum(pairs) / len(pairs))


def test_nothing_to_evaluate_is_refused() -> None:
    for rows in (Embeddings.join([]), embedded(0)):
        with pytest.raises(UsageError, match=r"no row with all modalities to evaluate on.*not masked"):
            hits(rows, "image", "symile")


def test_shuffling_moves_one_modality_only() -> None:
    rows = embedded()
    shuffled = rows.shuffled("audio", torch.Generator().manual_seed(0))
    assert torch.equal(shuffled.values["image"], rows.values["image"]) and torch.equal(shuffled.labels, rows.labels)
    moved = shuffled.values["audio"]
    assert not torch.equal(moved, rows.values["audio"])
    assert torch.equal(moved.sort(dim=0).values, rows.values["audio"].sort(dim=0).values)


WORDS, CLASSES, COPIES = 3, 12, 40


def oracle() -> Embeddings:
    """As a perfect model of M3: the text names one class for each of W languages, the recording tells the language.

    Axis (language, class): the text is 1 at its words, the clip at its language, the picture at its class.
    """
    generator = torch.Generator().manual_seed(0)
    rows = CLASSES * COPIES
    labels = torch.arange(rows) % CLASSES
    language = torch.randint(WORDS, (rows,), generator=generator)
    text = torch.zeros(rows, WORDS, CLASSES)
    for row in range(rows):
        others = [c for c in torch.randperm(CLASSES, generator=generator).tolist() if c != labels[row]]
        classes = others[:WORDS]
        classes[int(language[row])] = int(labels[row])
        text[row, torch.arange(WORDS), classes] = 1.0
    audio = F.one_hot(language, WORDS).float()[:, :, None].expand(-1, -1, CLASSES)
    image = F.one_hot(labels, CLASSES).float()[:, None, :].expand(-1, WORDS, -1)
    return Embeddings({"image": image.flatten(1), "audio": audio.flatten(1), "text": text.flatten(1)}, labels)


def test_an_oracle_falls_as_its_modalities_are_shuffled() -> None:
    found = ablate(oracle(), of("image"))
    assert retrieval_accuracy(oracle(), of("image")) == 1.0
    assert found["shuffled_audio"] == pytest.approx(1 / WORDS, abs=0.05)
    assert found["shuffled_text"] == pytest.approx(1 / CLASSES, abs=0.05)
    assert found == ablate(oracle(), of("image")) and set(found) == {"shuffled_audio", "shuffled_text"}
    # Pairwise scores cannot tell which of the words the recording points at.
    assert retrieval_accuracy(oracle(), of("image", "clip")) == pytest.approx(1 / WORDS, abs=0.02)


@pytest.mark.parametrize("loss", ["symile", "clip"])
def test_figures_of_all_candidates_are_those_of_a_slow_ranking(loss: str) -> None:
    rows = embedded(labels=4)
    found = ranks_of(rows, of("audio", loss))
    for i in range(len(rows.labels)):
        scores = slow_scores(rows, "audio", loss, i)
        order = sorted(range(len(scores)), key=lambda j: -scores[j])
        rank = 1 + next(place for place, j in enumerate(order) if rows.labels[j] == rows.labels[i])
        assert found.expected()[i] == rank
        for k in (1, 5, 10):
            assert found.hits(k)[i] == (rank <= k)
    results = retrieve(rows, of("audio", loss))
    assert results["rows"] == results["candidates"] == 23
    assert results["recall_at_5"] == pytest.approx(found.hits(5).mean().item())
    assert results["median_rank"] == sorted(found.expected().tolist())[11]


def slow_scores(rows: Embeddings, target: str, loss: str, i: int) -> list[float]:
    scores = []
    for j in range(len(rows.labels)):
        vectors = [value[j if name == target else i].double() for name, value in rows.values.items()]
        if loss == "symile":
            scores.append(float(torch.stack(vectors).prod(dim=0).sum()))
        else:
            scores.append(sum(float(a @ b) for a, b in itertools.combinations(vectors, 2)))
    return scores


@pytest.mark.parametrize("loss", ["symile", "clip"])
def test_given_sets_of_candidates_are_ranked_within(loss: str) -> None:
    rows = embedded(labels=1_000_000)
    sets = torch.stack([rows.labels[[(i + step) % 23 for step in (0, 3, 7, 11)]] for i in range(23)])
    found = ranks_of(replace(rows, candidates=sets), of("image", loss, candidates=4))
    for i in range(23):
        scores = slow_scores(rows, "image", loss, i)
        assert found.expected()[i] == 1 + sum(scores[(i + step) % 23] > scores[i] for step in (3, 7, 11))
    assert retrieve(replace(rows, candidates=sets), of("image", candidates=4))["random_candidate"] == 0.25
    with pytest.raises(UsageError, match=r"another number of candidates; got 5\. Evaluate with `candidates=4`"):
        ranks_of(replace(rows, candidates=sets), of("image", candidates=5))
    with pytest.raises(UsageError, match=r"names a row that the split does not have.*got -3"):
        ranks_of(replace(rows, candidates=sets.where(torch.arange(4) < 3, -3)), of("image", candidates=4))


def test_drawn_sets_hold_the_row_and_others_of_other_labels() -> None:
    rows = embedded(200, labels=3)
    index = candidate_rows(rows, of("image", candidates=10, seed=5))
    assert index.shape == (200, 10) and torch.equal(index[:, 0], torch.arange(200))
    assert all(len(set(row)) == 10 for row in index.tolist())
    assert (rows.labels[index[:, 1:]] != rows.labels[:, None]).all()
    assert torch.equal(index, candidate_rows(rows, of("text", candidates=10, seed=5)))
    assert not torch.equal(index, candidate_rows(rows, of("text", candidates=10)))
    assert len(index[:, 1:].unique()) == 200
    with pytest.raises(UsageError, match=r"too few rows of other labels for a set of candidates; got 2 for 3"):
        candidate_rows(Embeddings({}, torch.tensor([0, 0, 0, 1, 1])), of("image", candidates=4))


def test_a_bootstrap_has_the_spread_of_the_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(400)
    image, other = torch.eye(400), torch.eye(400)
    wrong = torch.rand(400, generator=generator) < 0.3
    other[wrong] = other[wrong].roll(1, dims=1)
    rows = Embeddings({"image": image, "text": other, "audio": torch.ones(400, 400)}, labels)
    share = retrieval_accuracy(rows, of("image", candidates=10))
    found = bootstrap(rows, of("image", candidates=10), 300)["accuracy"]
    assert found["mean"] == pytest.approx(share, abs=0.01)
    assert found["se"] == pytest.approx((share * (1 - share) / 400) ** 0.5, rel=0.15)
    odds = 1.96 * found["se"] / (found["mean"] * (1 - found["mean"]))  # an interval of the log-odds
    assert found["low"] == pytest.approx(1 / (1 + (1 / found["mean"] - 1) * math.exp(odds)), rel=1e-3)
    assert found == bootstrap(rows, of("image", candidates=10), 300)["accuracy"]
    assert found != bootstrap(rows, of("image", candidates=10), 300, seed=1)["accuracy"]
    with pytest.raises(UsageError, match="at least two replicates"):
        bootstrap(rows, of("image"), 1)


def test_a_modality_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"no such modality to retrieve; got smell\. Choose among image, audio, text"):
        ranks_of(embedded(), of("smell"))


def test_many_embeddings_are_kept_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = embedded(50)
    parts = [Embeddings({n: v[s] for n, v in rows.values.items()}, rows.labels[s]) for s in (slice(20), slice(20, 50))]
    monkeypatch.setattr(embedding_module, "IN_MEMORY", 0)
    for room in (50, 64):
        joined = Embeddings.join(iter(parts), room)
        assert torch.equal(joined.labels, rows.labels)
        assert all(torch.equal(joined.values[name], value) for name, value in rows.values.items())


def test_embeddings_that_are_no_numbers_have_no_rank() -> None:
    rows = embedded(labels=4)
    broken = replace(rows, values={**rows.values, "image": torch.full_like(rows.values["image"], torch.nan)})
    for candidates in (0, 3):
        found = retrieve(broken, of("image", candidates=candidates))
        assert (found["accuracy"], found["recall_at_10"]) == (0.0, 0.0)
        assert found["median_rank"] == found["candidates"] + 1


@pytest.mark.parametrize("loss", ["symile", "clip"])
def test_rows_without_a_set_are_candidates_and_no_queries(loss: str) -> None:
    """As if each query were asked alone: its set is found among all rows, and the others count for nothing."""
    rows = replace(embedded(12), labels=torch.arange(100, 112))
    sets = torch.stack([rows.labels.roll(-row)[:4] for row in range(12)])
    silent = torch.tensor([1, 2, 5, 11])
    sets[silent] = NO_SET
    some = replace(rows, candidates=sets)
    assert some.queries.tolist() == [row for row in range(12) if row not in silent.tolist()]
    whole = replace(rows, candidates=torch.stack([rows.labels.roll(-row)[:4] for row in range(12)]))
    found, expected = ranks_of(some, of("image", loss, candidates=4)), ranks_of(whole, of("image", loss, candidates=4))
    for name in ("above", "tied", "right"):
        assert torch.equal(getattr(found, name), getattr(expected, name)[some.queries])
    assert retrieve(some, of("image", loss, candidates=4))["rows"] == 8
    assert retrieve(some, of("image", loss))["rows"] == 12  # among all rows every row is a query
    assert bootstrap(some, of("image", loss, candidates=4), 3)["accuracy"]["mean"] <= 1
    with pytest.raises(UsageError, match="no row with all modalities"):
        retrieve(replace(rows, candidates=torch.full_like(sets, NO_SET)), of("image", loss, candidates=4))


def test_sets_of_batches_are_joined_where_a_batch_has_no_query() -> None:
    assert candidate_sets([None, [5, 6]], 0).tolist() == [[NO_SET, NO_SET], [5, 6]]
    assert candidate_sets([None], 3).tolist() == [[NO_SET] * 3]
    one = Embeddings({"a": torch.ones(1, 2)}, torch.tensor([5]), torch.empty(1, 0, dtype=torch.long))
    other = Embeddings({"a": torch.ones(1, 2)}, torch.tensor([6]), torch.tensor([[6, 5]]))
    joined = Embeddings.join([one, other])
    assert joined.candidates is not None and joined.candidates.tolist() == [[NO_SET, NO_SET], [6, 5]]
    assert joined.queries.tolist() == [1]
