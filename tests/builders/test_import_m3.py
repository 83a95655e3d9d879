"""The published release becomes a dataset of ours: its rows as they are, words told apart, repeats seen, resumable."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import Audio, load_dataset
from factories import contents, problems, rows_of
from fsspec.implementations.local import LocalFileSystem
from huggingface_hub import HfFileSystem
from release_files import CONFIG, SPLITS, release_rows, translations, write_release

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.m3.release import import_release
from symile_data.builders.m3.release.files import read_rows
from symile_data.builders.m3.release.import_release import import_m3
from symile_data.cards import write_card
from symile_data.cards.preview import write_preview
from symile_data.datasets.m3.names import imagenet_classes
from symile_data.datasets.m3.schema import m3_schema
from symile_data.errors import SourceError, SymileDataError, UsageError
from symile_data.format import manifest as manifests
from symile_data.loaders import open_split

pytestmark = pytest.mark.usefixtures("no_figures")

OURS = {"train": "train", "validation": "val", "test": "test"}


def imported(place: Path | str, out: Path, **options: Any) -> manifests.Manifest:
    settings = {"config": None, "rows": None, "names": None, "workers": 1, "write_card": no_card}
    return import_m3(str(place), out, **(settings | options))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature release; not to be changed."""
    return write_release(tmp_path_factory.mktemp("release") / "symile m3")


@pytest.fixture(scope="module")
def whole(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of it, imported with its card; not to be changed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    imported(release, out, write_card=write_card, config="2-xs")
    return out


def test_every_row_is_the_releases(whole: Path) -> None:
    wnids, _ = imagenet_classes()
    first = 0
    for split, theirs in OURS.items():
        rows, expected = rows_of(whole, split), release_rows(theirs)
        assert len(rows) == len(expected) == SPLITS[theirs]
        for number, (row, original) in enumerate(zip(rows, expected, strict=True)):
            assert {name: row[name] for name in original} == original
            assert row["sample_id"] == first + number
            assert row["wnid"] == wnids[row["cls_id"]]
            assert row["image_id"] == hashlib.sha256(original["image"]["bytes"]).hexdigest()[:32]
            assert row["clip_id"] == hashlib.sha256(original["audio"]["bytes"]).hexdigest()[:32]
            assert (row["image_missing"], row["audio_missing"], row["text_missing"]) == (False, False, False)
        first += SPLITS[theirs]


def test_words_are_told_apart_by_the_releases_own_names(whole: Path) -> None:
    names = {entry[lang]: (lang, entry["cls_id"]) for entry in translations().values() for lang in ("el", "en")}
    for row in rows_of(whole, "train"):
        assert [(word["text"], word["lang"], word["cls_id"]) for word in row["words"]] == [
            (text, *names[text]) for text in row["text"].split("_")
        ]
    assert manifests.read(whole).dropped == []


def test_an_imported_dataset_verifies_loads_and_says_where_it_comes_from(whole: Path, tmp_path: Path) -> None:
    assert problems(whole) == []
    assert pq.read_schema(whole / "data" / "train-00000-of-00001.parquet").equals(m3_schema().arrow)
    card = (whole / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-nc-sa-4.0" in card
    assert "the published Symile-M3 release" in card
    loaded = load_dataset(str(whole), cache_dir=str(tmp_path))
    first = loaded["train"].cast_column("audio", Audio(decode=False))[0]
    assert soundfile.info(io.BytesIO(first["audio"]["bytes"])).format == "MP3"
    split = open_split(whole, "train")
    assert split.rows == SPLITS["train"]
    assert len(set(split.read_all(["image_id"])["image_id"].to_pylist())) == 10


@pytest.fixture
def alone(release: Path, tmp_path: Path) -> Path:
    """A configuration alone, without translations.json beside its files."""
    folder = tmp_path / "alone" / CONFIG
    folder.mkdir(parents=True)
    for path in (release / CONFIG).iterdir():
        os.link(path, folder / path.name)
    return folder


def test_the_bundled_names_resolve_what_they_know_and_the_rest_is_counted(alone: Path, tmp_path: Path) -> None:
    manifest = imported(alone, tmp_path / "out")
    rows = [row for split in OURS for row in rows_of(tmp_path / "out", split)]
    unknown = [word["text"] for row in rows for word in row["words"] if word["lang"] is None]
    assert unknown
    assert all(text.endswith("(el)") for text in unknown)
    (dropped,) = manifest.dropped
    assert dropped.reason == "text: a word not in the names table; its language and class are null"
    assert dropped.count == len(unknown)
    assert set(dropped.examples) <= set(unknown)
    for row in rows:  # the target is always known: the row says it
        assert [word for word in row["words"] if word["lang"] == row["lang"]] == [
            {"text": row["target_text"], "lang": row["lang"], "cls_id": row["cls_id"]}
        ]
    assert problems(tmp_path / "out") == []
    assert open_split(tmp_path / "out", "test").rows == SPLITS["test"]


def test_unknown_words_have_a_place_in_card_and_preview(alone: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "out", tmp_path / "page.html"
    imported(alone, out, write_card=write_card)
    words = [word for row in rows_of(out, "train") for word in row["words"]]
    unknown = [word for word in words if word["lang"] is None]
    statistics = json.loads((out / "stats.json").read_text(encoding="utf-8"))
    counted = statistics["words"]["train"]
    assert unknown
    assert sum(of["words"] for part in ("target", "distractor") for of in counted[part].values()) == len(words) - len(
        unknown
    )
    assert counted["lengths"] == {"2": SPLITS["train"]}
    shown = [word for sample in statistics["samples"] for word in sample["words"] if word["lang"] is None]
    assert shown
    assert {word["english"] for word in shown} == {""}
    write_preview(out, page, count=SPLITS["train"])
    html = page.read_text(encoding="utf-8")
    assert f'<li><bdi lang="">{unknown[0]["text"]}</bdi></li>' in html
    assert ">None<" not in html


@pytest.mark.parametrize("card", [True, False])
def test_the_first_rows_are_those_of_the_whole(whole: Path, tmp_path: Path, card: bool) -> None:
    place = write_release(tmp_path / "release", card=card)
    imported(place, tmp_path / "out", rows=11)
    assert {split: len(rows_of(tmp_path / "out", split)) for split in OURS} == {
        "train": 11, "validation": 11, "test": 10,
    }  # fmt: skip
    for split in OURS:
        some = rows_of(tmp_path / "out", split)
        assert some == rows_of(whole, split)[: len(some)]


def test_a_file_that_was_not_downloaded_is_named_unless_it_is_not_needed(tmp_path: Path) -> None:
    place = write_release(tmp_path / "release")
    (place / CONFIG / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(SourceError) as caught:
        imported(place, tmp_path / "out")
    assert str(caught.value) == (
        f"a file of the release is missing ({place}); got train-00001-of-00002.parquet. "
        "Download it, or ask for fewer rows (`rows=115`)."
    )
    assert imported(place, tmp_path / "out", rows=100).splits["train"] == 100


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.usefixtures("shared_workers")
def test_neither_workers_nor_file_layout_change_the_shards(
    whole: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write_release(tmp_path / "release", files=3, group=7)
    imported(place, tmp_path / "out", workers=workers)
    for split in OURS:
        assert rows_of(tmp_path / "out", split) == rows_of(whole, split)
    name = "data/train-00000-of-00001.parquet"
    assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes()


def test_an_interrupted_import_goes_on(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_release, "ROWS_PER_SHARD", 50)
    imported(release, tmp_path / "straight")
    original, calls = read_rows, iter(range(3))

    def failing(*arguments: Any) -> Any:
        if next(calls, None) is None:
            raise SourceError("the network went away")
        return original(*arguments)

    monkeypatch.setattr(import_release, "read_rows", failing)
    with pytest.raises(SourceError, match="went away"):
        imported(release, tmp_path / "out")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "data").iterdir()}
    assert len(made) == 3
    monkeypatch.setattr(import_release, "read_rows", original)
    imported(release, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")
    assert {path: path.stat().st_mtime_ns for path in made} == made


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Path]:
    """A folder that answers for hf://datasets/someone/symile-m3@main."""

    class FolderHub(LocalFileSystem):
        protocol = "hf"

        @classmethod
        def _strip_protocol(cls, path: Any) -> str:
            return str(path).replace("hf://datasets/someone/symile-m3@main", str(tmp_path / "hub"))

    fsspec.register_implementation("hf", FolderHub, clobber=True)
    yield tmp_path / "hub"
    fsspec.register_implementation("hf", HfFileSystem, clobber=True)


def test_a_repository_of_the_hub_is_read_through_its_file_system(whole: Path, hub: Path, tmp_path: Path) -> None:
    write_release(hub, files=4)
    (hub / CONFIG / "train-00003-of-00004.parquet").write_bytes(b"")  # not needed for 20 rows, so never opened
    manifest = imported("hf:someone/symile-m3@main", tmp_path / "out", config="2-xs", rows=20)
    assert manifest.identity.sources["images"]["release"] == "someone/symile-m3@main"
    assert str(tmp_path) not in json.dumps(manifest.to_json())
    assert rows_of(tmp_path / "out", "train") == rows_of(whole, "train")[:20]
    assert problems(tmp_path / "out") == []


def test_missing_media_are_null_marked_and_counted(tmp_path: Path) -> None:
    rows = {split: release_rows(split) for split in SPLITS}
    rows["train"][3]["image"] = None
    rows["train"][4]["audio"] = {"bytes": None, "path": "x.mp3"}
    manifest = imported(write_release(tmp_path / "release", rows=rows), tmp_path / "out")
    found = rows_of(tmp_path / "out", "train")
    assert [row["image_missing"] for row in found[:6]] == [False, False, False, True, False, False]
    assert (found[3]["image"], found[3]["image_id"], found[4]["audio"], found[4]["clip_id"]) == (None,) * 4
    assert [(entry.reason, entry.count) for entry in manifest.dropped] == [
        ("audio: absent in the release", 1), ("image: absent in the release", 1),
    ]  # fmt: skip
    assert problems(tmp_path / "out") == []


def broken(tmp_path: Path, change: Any) -> Path:
    rows = {split: release_rows(split) for split in SPLITS}
    change(rows["train"][7])
    return write_release(tmp_path / "release", rows=rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.update(cls_id=1000), "a class id is not in 0 to 999 (train, row 7); got 1000."),
        (
            lambda row: row.update(lang="fr"),
            "a row is in a language that the configuration does not have (train, rows 0 to 49); got 'fr'.",
        ),
    ],
)
def test_a_row_that_cannot_be_one_of_the_release_is_named(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        imported(broken(tmp_path, change), tmp_path / "out")
    assert str(caught.value) == message


def test_places_that_are_no_release_are_told_apart(release: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "two" / "symile-m3-2-s").mkdir(parents=True)
    (tmp_path / "two" / "symile-m3-5-s").mkdir()
    for place, options, kind, message in (
        (tmp_path / "nowhere", {}, SourceError, "there is no release"),
        (tmp_path / "other", {}, SourceError, "this is not a Symile-M3 release: it has no folder symile-m3-..."),
        (tmp_path / "two", {}, UsageError, "the release has several configurations"),
        (release, {"config": "10-l"}, SourceError, "the release has no such configuration"),
        (tmp_path / "two", {"config": "5-s"}, SourceError, "the release has no train-*.parquet files"),
        (release, {"rows": 0}, UsageError, "`rows` is a number of rows"),
    ):
        with pytest.raises(kind) as caught:
            imported(place, tmp_path / "out", **options)
        assert isinstance(caught.value, SymileDataError)
        assert str(caught.value).startswith(message)
    assert not (tmp_path / "out").exists()


def test_a_release_with_other_columns_or_broken_files_is_refused(tmp_path: Path) -> None:
    place = write_release(tmp_path / "release")
    path = place / CONFIG / "test-00001-of-00002.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["target_text", "cls"]), path)
    with pytest.raises(SourceError, match=r"the release has no column cls, target_text .*test-00001"):
        imported(place, tmp_path / "out")
    path.write_bytes(b"PAR1 but not really PAR1")
    with pytest.raises(SourceError, match=r"cannot read the release .*test-00001.*ArrowInvalid"):
        imported(place, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entries: "[]", "this is not the release's translations.json"),
        (lambda entries: "{", "this is not the release's translations.json"),
        (
            lambda entries: json.dumps({"x": {"synset_id": "n9", "cls_id": 0, "el": "a", "en": "b"}}),
            "a class is not one of",
        ),
        (
            lambda entries: json.dumps({"x": {"synset_id": "n01440764", "cls_id": 5, "el": "a", "en": "b"}}),
            "a class id is not the position of the class in ILSVRC's order",
        ),
        (
            lambda entries: json.dumps({"x": {"synset_id": "n01440764", "cls_id": 0, "en": "b"}}),
            "the translations have no names in a language",
        ),
    ],
)
def test_translations_are_checked(tmp_path: Path, change: Any, message: str) -> None:
    place = write_release(tmp_path / "release")
    (place / "translations.json").write_text(change(translations()), encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        imported(place, tmp_path / "out")
    assert str(caught.value).startswith(message)
