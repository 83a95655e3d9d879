"""Classes that lack a name in a language of the build are left out when asked, whatever the images' source."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from factories import WNIDS, build, contents, encoded, imagenet_tree, names_table, picture, problems, rows_of, spec

from symile_data.builders.m3 import build as builds
from symile_data.builders.m3 import sources
from symile_data.builders.m3.estimate.estimate import estimate_m3
from symile_data.builders.m3.images import sample as sample_images
from symile_data.builders.m3.images.hub import HubImages
from symile_data.builders.m3.images.sample import sample_classes
from symile_data.builders.m3.sources import open_sources
from symile_data.builders.m3.text.translate import translate_names
from symile_data.cli.build_options.m3 import m3_request
from symile_data.errors import OutputError, SourceError, UsageError
from symile_data.format.manifest import Manifest

ROWS = {"train": 30, "validation": 6, "test": 6}
KEPT = (WNIDS[0], WNIDS[3])
NO_LINE = "n02123045"  # a class of ImageNet


def table(path: Path, changes: Mapping[tuple[str, str], str] | None = None) -> Path:
    """Of `WNIDS`, with holes in the two classes that are not in `KEPT`."""
    holes = {(WNIDS[1], "el"): "", (WNIDS[2], "el"): " ", (WNIDS[2], "en"): ""}
    return names_table(path, changes=holes | dict(changes or {}))


def left_out(manifest: Manifest) -> dict[str, tuple[int | None, list[str]]]:
    return {entry.reason: (entry.count, entry.examples) for entry in manifest.dropped}


def shards(directory: Path) -> dict[str, bytes]:
    return {path: data for path, data in contents(directory).items() if path.startswith("data/")}


def repository(folder: Path) -> HubImages:
    """A local folder of the Hub's form with pictures of `WNIDS` and `NO_LINE`, and a label without pictures."""
    labels = (*WNIDS, NO_LINE, "n02123159")
    rows = [{"image": {"bytes": encoded(picture(i)), "path": None}, "label": i % 5} for i in range(30)]
    (folder / "data").mkdir(parents=True)
    plain = Features({"image": Image(decode=False), "label": Value("int64")})
    Dataset.from_list(rows, features=plain).cast(
        Features({"image": Image(), "label": ClassLabel(names=list(labels))})
    ).to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    return HubImages(str(folder))


def test_a_folder_without_the_unnamed_classes_gives_the_same_rows(tmp_path: Path) -> None:
    names = table(tmp_path / "names.tsv")
    whole = imagenet_tree(tmp_path / "whole", wnids=(*WNIDS[:2], NO_LINE, *WNIDS[2:]))
    skipped = build(whole, tmp_path / "out", rows=ROWS, names=names, skip_unnamed_classes=True)
    assert problems(tmp_path / "out") == []
    few = tmp_path / "few"
    for wnid in KEPT:
        shutil.copytree(whole / wnid, few / wnid)
    build(few, tmp_path / "plain", rows=ROWS, names=names)
    assert shards(tmp_path / "out") == shards(tmp_path / "plain")
    assert {row["wnid"] for row in rows_of(tmp_path / "out", "train")} == set(KEPT)
    assert left_out(skipped) == {
        "class without a name in el": (3, [WNIDS[1], NO_LINE, WNIDS[2]]),
        "class without a name in en": (2, [NO_LINE, WNIDS[2]]),
    }
    assert skipped.identity.spec["skip_unnamed_classes"] is True
    assert skipped.identity.sources["images"]["classes"] == 2
    assert skipped.notes[0] == (  # the card shows all notes
        "3 of the 5 classes of the images are left out for want of a name in a language of the build."
    )


def test_without_the_option_all_of_a_folder_is_told(tmp_path: Path) -> None:
    folder = imagenet_tree(tmp_path / "tree", wnids=(*WNIDS, NO_LINE))
    with pytest.raises(SourceError, match=r"3 empty cells and no line for 1 of the classes .*`skip_unnamed_classes`"):
        build(folder, tmp_path / "out", names=table(tmp_path / "names.tsv"))
    assert not (tmp_path / "out").exists()


def test_other_builds_keep_their_identity(tree: Path) -> None:
    plain = open_sources(spec(tree)).identity
    assert "skip_unnamed_classes" not in plain.spec
    assert set(plain.sources["names"]) == {"kind", "table"}
    skipping = open_sources(spec(tree, skip_unnamed_classes=True))
    assert skipping.identity.fingerprint != plain.fingerprint
    assert (skipping.names.left_out, skipping.names.notes) == ([], [])


def test_the_same_names_of_other_classes_are_another_build(tmp_path: Path) -> None:
    """Names given to one class in the place of another are the same list of names."""
    folder = imagenet_tree(tmp_path / "tree", odd=False)
    one = names_table(
        tmp_path / "one.tsv", changes={(WNIDS[3], "el"): "", (WNIDS[2], "el"): "α", (WNIDS[2], "en"): "a"}
    )
    other = names_table(
        tmp_path / "other.tsv", changes={(WNIDS[2], "el"): "", (WNIDS[3], "el"): "α", (WNIDS[3], "en"): "a"}
    )
    first, second = (open_sources(spec(folder, names=names, skip_unnamed_classes=True)) for names in (one, other))
    assert first.names.chosen == second.names.chosen
    assert first.identity.sources["names"] != second.identity.sources["names"]
    build(folder, tmp_path / "out", names=one, skip_unnamed_classes=True)
    with pytest.raises(OutputError, match=r"sources.names.classes"):
        build(folder, tmp_path / "out", names=other, skip_unnamed_classes=True)


def test_sample_images_of_unnamed_classes_are_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw(wnid: str, seed: int, numbers: Sequence[int]) -> list[tuple[str, bytes]]:
        drawn.append(wnid)
        files = {number: encoded(picture(100 * len(drawn) + number)) for number in numbers}
        return [(f"{sample_images.LAYOUT}/{wnid}/{wnid}_{number:04d}.JPEG", data) for number, data in files.items()]

    monkeypatch.setattr(builds, "draw_class", draw)
    wnids = list(sample_classes())[:4]
    names = names_table(tmp_path / "names.tsv", wnids=wnids, changes={(wnids[1], "en"): ""})
    manifest = build(None, tmp_path / "out", rows=ROWS, names=names, skip_unnamed_classes=True)
    assert problems(tmp_path / "out") == []
    assert drawn == [wnids[0], *wnids[2:]]
    assert {row["wnid"] for row in rows_of(tmp_path / "out", "train")} == set(drawn)
    without = [wnid for wnid in sample_classes() if wnid not in wnids]
    assert left_out(manifest) == {
        "class without a name in el": (len(without), without),
        "class without a name in en": (len(without) + 1, [wnids[1], *without]),
    }


@pytest.mark.usefixtures("no_network")
def test_a_repository_is_streamed_and_its_unnamed_classes_left_out(tmp_path: Path) -> None:
    repo = repository(tmp_path / "pictures")
    names = table(tmp_path / "names.tsv")
    with pytest.raises(SourceError, match=r"3 empty cells and no line for 2 of the classes .*`skip_unnamed_classes`"):
        build(repo, tmp_path / "out", names=names)
    manifest = build(repo, tmp_path / "out", rows=ROWS, names=names, skip_unnamed_classes=True)
    assert problems(tmp_path / "out") == []
    assert {row["wnid"] for row in rows_of(tmp_path / "out", "train")} == set(KEPT)
    assert left_out(manifest) == {  # the label without pictures is not among them
        "class without a name in el": (3, [WNIDS[1], NO_LINE, WNIDS[2]]),
        "class without a name in en": (2, [NO_LINE, WNIDS[2]]),
    }
    assert manifest.notes[0].startswith("3 of the 5 classes")


@pytest.mark.usefixtures("no_network")
def test_the_estimate_counts_the_classes_that_are_kept(tmp_path: Path) -> None:
    names = table(tmp_path / "names.tsv")
    folder = imagenet_tree(tmp_path / "tree", odd=False)
    many = {"train": 10_000, "validation": 100, "test": 100}
    repo = repository(tmp_path / "pictures")
    for images, classes in ((folder, 4), (repo, 6)):
        asked = spec(images, rows=many, names=names, skip_unnamed_classes=True)
        found = estimate_m3(asked, tmp_path / "out", workers=1)
        units = next(stage.units for stage in found.stages if stage.stage == "images")
        assert units == (2 * 5 if images is folder else 2 * 3)
        assert found.notes[0] == (
            f"{classes - 2} of the {classes} classes of the images are left out for want of a name in a language of "
            "the build"
        )
    wnids = list(sample_classes())[:3]
    drawn = spec(None, rows=many, names=names_table(tmp_path / "s.tsv", wnids=wnids), skip_unnamed_classes=True)
    found = estimate_m3(drawn, tmp_path / "out", workers=1)
    assert {stage.stage: stage.units for stage in found.stages}["drawing"] == 3 * sample_images.IMAGES_PER_CLASS


def test_names_by_hand_count_and_blank_ones_change_nothing(tree: Path, tmp_path: Path) -> None:
    manual = tmp_path / "manual.tsv"
    manual.write_text(f"wnid\ten\tel\n{WNIDS[1]}\t \tΨάρι\n{WNIDS[2]}\t\tΓάτα\n", encoding="utf-8")
    asked = spec(tree, names=table(tmp_path / "names.tsv"), manual=manual, skip_unnamed_classes=True)
    names = open_sources(asked).names
    assert names.wnids == [WNIDS[0], WNIDS[1], WNIDS[3]]
    assert names.corrected == 2
    assert [cls.languages for cls in names.unnamed] == [("en",)]


def test_an_engine_is_asked_for_the_kept_classes_only(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def translate(known: object, wnids: list[str], *_: object, **__: object) -> object:
        asked.append(wnids)
        return known, []

    monkeypatch.setattr(sources, translate_names.__name__, translate)
    names = table(tmp_path / "names.tsv")
    open_sources(spec(tree, names=names, engine="google", cache=tmp_path, skip_unnamed_classes=True))
    assert asked == [list(KEPT)]
    with pytest.raises(SourceError, match="leave these classes out with `skip_unnamed_classes`"):
        open_sources(spec(tree, names=names, engine="google", cache=tmp_path))
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {(WNIDS[0], "en"): ""},
            r"2 different words cannot be drawn from the classes that have a name in every language of the build "
            r"\(.*names.tsv\); got 1 of 4 classes. Give names for more classes.",
        ),
        ({(WNIDS[0], "en"): "", (WNIDS[3], "el"): ""}, r"got 0 of 4 classes"),
    ],
)
@pytest.mark.parametrize("mode", ["disjoint", "overlap"])
def test_too_few_classes_with_names_are_refused(
    tree: Path, tmp_path: Path, changes: dict[tuple[str, str], str], message: str, mode: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build(
            tree, tmp_path / "out", names=table(tmp_path / "names.tsv", changes), mode=mode, skip_unnamed_classes=True
        )
    assert not (tmp_path / "out").exists()


def test_too_few_classes_for_many_words_advise_fewer(tree: Path, tmp_path: Path) -> None:
    names = names_table(
        tmp_path / "names.tsv", languages=("en", "el", "uk"), changes={(WNIDS[i], "uk"): "" for i in (0, 1)}
    )
    asked = spec(tree, names=names, languages=("el", "en", "uk"), words=3, skip_unnamed_classes=True)
    with pytest.raises(UsageError, match=r"got 2 of 4 classes. Give names for more classes, or lower `words`."):
        open_sources(asked)
    assert len(open_sources(replace(asked, words=2)).names.wnids) == 2


def test_a_language_without_a_column_is_no_class_without_a_name(tree: Path, tmp_path: Path) -> None:
    asked = spec(tree, names=table(tmp_path / "names.tsv"), languages=("el", "en", "uk"), skip_unnamed_classes=True)
    with pytest.raises(SourceError, match=r"no column for a language .*got uk"):
        open_sources(asked)


@pytest.mark.parametrize("asked", [False, True])
def test_the_command_line_asks_for_it(tmp_path: Path, asked: bool) -> None:
    request = m3_request(out=tmp_path, langs="2", skip_unnamed_classes=asked)
    assert request.spec.skip_unnamed_classes is asked
    assert request.spec.to_json().get("skip_unnamed_classes", False) is asked


def test_a_published_plan_leaves_no_class_out(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`plan` brings its rows, so no class can be left out"):
        spec(tree, plan=tmp_path, audio="common-voice", recordings=tmp_path, skip_unnamed_classes=True)
