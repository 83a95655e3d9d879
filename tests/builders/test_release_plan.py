"""The published dataset rebuilt from its tables: row for row, the media found by their names, missing ones counted."""

import csv
from pathlib import Path
from typing import Any

import pytest
from factories import contents, problems, rows_of
from release_files import CLIPS, CSV_COLUMNS, IMAGES, csv_row, translations, write_plan, write_sources

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.m3.build import build_m3
from symile_data.builders.m3.release import plan as release_plan
from symile_data.builders.m3.release import tables
from symile_data.builders.m3.release.plan import PlannedRows
from symile_data.builders.m3.spec import M3Spec
from symile_data.cards import write_card
from symile_data.errors import OutputError, SourceError, UsageError
from symile_data.files import pretty_json
from symile_data.format import manifest as manifests

pytestmark = pytest.mark.usefixtures("no_figures")

ROWS = {"train": range(130), "val": range(1000, 1009), "test": range(2000, 2007)}
OURS = {"train": "train", "validation": "val", "test": "test"}


def plan_rows() -> dict[str, list[dict[str, Any]]]:
    return {split: [csv_row(number) for number in numbers] for split, numbers in ROWS.items()}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Tables, names and sources, to be changed."""
    write_plan(tmp_path / "csv", plan_rows())
    (tmp_path / "translations.json").write_text(pretty_json(translations()), encoding="utf-8")
    write_sources(tmp_path)
    return tmp_path


def rebuilt(place: Path, out: str = "out", **changes: Any) -> manifests.Manifest:
    workers, write_card = changes.pop("workers", 1), changes.pop("write_card", no_card)
    settings: dict[str, Any] = {
        "languages": ("el", "en"), "words": 2, "plan": place / "csv", "images": place / "imagenet",
        "audio": "common-voice", "recordings": place / "cv", "names": place / "translations.json",
    }  # fmt: skip
    return build_m3(M3Spec(**(settings | changes)), place / out, workers=workers, write_card=write_card)


def test_every_row_is_the_tables(place: Path) -> None:
    manifest = rebuilt(place, write_card=write_card)
    assert manifest.splits == {"train": 130, "validation": 9, "test": 7}
    assert manifest.dropped == []
    first = 0
    plan = plan_rows()
    for split, theirs in OURS.items():
        for number, row in enumerate(rows_of(place / "out", split)):
            expected = plan[theirs][number]
            assert {name: row[name] for name in ("lang", "text", "cls", "cls_id", "target_text")} == {
                name: expected[name] for name in ("lang", "text", "cls", "cls_id", "target_text")
            }
            assert row["sample_id"] == first + number
            assert row["image_id"] == "/".join(expected["image_path"].split("/")[-2:])
            assert row["image"]["bytes"] == (place / "imagenet" / row["image_id"]).read_bytes()
            assert row["clip_id"] == expected["audio_filename"]
            assert [word["text"] for word in row["words"]] == row["text"].split("_")
            assert all(word["lang"] in ("el", "en") for word in row["words"])
        first += len(rows_of(place / "out", split))
    assert problems(place / "out") == []
    card = (place / "out" / "README.md").read_text(encoding="utf-8")
    assert "The rows, their order and their texts come from a published plan" in card
    assert "license: cc-by-nc-sa-4.0" in card


@pytest.mark.parametrize("layout", ["shards", "pooled"])
def test_pieces_workers_and_layouts_tell_the_same_rows(
    place: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilt(place, "whole")
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 1500)
    monkeypatch.setattr(release_plan, "_ROWS_PER_GROUP", 9)
    rebuilt(place, "pieces", layout=layout)
    if layout == "shards":
        assert contents(place / "pieces") == contents(place / "whole")
    names = ("text", "words", "image_id", "clip_id", "sample_id")
    for split in OURS:
        one, other = (rows_of(place / name, split) for name in ("whole", "pieces"))
        assert [[row[name] for name in names] for row in one] == [[row[name] for name in names] for row in other]


def test_any_range_of_rows_can_be_taken_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_plan, "_ROWS_PER_GROUP", 9)
    taken: list[tuple[int, int, Any]] = []
    original = PlannedRows.rows

    def noted(self: PlannedRows, start: int, stop: int) -> Any:
        found = original(self, start, stop)
        if self.split == "train" and not taken:
            for low, high in ((0, 1), (8, 10), (9, 18), (5, 61), (129, 130), (0, 130)):
                taken.append((low, high, original(self, low, high).labels["text"].to_pylist()))
        return found

    monkeypatch.setattr(PlannedRows, "rows", noted)
    rebuilt(place)
    texts = [row["text"] for row in plan_rows()["train"]]
    assert taken
    assert all(found == texts[low:high] for low, high, found in taken)


def test_media_that_are_not_there_leave_their_rows_and_are_counted(place: Path) -> None:
    lost = sorted((place / "imagenet").rglob("*.JPEG"))[0]
    lost.unlink()
    (place / "cv" / "el" / "clips" / "common_voice_el_2.mp3").write_bytes(b"no mp3")
    manifest = rebuilt(place)
    assert manifest.splits["train"] == 130
    rows = [row for split in OURS for row in rows_of(place / "out", split)]
    expected = [row for theirs in OURS.values() for row in plan_rows()[theirs]]
    without = [lost.name in row["image_path"] for row in expected]
    assert [row["image_missing"] for row in rows] == without
    assert [row["image"] is None for row in rows] == [row["image_id"] is None for row in rows] == without
    silent = ["common_voice_el_2" in row["audio_path"] for row in expected]
    assert [row["audio_missing"] for row in rows] == silent
    assert {entry.reason: entry.count for entry in manifest.dropped} == {
        "image: rows of the plan whose image does not exist; the modality is missing in them": sum(without),
        "audio: does not decode": 1,
    }
    assert manifest.dropped[0].examples == [f"{lost.parent.name}/{lost.name}"]
    assert problems(place / "out") == []


def test_strict_stops_at_a_medium_that_is_not_there(place: Path) -> None:
    lost = sorted((place / "imagenet").rglob("*.JPEG"))[0]
    data = lost.read_bytes()
    lost.unlink()
    with pytest.raises(SourceError, match=rf"the image files of .* of the plan do not exist .*{lost.name}"):
        rebuilt(place, strict=True)
    lost.write_bytes(data[:50])
    with pytest.raises(
        SourceError, match=rf"an image or a recording that the plan names cannot be used; got .*{lost.name}"
    ):
        rebuilt(place, "other", strict=True)


def test_sources_of_another_dataset_are_noticed(place: Path) -> None:
    for path in (place / "cv").rglob("*.mp3"):
        path.rename(path.with_name(f"other_{path.name}"))
    with pytest.raises(SourceError, match="none of the plan's recordings exists"):
        rebuilt(place)


def test_a_plan_without_test_or_a_single_file_is_enough(place: Path) -> None:
    (place / "csv" / "test.csv").unlink()
    assert rebuilt(place).splits == {"train": 130, "validation": 9}
    assert rebuilt(place, "single", plan=place / "csv" / "train.csv").splits == {"train": 130}


@pytest.mark.parametrize("column", [name for name in CSV_COLUMNS if name != "audio_filename"])
def test_a_missing_column_is_named(place: Path, column: str) -> None:
    write_plan(place / "csv", plan_rows(), [name for name in CSV_COLUMNS if name != column])
    with pytest.raises(SourceError) as caught:
        rebuilt(place)
    assert str(caught.value).startswith(f"the plan has no column {column} ({place / 'csv' / 'train.csv'}); got ")


def test_names_with_commas_and_quotes_are_read(place: Path) -> None:
    rows = plan_rows()
    for row in rows["train"]:
        row["cls"] = 'a "quoted", name'
    write_plan(place / "csv", rows)
    rebuilt(place)
    assert {row["cls"] for row in rows_of(place / "out", "train")} == {'a "quoted", name'}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cls_id": 3}, "a row's class id is not the position of its image's folder in ILSVRC's order"),
        ({"cls_id": ""}, "a row's class id is not the position of its image's folder in ILSVRC's order"),
        ({"cls_id": "three"}, "the plan is not a readable CSV file"),
        ({"image_path": "picture.JPEG"}, "a path does not name a folder and a file"),
    ],
)
def test_a_row_that_is_wrong_is_named(place: Path, changes: dict[str, Any], message: str) -> None:
    rows = plan_rows()
    rows["train"][5].update(changes)
    write_plan(place / "csv", rows)
    with pytest.raises(SourceError) as caught:
        rebuilt(place)
    assert str(caught.value).startswith(message)
    if "readable" not in message:
        assert "train.csv, line 7" in str(caught.value)


def test_plans_that_are_none(place: Path, tmp_path: Path) -> None:
    (place / "empty").mkdir()
    with (place / "csv" / "val.csv").open("w", newline="") as file:
        csv.DictWriter(file, CSV_COLUMNS).writeheader()
    for plan, message in (
        (place / "nowhere", "there is no plan"),
        (place / "empty", "the plan's folder has no train.csv"),
        (place / "csv" / "test.csv", "a dataset needs training rows"),
        (place / "csv", "a table of the plan has no rows"),
    ):
        with pytest.raises(SourceError, match=message):
            rebuilt(place, plan=plan)
    for changes in ({"images": None}, {"audio": "espeak", "recordings": None}, {"manual": place / "x"}):
        with pytest.raises(UsageError, match="`plan`"):
            rebuilt(place, **changes)
    assert not (place / "out").exists()


def test_another_plan_is_another_build(place: Path) -> None:
    rebuilt(place)
    rows = plan_rows()
    rows["train"] = rows["train"][::-1]
    write_plan(place / "csv", rows)
    with pytest.raises(OutputError, match=r"sources.names.plan.train"):
        rebuilt(place)


def test_every_medium_of_the_miniature_is_used() -> None:
    named = {row["image_path"].rpartition("/")[2] for rows in plan_rows().values() for row in rows}
    assert len(named) == len(IMAGES)
    assert len({row["audio_path"] for rows in plan_rows().values() for row in rows}) == len(CLIPS)
