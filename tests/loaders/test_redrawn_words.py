from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_datasets import CLASSES, LANGUAGES, m3_row, write_m3

from symile_data.errors import UsageError
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, Resources, Variation, open_split
from symile_data.loaders.redraw_words import collect_words

SMALL = {"image": ImageSettings(size=4), "audio": AudioSettings(seconds=0.025)}
ROWS = 240  # enough for every class to occur in every language


def split_of(tmp_path, **options):
    return open_split(write_m3(tmp_path, ROWS, group=40, **options), "train")


def texts(loader):
    found: dict[Any, Any] = {}
    for batch in loader:
        found |= dict(zip(batch["sample_id"].tolist(), batch["text"], strict=True))
    return found


@pytest.mark.parametrize("mode", ["disjoint", "overlap"])
def test_redrawn_texts_obey_the_rule_and_keep_the_target(tmp_path, mode):
    loader = BatchLoader(
        split_of(tmp_path, spec={"mode": mode, "words": 3}),
        20,
        transforms=SMALL,
        variation=Variation(redraw_words=True),
        columns=["target_text"],
    )
    for batch in loader:
        for text, target in zip(batch["text"], batch["target_text"], strict=True):
            words = text.split("_")
            assert len(words) == len(set(words)) == 3 and words.count(target) == 1
            cls, language = target[1], target[2:]
            others = [word for word in words if word != target]
            assert all(word[1] != cls and word[2:] != language for word in others)
            if mode == "disjoint":
                assert len({word[1] for word in words}) == len({word[2:] for word in words}) == 3


def test_texts_change_with_the_epoch_and_with_nothing_else(tmp_path):
    split = split_of(tmp_path)
    one = BatchLoader(
        split, 20, transforms=SMALL, variation=Variation(redraw_words=True), resources=Resources(threads=1)
    )
    two = BatchLoader(
        split,
        48,
        transforms=SMALL,
        variation=Variation(redraw_words=True),
        resources=Resources(threads=3, window=2),
        cache=True,
    )
    first, second = texts(one), texts(one)
    assert first == texts(two) and second == texts(two)
    changed = sum(first[key] != second[key] for key in first)
    assert changed > ROWS * 0.9 and first != {1000 + row: m3_row(row)["text"] for row in range(ROWS)}


def test_missing_texts_stay_missing(tmp_path):
    split = split_of(tmp_path, missing=lambda row: ("text",) if row % 5 == 0 else ())
    found = texts(BatchLoader(split, 20, transforms=SMALL, variation=Variation(redraw_words=True)))
    assert all((text is None) == (key % 5 == 0) for key, text in found.items())


def test_words_the_split_never_uses_are_not_drawn(tmp_path):
    never = {f"w{number}el" for number in range(3)}

    def change(row, value):
        kept = value["words"] and [word for word in value["words"] if word["text"] not in never]
        return value | {"words": kept}

    missing = [row for row in range(ROWS) if m3_row(row)["target_text"] in never]
    split = split_of(tmp_path, change=change, missing=lambda row: ("text",) if row in missing else ())
    loader = BatchLoader(split, 20, transforms=SMALL, variation=Variation(redraw_words=True))
    assert loader._words and not loader._words.vocabulary[:3, 0].any()
    for text in texts(loader).values():
        assert text is None or not never & set(text.split("_"))


def test_too_few_words_are_an_error_that_says_how_to_go_on(tmp_path):
    def change(row, value):
        target = {"text": value["target_text"], "lang": value["lang"], "cls_id": value["cls_id"]}
        return value | {"words": [target]}

    # Each class in one language only: three classes of three languages that fit are never found together with the
    # others.
    rows = [row for row in range(ROWS) if row % 8 == row % 3]
    split = open_split(
        write_m3(
            tmp_path, 24, change=lambda row, value: change(row, m3_row(rows[row % len(rows)])) | {"sample_id": row}
        ),
        "train",
    )
    loader = BatchLoader(split, 8, transforms=SMALL, variation=Variation(redraw_words=True))
    assert texts(loader)  # three classes, one language each: exactly one text per row is left, and it is found
    assert loader._words
    loader._words.vocabulary[:] = ""
    with pytest.raises(UsageError, match=r"too few.*0 of 9 words known.*redraw_words=False"):
        texts(loader)


def test_only_training_texts_are_redrawn(tmp_path):
    write_m3(tmp_path, ROWS, split="validation")
    with pytest.raises(UsageError, match=r"for training only.*split validation"):
        BatchLoader(open_split(tmp_path, "validation"), 8, variation=Variation(redraw_words=True))


def test_a_dataset_without_a_rule_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no mode in its spec"):
        BatchLoader(split_of(tmp_path, spec={"words": 3}), 8, variation=Variation(redraw_words=True))


def test_a_dataset_without_words_is_refused(tmp_path):
    from small_datasets import write_vectors

    with pytest.raises(UsageError, match=r"without this column.*got words"):
        BatchLoader(open_split(write_vectors(tmp_path, 20), "train"), 8, variation=Variation(redraw_words=True))


def test_the_vocabulary_is_that_of_the_split(tmp_path):
    words = BatchLoader(split_of(tmp_path), 8, variation=Variation(redraw_words=True))._words
    assert words
    assert words.vocabulary.tolist() == [
        [f"w{cls}{language}" for language in sorted(LANGUAGES)] for cls in range(len(CLASSES))
    ]


def test_of_a_word_with_several_spellings_the_last_one_counts(tmp_path):
    """Also across shards; and words without a language are passed over."""

    def change(row, value):
        spelt = [word | {"text": f"{word['text']}/{row}"} for word in value["words"]]
        return value | {"words": [{"text": "?", "lang": None, "cls_id": None}, *spelt]}

    expected: dict[Any, Any] = {}
    for row in range(ROWS):
        expected |= {(word["cls_id"], word["lang"]): f"{word['text']}/{row}" for word in m3_row(row)["words"]}
    words = BatchLoader(split_of(tmp_path, change=change, shards=7), 8, variation=Variation(redraw_words=True))._words
    assert words
    found = words.vocabulary.tolist()
    assert found == [[expected[cls, lang] for lang in sorted(LANGUAGES)] for cls in range(len(CLASSES))]
    assert words.target_class.tolist() == [m3_row(row)["cls_id"] for row in range(ROWS)]
    assert words.target_language.tolist() == [sorted(LANGUAGES).index(m3_row(row)["lang"]) for row in range(ROWS)]


def test_gathering_words_holds_a_few_shards_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("symile_data.loaders.split._OPENING_THREADS", 2)
    noise = np.random.default_rng(0)

    def change(row, value):
        return value | {"words": [word | {"text": noise.bytes(5000).hex()} for word in value["words"]]}

    split = split_of(tmp_path, change=change, shards=24)
    usual = pa.default_memory_pool()
    counting = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counting)
    try:
        collect_words(split, 0)
    finally:
        pa.set_memory_pool(usual)
    assert counting.max_memory() < ROWS * 3 * 10_000 / 2  # half of what the texts are


def test_words_of_another_type_are_refused(tmp_path):
    table = pa.table({"words": ["a_b"] * 20, "cls_id": range(20), "lang": ["en"] * 20, "text": ["a_b"] * 20})
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet")
    split = replace(open_split(tmp_path, "train"), spec={"mode": "disjoint", "words": 2})
    with pytest.raises(UsageError, match=r"cannot be redrawn from columns of these types.*list_flatten"):
        collect_words(split, 0)


def test_words_that_name_no_classes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("symile_data.loaders.redraw_words._MOST_CELLS", 8)
    with pytest.raises(UsageError, match=r"no names of classes.*got 8 classes in 3 languages"):
        collect_words(split_of(tmp_path), 0)
