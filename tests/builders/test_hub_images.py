"""Images from a dataset with the columns image and label, streamed from a local folder of the Hub's form."""

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from factories import WNIDS, build, contents, encoded, picture, problems, rows_of

from symile_data.builders.m3.images import hub as hub_images
from symile_data.builders.m3.images.hub import HubImages, HubStream, first_images, open_hub, write_hub
from symile_data.datasets.m3.names import imagenet_classes
from symile_data.errors import SourceError

PICTURES = 24


def repository(folder: Path, names: tuple[str, ...] = WNIDS, bad: bool = False) -> Path:
    """Parquet with `PICTURES` rows of four classes."""
    where = [names.index(name) for name in (WNIDS if set(WNIDS) <= set(names) else names[:4])]
    rows = [{"image": {"bytes": encoded(picture(i)), "path": None}, "label": where[i % 4]} for i in range(PICTURES)]
    if bad:
        rows += [{"image": {"bytes": encoded(picture()), "path": None}, "label": -1}, {"image": None, "label": 0}]
    features = Features({"image": Image(), "label": ClassLabel(names=list(names))})
    (folder / "data").mkdir(parents=True)
    table = Dataset.from_list(rows, features=Features({"image": Image(decode=False), "label": Value("int64")}))
    table.cast(features).to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    return folder


@pytest.mark.usefixtures("no_network")
def test_a_repository_builds_like_a_folder(tmp_path: Path) -> None:
    repo = HubImages(str(repository(tmp_path / "pictures", bad=True)))
    rows = {"train": 60, "validation": 4, "test": 4}
    manifest = build(repo, tmp_path / "out", rows=rows)
    assert problems(tmp_path / "out") == []
    wnids, _ = imagenet_classes()
    given = {encoded(picture(i)): WNIDS[i % 4] for i in range(PICTURES)}
    for row in rows_of(tmp_path / "out", "train"):
        assert given[row["image"]["bytes"]] == row["wnid"] == wnids[row["cls_id"]]
    assert {entry.reason: entry.examples for entry in manifest.dropped} == {
        "image: no label": ["row 24"],
        "image: no image": ["row 25"],
    }
    assert manifest.identity.sources["images"]["repository"] == "pictures"
    assert str(tmp_path) not in (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")
    assert build(repo, tmp_path / "out", rows=rows) == manifest


@pytest.mark.parametrize(
    ("matter", "recorded"),
    [
        (None, {"licence": None}),
        ("tags: [images]", {"licence": None}),
        ("license: [mit, cc0-1.0]", {"licence": "mit, cc0-1.0"}),
        (
            "license: other\nlicense_name: imagenet-agreement\nlicense_link: https://example.org/terms",
            {"licence": "imagenet-agreement", "licence_link": "https://example.org/terms"},
        ),
        ("license: mit\nlicense_link: LICENSE", {"licence": "mit"}),
    ],
)
def test_the_licence_that_a_repository_states_is_recorded(
    tmp_path: Path, matter: str | None, recorded: dict[str, str | None]
) -> None:
    repo = repository(tmp_path / "pictures")
    if matter is not None:
        (repo / "README.md").write_text(f"---\n{matter}\n---\n# Pictures\n")
    found = open_hub(HubImages(str(repo))).fingerprint
    assert {name: value for name, value in found.items() if name.startswith("licence")} == recorded


def test_a_thousand_names_are_the_classes_in_order(tmp_path: Path) -> None:
    _, english = imagenet_classes()
    opened = open_hub(HubImages(str(repository(tmp_path / "pictures", tuple(english)))))
    assert opened.wnids == imagenet_classes()[0]
    assert write_hub(opened, tmp_path / "folder") == []
    folders = sorted(path.name for path in (tmp_path / "folder").iterdir() if path.is_dir())
    assert folders == list(opened.wnids[:4])


def test_an_interrupted_stream_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_images, "NOTED_ROWS", 5)
    opened = open_hub(HubImages(str(repository(tmp_path / "pictures"))))
    write_hub(opened, tmp_path / "whole")
    written: list[int] = []
    original = hub_images._write

    def stopping(folder: Path, opened: HubStream, number: int, row: dict[str, Any]) -> str | None:
        written.append(number)
        if len(written) == 13:
            raise KeyboardInterrupt
        return original(folder, opened, number, row)

    monkeypatch.setattr(hub_images, "_write", stopping)
    with pytest.raises(KeyboardInterrupt):
        write_hub(opened, tmp_path / "parts")
    write_hub(opened, tmp_path / "parts")
    assert written == [*range(13), *range(10, PICTURES)]
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


class Rows:
    """A stream whose iterators hold cycles, as those of `datasets` do."""

    def __init__(self, fails_at: int) -> None:
        self.fails_at = fails_at
        self.begun: list[weakref.ref[object]] = []

    def skip(self, _: int) -> "Rows":
        return self

    def __iter__(self) -> Iterator[dict[str, object]]:
        fragment = {PICTURES}
        cycle: list[Any] = [fragment]
        cycle.append(cycle)
        self.begun.append(weakref.ref(fragment))
        for number in range(PICTURES):
            if number == self.fails_at:
                raise KeyboardInterrupt
            yield {"image": {"bytes": encoded(picture(number)), "path": None}, "label": 0}
        del cycle


@pytest.mark.parametrize("fails_at", [3, PICTURES])
def test_nothing_holds_a_stream_that_was_left(tmp_path: Path, fails_at: int) -> None:
    opened = open_hub(HubImages(str(repository(tmp_path / "pictures"))))
    stream = Rows(fails_at)
    opened = replace(opened, stream=stream)
    assert len(first_images(opened, 2)) == 2
    if fails_at < PICTURES:
        with pytest.raises(KeyboardInterrupt) as kept:
            write_hub(opened, tmp_path / "folder")
        assert kept.value.__traceback__ is not None
    else:
        write_hub(opened, tmp_path / "folder")
    assert [fragment() for fragment in stream.begun] == [None, None]


def test_repositories_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"do not name classes of ImageNet .*got 4 names, such as a, b, c"):
        open_hub(HubImages(str(repository(tmp_path / "letters", ("a", "b", "c", "d")))))
    (tmp_path / "columns").mkdir()
    Dataset.from_dict({"picture": ["x"]}).to_parquet(tmp_path / "columns" / "train.parquet")
    with pytest.raises(SourceError, match=r"no column 'image' .*got picture"):
        open_hub(HubImages(str(tmp_path / "columns")))


@pytest.mark.usefixtures("no_network")
def test_a_repository_out_of_reach_is_an_error_with_advice() -> None:
    with pytest.raises(SourceError, match=r"cannot read the images from the hub \(nobody/nothing\).*check|Check"):
        open_hub(HubImages("nobody/nothing"))
