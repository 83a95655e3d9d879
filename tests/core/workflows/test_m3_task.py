"""The task on Symile-M3 with features that name their rows, so that misaligned ones can be traced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from symile_data.datasets.m3.unreliable import misaligned_accuracy
from symile_data.errors import UsageError
from symile_data.experiments.objective_plan import Point
from symile_data.training.checkpoints import save_file
from symile_data.workflows.objectives.m3_task import FEATURES, M3Data, M3Task
from symile_data.workflows.objectives.training import row_order

CLASSES, ROWS = 4, 40
POINT = Point(dataset="m3", modalities=3, languages=2)


@pytest.fixture
def data(tmp_path: Path) -> M3Data:
    """Rows of 4 classes in 2 languages; the features of a row are its number, and a text is `class:language` words."""
    classes = torch.arange(ROWS) % CLASSES
    languages = [("en", "fr")[row // CLASSES % 2] for row in range(ROWS)]
    rows = {
        "image": torch.arange(ROWS, dtype=torch.float32)[:, None],
        "audio": torch.arange(ROWS, dtype=torch.float32)[:, None],
        "text": [f"text {row}" for row in range(ROWS)],
        "sample_id": torch.arange(ROWS),
        "cls_id": classes,
        "lang": languages,
    }
    saved = {
        "key": "key",
        "names": ["image", "audio", "text"],
        "target": "image",
        "label": "cls_id",
        "resampled": {"image": "cls_id", "audio": "lang"},
        "splits": dict.fromkeys(("train", "validation", "test"), rows),
        "rule": {"words": 2, "classes": CLASSES, "languages": 2, "mode": "disjoint"},
        "vocabulary": [[f"{number}:{language}" for language in range(2)] for number in range(CLASSES)],
        "target_class": classes.int(),
        "target_language": torch.tensor([("en", "fr").index(language) for language in languages], dtype=torch.int32),
        "ceilings": {"text_alone": 0.5},
    }
    save_file(saved, tmp_path / FEATURES)
    return M3Data(directory=tmp_path, languages=2, rows={"train": ROWS})


@pytest.mark.parametrize("affected", [("image",), ("text",), ()])
def test_misaligned_rows_show_what_is_drawn_by_the_labels_of_their_donors(
    affected: tuple[str, ...], data: M3Data
) -> None:
    point = replace(POINT, rate=0.5, unreliable="misaligned", affected=affected)
    task, reliable = M3Task(point, data), M3Task(POINT, data)
    batch, same = next(task.batches(ROWS, 7)), next(reliable.batches(ROWS, 7))
    _, order = next(row_order(ROWS, ROWS, 7))
    shown = {name: task._shown("train", name) for name in task.names}
    assert batch.missing is None and all(len(places) == ROWS for places in shown.values())
    for name, places in shown.items():
        moved = (places != torch.arange(ROWS)).float().mean()
        assert 0.2 < moved < 0.8 if name in (affected or task.names) else moved == 0
    image, audio, text = batch.values
    donors = shown["image"][order]
    assert torch.equal(image[:, 0].long() % CLASSES, donors % CLASSES)  # an image of the donor's class
    assert torch.equal(audio[:, 0].long() // CLASSES % 2, shown["audio"][order] // CLASSES % 2)
    for place, words in zip(shown["text"][order].tolist(), text, strict=True):
        assert f"{place % CLASSES}:{place // CLASSES % 2}" in words.split("_")
    if affected == ("image",):
        assert text == same.values[2] and torch.equal(audio, same.values[1])


def test_affected_rows_are_judged_by_the_image_that_they_show(data: M3Data) -> None:
    point = replace(POINT, rate=0.5, unreliable="misaligned", affected=("image",))
    task, reliable = M3Task(point, data), M3Task(POINT, data)
    rows, clean = task.held_out("test", affected=True), task.held_out("test")
    assert torch.equal(clean.values[0], reliable.held_out("test").values[0])
    assert not torch.equal(rows.values[0], clean.values[0]) and rows.values[2] == clean.values[2]
    classes = rows.values[0][:, 0].long() % CLASSES
    assert torch.equal(rows.labels[:, None] == rows.labels, classes[:, None] == classes)
    assert task.references()["bayes_affected"] == misaligned_accuracy(2, CLASSES, 0.5, 0.0, [0.0]) == 0.625
    assert "bayes_affected" not in reliable.references()
    assert reliable.identity() == ["key", 0.0] != task.identity()


def test_noise_of_features_is_refused(data: M3Data) -> None:
    with pytest.raises(UsageError, match="missing or misaligned"):
        M3Task(replace(POINT, rate=0.5, unreliable="noisy", affected=("audio",)), data)
