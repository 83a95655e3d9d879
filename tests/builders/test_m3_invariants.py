"""`verify` knows the rules of Symile-M3 and finds the row that breaks one, even when every hash is right."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest
from factories import build, imagenet_tree, problems, rewrite, rows_of

from symile_data.builders.xor.spec import XorSpec
from symile_data.datasets.m3.invariants import M3Invariants
from symile_data.datasets.m3.names import read_names
from symile_data.datasets.m3.schema import m3_schema
from symile_data.datasets.xor.schema import xor_schema
from symile_data.errors import DamageError
from symile_data.format import manifest as manifests
from symile_data.format.kinds.registry import load
from symile_data.format.verify import verify
from symile_data.loaders import open_split
from symile_data.workflows.datasets import DATASETS, invariants_of

TRAIN, TEST = "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def sound(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sound") / "m3"
    build(tree, out, languages=("el", "en", "hi"), words=3)
    return out


@pytest.fixture
def doctored(sound: Path, tmp_path: Path) -> Callable[[Callable[[Row], None]], list[str]]:
    """Change row 4 of the training split, hashes and all, and verify."""

    def change_and_verify(change: Callable[[Row], None]) -> list[str]:
        directory = shutil.copytree(sound, tmp_path / "doctored")
        rows = rows_of(directory, "train")
        change(rows[4])
        rewrite(directory, TRAIN, rows)
        return problems(directory)

    return change_and_verify


def rename(row: Row, position: int, **changes: Any) -> None:
    """Change a word and keep the text in step with it."""
    word = row["words"][position]
    word.update(changes)
    word["text"] = read_names().names[word["lang"]][word["cls_id"]]
    row["text"] = "_".join(word["text"] for word in row["words"])


def other(row: Row) -> int:
    """Position of a word that is not the answer."""
    return next(index for index, word in enumerate(row["words"]) if word["lang"] != row["lang"])


def second_answer(row: Row) -> None:
    rename(row, other(row), lang=row["lang"])


def second_name_of_the_class(row: Row) -> None:
    rename(row, other(row), cls_id=row["cls_id"])


def other_image(row: Row) -> None:
    row["cls_id"] = 999


def other_audio(row: Row) -> None:
    row["lang"] = "uk"


def wrong_text(row: Row) -> None:
    row["text"] += "x"


def wrong_target(row: Row) -> None:
    row["target_text"] = "lion"


def missing_word(row: Row) -> None:
    del row["words"][other(row)]
    row["text"] = "_".join(word["text"] for word in row["words"])


def repeated_word(row: Row) -> None:
    first = other(row)
    last = max(index for index, word in enumerate(row["words"]) if word["lang"] != row["lang"])
    rename(row, last, lang=row["words"][first]["lang"], cls_id=row["words"][first]["cls_id"])


NO_SINGLE_ANSWER = "the text does not name exactly one class in the language of the audio, the image's"


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        (second_answer, NO_SINGLE_ANSWER),
        (second_name_of_the_class, NO_SINGLE_ANSWER),
        (other_image, NO_SINGLE_ANSWER),
        (other_audio, NO_SINGLE_ANSWER),
        (wrong_text, "text is not its words joined by '_'"),
        (wrong_target, "target_text is 'lion', the text says"),
        (missing_word, "2 words, the spec says 3"),
        (repeated_word, "a word occurs twice in the text"),
        (repeated_word, "two words share a language"),
        (repeated_word, "two words share a class"),
    ],
)
def test_a_row_that_breaks_a_rule_is_named(doctored, change: Callable[[Row], None], clause: str) -> None:
    found = doctored(change)
    assert found
    assert all(problem.startswith(f"{TRAIN}: row 4 (sample 4): ") for problem in found)
    assert any(clause in problem for problem in found)


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"cls": "lion"}, "row 4 (sample 4): cls is 'lion', cls_id "),
        ({"cls": None}, "row 4 (sample 4): cls is None, cls_id "),
        ({"wnid": "n00000000"}, "row 4 (sample 4): wnid is 'n00000000', cls_id "),
        ({"cls_id": -1}, "row 4 (sample 4): cls_id is -1, which is not a class"),
        ({"cls_id": 1000}, "row 4 (sample 4): cls_id is 1000, which is not a class"),
        ({"sample_id": -4}, "row 4: sample_id -4 is negative"),
        ({"image": {"bytes": b"x", "path": None}}, "row 4: the path of image is None, not 'n"),
        ({"image": {"bytes": b"x", "path": "other.JPEG"}}, "row 4: the path of image is 'other.JPEG', not 'n"),
        ({"audio": {"bytes": b"x", "path": None}}, "row 4: the path of audio is None, not 'espeak-train-"),
    ],
)
def test_what_a_row_says_twice_must_agree(doctored, changes: Row, clause: str) -> None:
    found = doctored(lambda row: row.update(changes))
    assert found[0].startswith(f"{TRAIN}: {clause}"), found


def test_bytes_of_a_medium_in_two_splits_are_found_by_a_deep_look(tmp_path: Path) -> None:
    """Its ids and paths differ."""
    build(imagenet_tree(tmp_path / "tree", odd=False), tmp_path / "out")
    assert problems(tmp_path / "out", deep=True) == []
    rows, theirs = rows_of(tmp_path / "out", "test"), rows_of(tmp_path / "out", "train")
    expected = []
    for column, of_id in (("audio", "clip_id"), ("image", "image_id")):
        rows[1][column]["bytes"] = theirs[2][column]["bytes"]
        first = next(index for index, row in enumerate(theirs) if row[of_id] == theirs[2][of_id])
        expected.append(f"{TEST}: row 1 and {TRAIN}: row {first} have the same {column}, and 0 more occur in both ")
    rewrite(tmp_path / "out", TEST, rows)
    assert problems(tmp_path / "out") == []
    found = problems(tmp_path / "out", deep=True)
    assert sorted(found) == [f"{start}test and train" for start in expected]


def test_an_image_that_the_source_has_twice_is_found_by_a_deep_look(sound: Path) -> None:
    """Two classes of the drawn tree have some files of the same bytes, of which the splits took one each."""
    found = problems(sound, deep=True)
    assert found and all(" have the same image, and " in problem for problem in found)


class Looking(M3Invariants):
    """The rules of Symile-M3, and a record of the parts that images had in the tables."""

    def __init__(self, directory: Path, reads_media: bool) -> None:
        super().__init__(manifests.read(directory))
        self.seen: list[tuple[set[str], int]] = []
        self._reads = reads_media

    @property
    def reads_media(self) -> bool:
        return self._reads

    def check_media(self, table: pa.Table) -> Iterator[str]:
        self.seen.append(({part.name for part in table.schema.field("image").type}, table["image"].null_count))
        return super().check_media(table)


@pytest.mark.parametrize("shard_format", ["parquet", "webdataset"])
def test_tables_hold_the_bytes_of_media_only_where_a_rule_reads_them(
    tree: Path, tmp_path: Path, shard_format: Literal["parquet", "webdataset"]
) -> None:
    rows = {"train": 12, "validation": 0, "test": 4}
    build(tree, tmp_path / "out", rows=rows, missing={"image": 0.4}, shard_format=shard_format)
    nulls = [
        sum(row["image"] is None for row in open_split(tmp_path / "out", split).read_all(["image"]).to_pylist())
        for split in ("test", "train")
    ]
    assert nulls[1]
    for reads_media, parts in ((False, {"path"}), (True, {"bytes", "path"})):
        rules = Looking(tmp_path / "out", reads_media)
        assert list(verify(tmp_path / "out", rules)) == []
        assert sorted(rules.seen, key=lambda one: one[1]) == [(parts, count) for count in sorted(nulls)]


def test_splits_that_share_their_media_may_share_their_bytes(tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "out", split_policy="shared")
    assert problems(tmp_path / "out", deep=True) == []


def test_a_sample_id_that_occurs_twice_is_named(doctored) -> None:
    assert doctored(lambda row: row.update(sample_id=3)) == [f"{TRAIN}: row 4: sample_id 3 occurs twice"]


def test_a_sample_id_of_another_split_is_named(sound: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(sound, tmp_path / "doctored")
    rows = rows_of(directory, "train")
    rows[4]["sample_id"] = taken = rows_of(directory, "test")[1]["sample_id"]
    rewrite(directory, TRAIN, rows)
    assert problems(directory) == [f"{TEST}: row 1: sample_id {taken} occurs twice"]  # the later file


def test_a_sample_without_an_id_is_named(doctored) -> None:
    (problem,) = doctored(lambda row: row.update(sample_id=None))
    assert problem.startswith(f"{TRAIN}: ") and "a sample_id is null" in problem


def test_a_value_behind_a_mask_is_named(doctored) -> None:
    (problem, *_) = doctored(lambda row: row.update(image_missing=True))
    assert problem == f"{TRAIN}: row 4: image is not null but image_missing is True"


def test_a_row_without_its_text_breaks_no_rule(doctored) -> None:
    assert doctored(lambda row: row.update(text=None, words=None, target_text=None, text_missing=True)) == []


@pytest.mark.parametrize("column", ["image_id", "clip_id"])
def test_media_in_two_splits_are_named(sound: Path, tmp_path: Path, column: str) -> None:
    directory = shutil.copytree(sound, tmp_path / "doctored")
    rows = rows_of(directory, "test")
    shared = rows_of(directory, "train")[2][column]
    rows[1][column] = shared
    rewrite(directory, TEST, rows)
    assert problems(directory)[-1] == f"{column} {shared} and 0 more occur in both test and train"


def test_of_several_shared_media_the_first_is_named_and_each_counted_once(sound: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(sound, tmp_path / "doctored")
    rows, theirs = rows_of(directory, "test"), rows_of(directory, "train")
    shared = sorted({row["image_id"] for row in theirs})[:2]
    for row, image in zip(rows, [shared[1], shared[0], shared[1]], strict=False):
        row["image_id"] = image
    rewrite(directory, TEST, rows)
    assert problems(directory)[-1] == f"image_id {shared[0]} and 1 more occur in both test and train"


def test_a_recording_that_speaks_another_splits_sentences_is_named(sound: Path, tmp_path: Path) -> None:
    """Also a recording that the other split does not use."""
    directory = shutil.copytree(sound, tmp_path / "doctored")
    rows = rows_of(directory, "test")
    rows[1]["clip_id"] = clip = f"espeak-train-{rows[1]['lang']}-000999"
    rows[1]["audio"]["path"] = f"{clip}.flac"
    rewrite(directory, TEST, rows)
    assert problems(directory) == [f"{TEST}: row 1: recording {clip} speaks sentences of train, not of test"]


@pytest.mark.parametrize("spec", [{}, {"words": 2}, {"words": 2, "mode": "disjoint", "split_policy": None}])
def test_settings_of_another_dataset_are_one_error(spec: dict[str, Any]) -> None:
    identity = manifests.BuildFingerprint(dataset="symile-m3", spec=spec, sources={}, versions={})
    manifest = manifests.Manifest(identity=identity, modalities=(), splits={})
    if len(spec) < 3:
        with pytest.raises(DamageError, match="settings are not those of a dataset called symile-m3"):
            invariants_of(manifest)
    else:
        assert invariants_of(manifest) is not None


def test_overlapping_words_may_share_classes_and_languages(tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "out", languages=("el", "en", "uk"), words=3, mode="overlap")
    words = [row["words"] for row in rows_of(tmp_path / "out", "train")]
    assert any(len({word["lang"] for word in some}) < 3 for some in words)
    assert problems(tmp_path / "out") == []


def test_a_dataset_of_others_has_no_rules_of_ours(sound: Path, tmp_path: Path) -> None:
    value = json.loads((sound / "manifest.json").read_text(encoding="utf-8"))
    identity = manifests.BuildFingerprint(dataset="theirs", spec=value["spec"], sources={}, versions={})
    assert invariants_of(manifests.Manifest(identity=identity, modalities=(), splits={})) is None


@pytest.mark.parametrize("builder", DATASETS.values(), ids=list(DATASETS))
def test_every_builder_of_the_table_can_be_loaded(builder) -> None:
    assert callable(load(builder.invariants))


@pytest.mark.parametrize("schema", [m3_schema(), xor_schema(XorSpec().names, XorSpec().dims)], ids=["symile-m3", "xor"])
def test_the_modalities_of_a_schema_are_among_its_columns(schema) -> None:
    columns = set(schema.features)
    for modality in schema.modalities:
        assert {modality.mask, *modality.null_columns} <= columns
        assert modality.column in modality.null_columns
