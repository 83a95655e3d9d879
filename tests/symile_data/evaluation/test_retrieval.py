"""Zero-shot retrieval against a slow loop, its chance level, and what an ablation makes of an oracle."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from symile_data.errors import UsageError
from symile_data.evaluation import retrieval
from symile_data.evaluation.ablation import ablate
from symile_data.evaluation.retrieval import Embedded, chance, hits, retrieval_accuracy


def embedded(rows: int = 23, names: tuple[str, ...] = ("image", "audio", "text"), labels: int = 5) -> Embedded:
    generator = torch.Generator().manual_seed(rows)
    values = {name: torch.randn(rows, 6, generator=generator) for name in names}
    return Embedded(values, torch.randint(labels, (rows,), generator=generator))


def slow_hits(rows: Embedded, target: str, loss: str) -> list[bool]:
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


@pytest.mark.parametrize("chunk", [1, 7, 23, 100])
def test_chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = embedded()
    whole = hits(rows, "text", "symile")
    monkeypatch.setattr(retrieval, "CHUNK", chunk)
    assert torch.equal(hits(rows, "text", "symile"), whole)


def test_accuracy_is_the_share_of_hits_also_of_joined_batches() -> None:
    rows = embedded()
    parts = [Embedded({n: v[s] for n, v in rows.values.items()}, rows.labels[s]) for s in (slice(9), slice(9, None))]
    joined = Embedded.join(parts)
    assert torch.equal(joined.labels, rows.labels)
    expected = sum(slow_hits(rows, "image", "symile")) / 23
    assert retrieval_accuracy(joined, "image", "symile") == pytest.approx(expected)


def test_chance_is_the_probability_of_one_label() -> None:
    labels = torch.tensor([0, 0, 0, 4, 4, 9])
    pairs = [int(a == b) for a in labels for b in labels]
    assert chance(labels) == pytest.approx(sum(pairs) / len(pairs))


def test_nothing_to_evaluate_is_refused() -> None:
    for rows in (Embedded.join([]), embedded(0)):
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


def oracle() -> Embedded:
    """As a perfect model of M3: the text names one class for each of W languages, the clip tells the language.

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
    return Embedded({"image": image.flatten(1), "audio": audio.flatten(1), "text": text.flatten(1)}, labels)


def test_an_oracle_falls_as_its_modalities_are_shuffled() -> None:
    found = ablate(oracle(), "image", "symile")
    assert found["accuracy"] == 1.0
    assert found["shuffled_audio"] == pytest.approx(1 / WORDS, abs=0.05)
    assert found["shuffled_text"] == pytest.approx(1 / CLASSES, abs=0.05)
    assert found["chance"] == pytest.approx(1 / CLASSES)
    assert found == ablate(oracle(), "image", "symile") and set(found) == {
        "accuracy", "chance", "shuffled_audio", "shuffled_text"
    }  # fmt: skip
    # Pairwise scores cannot tell which of the words the clip points at.
    assert ablate(oracle(), "image", "clip")["accuracy"] == pytest.approx(1 / WORDS, abs=0.1)
