"""The keys of Symile-M3 in training: replaced together by others of the same sum, while the words follow the sum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import build

from symile_data.errors import UsageError
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, Split, Variation, open_split

LANGUAGES = ["el", "en"]
SMALL = {"image": ImageSettings(size=4), "audio": AudioSettings(seconds=0.5)}
TOGETHER = {"image": "cls_id", "audio+code": "target_lang"}


@pytest.fixture(scope="module")
def split(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Training rows with one key beside the language of the audio, which some of them lack."""
    out = tmp_path_factory.mktemp("keys") / "m3"
    rows = {"train": 60, "validation": 0, "test": 0}
    build(tree, out, rows=rows, keys=("code",), missing={"code": 0.2, "audio": 0.1})
    return open_split(out, "train")


def loader_of(split: Split, variation: Variation) -> BatchLoader:
    columns = ["lang", "target_lang", "code_id", "target_text"]
    return BatchLoader(split, 20, cache=True, transforms=SMALL, columns=columns, variation=variation, shuffle=False)


def epoch_of(loader: BatchLoader) -> list[dict[str, Any]]:
    """The rows of one epoch, in the order of their ids."""
    rows = [
        {name: values[place] for name, values in batch.items()}
        for batch in loader
        for place in range(len(batch["sample_id"]))
    ]
    return sorted(rows, key=lambda row: int(row["sample_id"]))


def test_keys_are_replaced_together_by_others_of_the_same_sum(split: Split) -> None:
    own = epoch_of(loader_of(split, Variation()))
    spoken = {row["audio"].numpy().tobytes(): row["lang"] for row in own}
    position = {modality.name: place for place, modality in enumerate(split.modalities)}
    loader = loader_of(split, Variation(redraw_words=True, resample_within_class=TOGETHER))
    epochs = [epoch_of(loader), epoch_of(loader)]
    changed = 0
    for rows in epochs:
        for row, before in zip(rows, own, strict=True):
            assert row["missing"].tolist() == before["missing"].tolist()
            lacking = bool(row["missing"][[position["audio"], position["code"]]].any())
            same = bool((row["audio"] == before["audio"]).all() and (row["code"] == before["code"]).all())
            if lacking:
                assert same
                continue
            shown = LANGUAGES.index(spoken[row["audio"].numpy().tobytes()]) + int(np.argmax(row["code"].numpy()))
            assert LANGUAGES[shown % 2] == row["target_lang"] == before["target_lang"]
            changed += int(np.argmax(row["code"].numpy())) != int(before["code_id"])
            assert row["text"].split("_").count(row["target_text"]) == 1
    assert changed > 20
    assert any((one["code"] != two["code"]).any() for one, two in zip(*epochs, strict=True))


@pytest.mark.parametrize(
    ("swap", "said"),
    [
        ({"audio": "lang", "audio+code": "target_lang"}, "names a modality twice"),
        ({"audio+smell": "target_lang"}, "no such modality"),
        ({"audio+text": "target_lang"}, "not for texts"),
        ({"audio+code": "words"}, "needs its label column"),
    ],
)
def test_modalities_that_cannot_be_replaced_together(split: Split, swap: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        loader_of(split, Variation(resample_within_class=swap))
