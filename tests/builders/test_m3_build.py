"""Symile-M3 from source to dataset: rows that hold together, typed, offline, the same bytes however they are made."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import Audio, load_dataset
from factories import (
    ROWS,
    WNIDS,
    build,
    contents,
    encoded,
    imagenet_tree,
    names_table,
    picture,
    problems,
    rows_of,
    spec,
    unreadable_files,
)
from PIL import Image

from symile_data.builders.m3 import build as builds
from symile_data.cards import write_card
from symile_data.datasets.m3.names import imagenet_classes, read_names
from symile_data.datasets.m3.schema import MODALITIES, m3_schema
from symile_data.errors import OutputError, SourceError, SymileDataError, UsageError
from symile_data.missingness import missing

SPLITS = tuple(ROWS)


@pytest.fixture(scope="module")
def plain(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build without documents; not to be changed."""
    out = tmp_path_factory.mktemp("plain") / "m3"
    build(tree, out)
    return out


@pytest.fixture(scope="module")
def documented(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its card."""
    out = tmp_path_factory.mktemp("documented") / "m3"
    build(tree, out, write_card=write_card)
    return out


def test_a_finished_build_is_what_its_manifest_says(plain: Path, documented: Path) -> None:
    assert problems(plain) == []
    assert problems(documented) == []
    assert sorted(contents(plain)) == ["data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet",
                                       "data/validation-00000-of-00001.parquet", "manifest.json"]  # fmt: skip
    assert {"README.md", "croissant.json", "stats.json"} <= set(contents(documented))


def test_every_row_holds_together(plain: Path, tree: Path) -> None:
    _, english = imagenet_classes()
    table = read_names()
    ids = []
    for split in SPLITS:
        for row in rows_of(plain, split):
            ids.append(row["sample_id"])
            assert row["cls"] == english[row["cls_id"]]
            assert row["wnid"] == table.wnids[row["cls_id"]] == row["image_id"].split("/")[0]
            assert row["target_text"] == table.names[row["lang"]][row["cls_id"]]
            assert row["text"] == "_".join(word["text"] for word in row["words"])
            assert all(word["text"] == table.names[word["lang"]][word["cls_id"]] for word in row["words"])
            answers = [word["cls_id"] for word in row["words"] if word["lang"] == row["lang"]]
            assert answers == [row["cls_id"]]
            assert row["clip_id"].startswith(f"espeak-{split}-{row['lang']}-")
            source = (tree / row["image_id"]).read_bytes()
            image = Image.open(io.BytesIO(row["image"]["bytes"]))
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert (row["image"]["bytes"] == source) == row["image"]["path"].startswith("n0")
            wave, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
            assert rate == 16_000
            assert len(wave) > 8000
            assert not (row["image_missing"] or row["audio_missing"] or row["text_missing"])
    assert ids == list(range(20))


@pytest.mark.parametrize("column", ["image_id", "clip_id"])
def test_disjoint_splits_share_no_media(plain: Path, column: str) -> None:
    used = [{row[column] for row in rows_of(plain, split)} for split in SPLITS]
    assert len(set.union(*used)) == sum(len(part) for part in used)


def test_shared_splits_draw_from_one_pool(tree: Path, tmp_path: Path) -> None:
    manifest = build(tree, tmp_path / "out", split_policy="shared", rows={"train": 200, "validation": 0, "test": 60})
    assert problems(tmp_path / "out") == []
    train, test = rows_of(tmp_path / "out", "train"), rows_of(tmp_path / "out", "test")
    for column in ("image_id", "clip_id"):
        assert {row[column] for row in train} & {row[column] for row in test}
    assert {row["clip_id"].split("-")[1] for row in train + test} == {"shared"}
    assert any("share images" in note for note in manifest.notes)
    assert {row["image_id"] for row in train} == {f"{p.parent.name}/{p.name}" for p in tree.rglob("*.JPEG")}


@pytest.mark.parametrize("mode", ["disjoint", "overlap"])
def test_ten_languages_and_both_modes(tree: Path, tmp_path: Path, mode: str) -> None:
    languages = ("ar", "el", "en", "hi", "ja", "ko", "te", "th", "uk", "zh-CN")
    build(
        tree, tmp_path / "out", languages=languages, words=4, mode=mode, rows={"train": 30, "validation": 0, "test": 0}
    )
    assert problems(tmp_path / "out") == []
    assert {row["lang"] for row in rows_of(tmp_path / "out", "train")} <= set(languages)
    assert {len(row["words"]) for row in rows_of(tmp_path / "out", "train")} == {4}


def test_real_photographs_build(photographs: Path, tmp_path: Path) -> None:
    build(photographs, tmp_path / "out", image_size=64)
    assert problems(tmp_path / "out") == []
    sizes = [Image.open(io.BytesIO(row["image"]["bytes"])).size for row in rows_of(tmp_path / "out", "train")]
    assert max(min(size) for size in sizes) <= 64


def test_two_builds_in_two_places_have_the_same_bytes(plain: Path, tree: Path, tmp_path: Path) -> None:
    elsewhere = imagenet_tree(tmp_path / "elsewhere" / "ILSVRC" / "Data" / "CLS-LOC" / "train")
    build(elsewhere.parents[3], tmp_path / "out")
    assert contents(tmp_path / "out") == contents(plain)


@pytest.mark.usefixtures("shared_workers")
def test_worker_processes_make_the_same_bytes(plain: Path, tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "out", workers=2)
    assert contents(tmp_path / "out") == contents(plain)


def test_another_seed_makes_another_dataset(plain: Path, tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "out", seed=1)
    assert [row["text"] for row in rows_of(tmp_path / "out", "train")] != [
        row["text"] for row in rows_of(plain, "train")
    ]


def test_a_longer_split_begins_with_the_same_plan(tree: Path, tmp_path: Path) -> None:
    rows = {"train": 12, "validation": 0, "test": 0}
    build(tree, tmp_path / "short", rows=rows)
    build(tree, tmp_path / "long", rows=rows | {"train": 14})
    short, long = (rows_of(tmp_path / name, "train") for name in ("short", "long"))
    assert [row["text"] for row in short] == [row["text"] for row in long[:12]]


def test_a_finished_build_is_given_back_untouched(plain: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in plain.rglob("*")}
    monkeypatch.setattr(builds, "_prepare", lambda *_: pytest.fail("it was built again"))
    assert build(tree, plain).splits == ROWS
    assert {path: path.stat().st_mtime_ns for path in plain.rglob("*")} == before


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("card", [False, True])
@pytest.mark.usefixtures("no_network")
def test_plain_load_dataset_reads_it(
    plain: Path, documented: Path, tmp_path: Path, streaming: bool, card: bool
) -> None:
    directory = documented if card else plain
    loaded = load_dataset(str(directory), streaming=streaming, cache_dir=str(tmp_path))
    assert sorted(loaded) == sorted(SPLITS)
    for split in SPLITS:
        expected_features = m3_schema().features.copy()
        if card:  # the card asks for the bytes of audio, so that a row prints without torchcodec
            expected_features["audio"] = Audio(sampling_rate=16_000, decode=False)
        assert loaded[split].features == expected_features
        undecoded = loaded[split].cast_column("audio", Audio(sampling_rate=16_000, decode=False))
        rows = list(undecoded)  # to the end: a half-read stream can abort the interpreter when it exits
        expected = rows_of(directory, split)
        assert [row["sample_id"] for row in rows] == [row["sample_id"] for row in expected]
        assert [row["audio"]["bytes"] for row in rows] == [row["audio"]["bytes"] for row in expected]
        assert [row["words"] for row in rows] == [row["words"] for row in expected]
        assert all(isinstance(row["image"], Image.Image) for row in rows)
        names = loaded[split].features["cls_id"].names
        assert [names[row["cls_id"]] for row in rows] == [row["cls"] for row in expected]


@pytest.mark.parametrize(
    ("changes", "masked"),
    [
        ({"missing": {"image": 0.5, "audio": 0.3, "text": 0.4}}, ("train", "validation")),
        ({"missing": {"image": 0.5, "audio": 0.3, "text": 0.4}, "missing_test": True}, SPLITS),
        ({"missing": {"text": 1.0}}, ("train", "validation")),
    ],
)
def test_what_is_missing_is_null_and_marked(
    tree: Path, tmp_path: Path, changes: dict[str, Any], masked: tuple[Any, ...]
) -> None:
    rows = {"train": 40, "validation": 20, "test": 20}
    build(tree, tmp_path / "out", rows=rows, **changes)
    assert problems(tmp_path / "out") == []
    for split in SPLITS:
        found = rows_of(tmp_path / "out", split)
        ids = np.array([row["sample_id"] for row in found])
        for modality in MODALITIES:
            rate = changes["missing"].get(modality.name, 0.0) if split in masked else 0.0
            expected = missing(0, ids, modality.name, rate).tolist()
            assert [row[modality.mask] for row in found] == expected
            for column in modality.null_columns:
                assert [row[column] is None for row in found] == expected
            assert any(expected) == (rate > 0)
    for split, table in load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache")).items():
        assert table.with_format("arrow")["text"].to_pylist() == [
            row["text"] for row in rows_of(tmp_path / "out", split)
        ]


def test_missing_values_do_not_change_the_others(plain: Path, tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "out", missing={"image": 0.5})
    for split in SPLITS:
        for whole, partly in zip(rows_of(plain, split), rows_of(tmp_path / "out", split), strict=True):
            assert all(partly[key] in (value, None) for key, value in whole.items() if key != "image_missing")


def test_unreadable_images_are_dropped_counted_and_named(tmp_path: Path) -> None:
    extra = {f"{WNIDS[0]}/{name}": data for name, (data, _) in unreadable_files().items()}
    rows = {"train": 200, "validation": 0, "test": 0}
    manifest = build(imagenet_tree(tmp_path / "tree", extra=extra), tmp_path / "out", rows=rows)
    assert {entry.reason: (entry.count, entry.examples) for entry in manifest.dropped} == {
        f"image: {reason}": (1, [f"{WNIDS[0]}/{name}"]) for name, (_, reason) in unreadable_files().items()
    }
    assert not {row["image_id"] for row in rows_of(tmp_path / "out", "train")} & set(extra)


def test_a_names_table_of_ones_own_is_used(tree: Path, tmp_path: Path) -> None:
    table = names_table(tmp_path / "names.tsv", changes={(WNIDS[0], "el"): "Τίγκα"})
    manifest = build(tree, tmp_path / "out", names=table, rows={"train": 60, "validation": 0, "test": 0})
    words = [word["text"] for row in rows_of(tmp_path / "out", "train") for word in row["words"]]
    assert "Τίγκα" in words
    assert read_names().names["el"][0] not in words
    assert manifest.identity.spec["translations"] == "table"


def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def few(tmp_path: Path) -> Path:
    return imagenet_tree(tmp_path / "few", pictures=2, odd=False)


def unnamed(tmp_path: Path) -> Path:
    return imagenet_tree(tmp_path / "unnamed", extra={"n99999999/x.JPEG": encoded(picture())})


def unreadable(tmp_path: Path) -> Path:
    return imagenet_tree(
        tmp_path / "unreadable", extra={f"n02123045/{index}.JPEG": b"no picture" for index in range(3)}
    )


@pytest.mark.parametrize(
    ("images", "kind", "message"),
    [
        (lambda tmp_path: tmp_path / "nowhere", SourceError, "there is no image folder .*nowhere"),
        (empty, SourceError, "no class folders named by wnid .*got an empty folder"),
        (few, SourceError, "too few images for 3 splits .*n01440764.*got 2 files"),
        (unnamed, SourceError, "no line for 1 of the classes .*got no line .n99999999"),
        (unreadable, SourceError, "no readable image .*n02123045"),
    ],
)
def test_bad_images_are_errors_that_name_the_place(
    tmp_path: Path, images: Callable[[Path], Path], kind: type[SymileDataError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        build(images(tmp_path), tmp_path / "out", rows={"train": 200, "validation": 20, "test": 20})
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert (tmp_path / "out").exists() == (images is unreadable)  # found only when its pictures are read


def test_a_class_that_imagenet_lacks_is_refused_although_it_has_names(tmp_path: Path) -> None:
    images = unnamed(tmp_path)
    table = names_table(tmp_path / "names.tsv")
    table.write_text(table.read_text(encoding="utf-8") + "n99999999\tgriffin\tγρύπας\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"none of the 1000 classes of ImageNet-1k \(.*/unnamed\); got n99999999"):
        build(images, tmp_path / "out", names=table)


def test_a_names_table_with_a_fault_is_refused_before_anything_is_written(tree: Path, tmp_path: Path) -> None:
    table = names_table(tmp_path / "names.tsv", changes={(WNIDS[2], "el"): "", (WNIDS[1], "en"): ""})
    with pytest.raises(
        SourceError,
        match=rf"2 empty cells \(.*names.tsv\); got line 3, column en \({WNIDS[1]}\); line 4, column el "
        rf"\({WNIDS[2]}\). Give the names, or leave these classes out with `skip_unnamed_classes`",
    ):
        build(tree, tmp_path / "out", names=table)
    assert not (tmp_path / "out").exists()


def test_more_words_than_languages_are_refused_before_anything_is_written(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 words cannot all have different languages; got 2 languages"):
        build(tree, tmp_path / "out", words=3)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": {"train": -1, "validation": 0, "test": 0}}, r"`rows\['train'\]` is a number from 0 to .*; got -1"),
        ({"rows": {"train": 9, "validation": 10**20, "test": 0}}, r"`rows\['validation'\]` is a number from 0 to 1,0"),
        ({"rows": {"train": 0, "validation": 5, "test": 5}}, "a dataset needs training rows"),
        ({"split_policy": "none"}, "unknown `split_policy`; got 'none'"),
        ({"missing": {"image": 2.0}}, "missing rate of image is outside"),
        ({"image_size": 1}, "at least 16; got 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tree: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        spec(tree, **changes)


def test_another_specification_in_the_same_directory_is_refused_by_name(plain: Path, tree: Path) -> None:
    before = contents(plain)
    with pytest.raises(
        OutputError, match=r"finished dataset with other settings.*spec.rows.train: 13, not 12.*seed: 5, not 0"
    ):
        build(tree, plain, seed=5, rows=ROWS | {"train": 13})
    assert contents(plain) == before


def test_other_images_in_the_same_directory_are_refused(plain: Path, tmp_path: Path) -> None:
    other = imagenet_tree(tmp_path / "tree", extra={f"{WNIDS[0]}/new.JPEG": encoded(picture(5))})
    with pytest.raises(OutputError, match=r"sources.images.files: 37, not 36; sources.images.listing"):
        build(other, plain)


def test_row_groups_are_small(tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "out", rows={"train": 120, "validation": 0, "test": 0})
    metadata = pq.ParquetFile(tmp_path / "out" / "data" / "train-00000-of-00001.parquet").metadata
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [50, 50, 20]
