import pytest
from small_datasets import CLASSES, LANGUAGES, m3_row, write_m3

from symile_data.errors import UsageError
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, open_split

SMALL = {"image": ImageSettings(size=4), "audio": AudioSettings(seconds=0.025)}
ROWS = 240  # enough for every class to occur in every language


def split_of(tmp_path, **options):
    return open_split(write_m3(tmp_path, ROWS, group=40, **options), "train")


def texts(loader):
    found = {}
    for batch in loader:
        found |= dict(zip(batch["sample_id"].tolist(), batch["text"], strict=True))
    return found


@pytest.mark.parametrize("mode", ["disjoint", "overlap"])
def test_redrawn_texts_obey_the_rule_and_keep_the_target(tmp_path, mode):
    loader = BatchLoader(
        split_of(tmp_path, spec={"mode": mode, "words": 3}),
        20,
        transforms=SMALL,
        redraw_words=True,
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
    one = BatchLoader(split, 20, transforms=SMALL, redraw_words=True, threads=1)
    two = BatchLoader(split, 48, transforms=SMALL, redraw_words=True, threads=3, window=2, cache=True)
    first, second = texts(one), texts(one)
    assert first == texts(two) and second == texts(two)
    changed = sum(first[key] != second[key] for key in first)
    assert changed > ROWS * 0.9 and first != {1000 + row: m3_row(row)["text"] for row in range(ROWS)}


def test_missing_texts_stay_missing(tmp_path):
    split = split_of(tmp_path, missing=lambda row: ("text",) if row % 5 == 0 else ())
    found = texts(BatchLoader(split, 20, transforms=SMALL, redraw_words=True))
    assert all((text is None) == (key % 5 == 0) for key, text in found.items())


def test_words_the_split_never_uses_are_not_drawn(tmp_path):
    never = {f"w{number}el" for number in range(3)}

    def change(row, value):
        kept = value["words"] and [word for word in value["words"] if word["text"] not in never]
        return value | {"words": kept}

    missing = [row for row in range(ROWS) if m3_row(row)["target_text"] in never]
    split = split_of(tmp_path, change=change, missing=lambda row: ("text",) if row in missing else ())
    loader = BatchLoader(split, 20, transforms=SMALL, redraw_words=True)
    assert not loader._words.vocabulary[:3, 0].any()
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
    loader = BatchLoader(split, 8, transforms=SMALL, redraw_words=True)
    assert texts(loader)  # three classes, one language each: exactly one text per row is left, and it is found
    loader._words.vocabulary[:] = ""
    with pytest.raises(UsageError, match=r"too few.*0 of 9 words known.*redraw_words=False"):
        texts(loader)


def test_only_training_texts_are_redrawn(tmp_path):
    write_m3(tmp_path, ROWS, split="validation")
    with pytest.raises(UsageError, match=r"for training only.*split validation"):
        BatchLoader(open_split(tmp_path, "validation"), 8, redraw_words=True)


def test_a_dataset_without_a_rule_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no mode in its spec"):
        BatchLoader(split_of(tmp_path, spec={"words": 3}), 8, redraw_words=True)


def test_a_dataset_without_words_is_refused(tmp_path):
    from small_datasets import write_vectors

    with pytest.raises(UsageError, match=r"without this column.*got words"):
        BatchLoader(open_split(write_vectors(tmp_path, 20), "train"), 8, redraw_words=True)


def test_the_vocabulary_is_that_of_the_split(tmp_path):
    words = BatchLoader(split_of(tmp_path), 8, redraw_words=True)._words
    assert words.vocabulary.tolist() == [
        [f"w{cls}{language}" for language in sorted(LANGUAGES)] for cls in range(len(CLASSES))
    ]
