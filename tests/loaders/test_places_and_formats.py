"""The same split in every format and place: the same rows, the same batches, and no byte more than is asked."""

import shutil
import time

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from range_server import serving
from small_datasets import CLASSES, IMAGES, M3_FEATURES, m3_row, write_m3, write_vectors

from symile_data.errors import DamageError, UsageError
from symile_data.format import location as locations
from symile_data.format import manifest as manifests
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, Resources, open_split

SMALL = {"image": ImageSettings(size=8), "audio": AudioSettings(seconds=0.05)}
FORMATS = ("parquet", "webdataset")


def lacking(row):
    return (("image",) if row % 7 == 0 else ()) + (("text",) if row % 9 == 0 else ())


@pytest.fixture(scope="module", params=FORMATS)
def dataset(request, tmp_path_factory):
    """60 rows, twelve row groups, two shards."""
    return write_m3(tmp_path_factory.mktemp("m3"), 60, missing=lacking, shard_format=request.param)


@pytest.fixture(params=["path", "file", "memory", "http"])
def place(request, dataset):
    """Where the dataset is."""
    if request.param == "path":
        yield dataset
    elif request.param == "file":
        yield dataset.as_uri()
    elif request.param == "memory":
        memory = fsspec.filesystem("memory")
        memory.put(f"{dataset}/", "/places/m3", recursive=True)
        yield "memory://places/m3"
        memory.rm("/places", recursive=True)
    else:
        with serving(dataset) as (address, _):
            yield address


def batches(split, **settings):
    return list(BatchLoader(split, 7, transforms=SMALL, columns=["lang", "words"], seed=3, **settings))


def equal(one, two):
    return one.keys() == two.keys() and all(
        torch.equal(one[key], two[key]) if isinstance(one[key], torch.Tensor) else one[key] == two[key] for key in one
    )


def all_equal(ones, twos):
    return len(ones) == len(twos) and all(equal(one, two) for one, two in zip(ones, twos, strict=True))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The batches of the same rows in Parquet, here."""
    return batches(open_split(write_m3(tmp_path_factory.mktemp("reference"), 60, missing=lacking), "train"))


def test_batches_are_the_same_everywhere(place, reference):
    assert all_equal(batches(open_split(place, "train")), reference)


def test_any_place_resumes_exactly(place, reference):
    split = open_split(place, "train")
    loader = BatchLoader(split, 7, transforms=SMALL, columns=["lang", "words"], seed=3)
    stream = iter(loader)
    seen = [next(stream) for _ in range(3)]
    state = loader.state_dict()
    resumed = BatchLoader(split, 7, transforms=SMALL, columns=["lang", "words"], seed=3, resources=Resources(threads=3))
    resumed.load_state_dict(state)
    assert all_equal([*seen, *resumed], reference)


def test_decoded_caches_and_small_columns_too(place):
    split = open_split(place, "train")
    assert split.read_all(["sample_id"])["sample_id"].to_pylist() == list(range(1000, 1060))
    assert all_equal(batches(split, cache=True), batches(split))


def test_places_are_told_apart_in_messages(dataset):
    with serving(dataset) as (address, _):
        with pytest.raises(UsageError, match=rf"no such split \({address}\); got 'tets'. Choose among train"):
            open_split(address, "tets")
        split = open_split(address, "train")
        assert split.place(30).startswith("data/train-00001-of-00002.") and split.place(30).endswith(", row 0")


@pytest.mark.parametrize("shard_format", FORMATS)
def test_labels_cost_no_media(tmp_path, shard_format):
    heavy = {"bytes": IMAGES[0] + bytes(300_000), "path": None}
    write_m3(tmp_path, 20, change=lambda _, value: value | {"image": heavy}, shard_format=shard_format)
    with serving(tmp_path) as (address, served):
        split = open_split(address, "train")
        opened = sum(stop - start for _, start, stop in served)
        assert opened <= 2 * (1 << 16)
        served.clear()
        split.read(["cls_id", "sample_id", "image_missing"], 1)
        assert sum(stop - start for _, start, stop in served) < (1 << 16) + 5_000  # footer or index, and the labels
        served.clear()
        split.read(["cls_id"], 1)
        assert 0 < sum(stop - start for _, start, stop in served) < 5_000
        served.clear()
        split.read(["image"], 1)
        assert 5 * 300_000 < sum(stop - start for _, start, stop in served) < 5 * 301_000 + (1 << 16)
        assert len(served) <= 2


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_shard_that_disappears_in_mid_epoch_is_named_at_once(tmp_path, monkeypatch, shard_format):
    write_m3(tmp_path, 60, shard_format=shard_format)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))
    with serving(tmp_path) as (address, _):
        loader = BatchLoader(
            open_split(address, "train"), 5, transforms=SMALL, shuffle=False, resources=Resources(prefetch=0, threads=1)
        )
        stream = iter(loader)
        next(stream)
        shutil.rmtree(tmp_path / "data")
        with pytest.raises(DamageError, match=rf"a shard is missing \({address}/data/train-0000"):
            list(stream)


def test_a_server_without_ranges_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(locations, "RETRY_PAUSES_S", ())
    heavy = {"bytes": IMAGES[0] + bytes(50_000), "path": None}
    write_m3(tmp_path, 20, change=lambda _, value: value | {"image": heavy})
    monkeypatch.setattr("range_server.re.fullmatch", lambda *_: None)
    with serving(tmp_path) as (address, _), pytest.raises(DamageError, match="its server knows no ranges"):
        open_split(address, "train")


def test_an_unreachable_place_is_an_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(locations, "RETRY_PAUSES_S", ())
    with serving(tmp_path) as (address, _):
        pass
    with pytest.raises(DamageError, match=rf"the dataset's location cannot be read \({address}\); got"):
        open_split(address, "train")


@pytest.mark.parametrize("shard_format", FORMATS)
def test_without_a_manifest_shards_tell_what_they_are(place, tmp_path, shard_format):
    directory = write_vectors(tmp_path, 23, shard_format=shard_format)
    built = open_split(directory, "train")
    (directory / manifests.FILE_NAME).unlink()
    found = open_split(directory, "train")
    assert found.rows == 23 and found.spec == {}
    assert [m.column for m in found.modalities] == [m.column for m in built.modalities]
    one, two = BatchLoader(found, 4, shuffle=False), BatchLoader(built, 4, shuffle=False)
    assert all_equal(list(one), list(two))


RELEASED = ["lang", "audio", "image", "text", "cls", "cls_id", "target_text"]


def write_released(folder, rows=12, splits=("train", "val", "test")):
    """The columns of the published release: a plain int for the class, no ids, no masks, no manifest."""
    described = M3_FEATURES.arrow_schema
    fields = [described.field(name) if name in described.names else pa.field(name, pa.string()) for name in RELEASED]
    schema = pa.schema([pa.field("cls_id", pa.int64()) if f.name == "cls_id" else f for f in fields])
    for split in splits:
        values = [m3_row(row) | {"cls": CLASSES[m3_row(row)["cls_id"]]} for row in range(rows)]
        table = pa.Table.from_pylist([{name: value[name] for name in RELEASED} for value in values], schema=schema)
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet", row_group_size=5)


def check_released(split):
    assert [(m.name, m.kind) for m in split.modalities] == [("audio", "audio"), ("image", "image"), ("text", "text")]
    rows = [m3_row(row) for row in range(12)]
    batch = next(iter(BatchLoader(split, 12, transforms=SMALL, columns=["lang", "target_text"], shuffle=False)))
    assert batch["cls_id"].tolist() == [row["cls_id"] for row in rows]
    assert batch["text"] == [row["text"] for row in rows]
    assert batch["target_text"] == [row["target_text"] for row in rows]
    assert batch["sample_id"].tolist() == list(range(12)) and not batch["missing"].any()


def test_the_published_layout_opens_as_it_is(tmp_path):
    write_released(tmp_path / "data")
    check_released(open_split(tmp_path, "val"))
    with pytest.raises(UsageError, match="Choose among test, train, val"):
        open_split(tmp_path, "validation")


@pytest.mark.parametrize("inside", ["", "data"])
def test_configurations_are_folders(tmp_path, inside):
    for config in ("2_xs", "10_l"):
        write_released(tmp_path / inside / config)
    check_released(open_split(tmp_path, "train", config="10_l"))
    with pytest.raises(UsageError, match=r"several configurations .*config=..., one of 10_l, 2_xs"):
        open_split(tmp_path, "train")
    with pytest.raises(UsageError, match=r"no such configuration .*got '5_m'. Choose among 10_l, 2_xs"):
        open_split(tmp_path, "train", config="5_m")


CARD = """---
license: cc-by-nc-sa-4.0
configs:
- config_name: two
  default: true
  data_files:
  - split: train
    path: two/tr*/part-*.parquet
- config_name: ten
  data_files:
  - split: train
    path: [ten/train-*.parquet]
  - split: held_out
    path: ten/test-00000-of-00001.parquet
- config_name: outside
  data_files: ../two/train/*.parquet
---
# A card
"""


def test_the_cards_configs_decide_where_there_is_a_card(tmp_path):
    write_released(tmp_path / "two/train", splits=("part",))
    write_released(tmp_path / "ten")
    (tmp_path / "README.md").write_text(CARD)
    check_released(open_split(tmp_path, "train"))
    check_released(open_split(tmp_path, "held_out", config="ten"))
    with serving(tmp_path) as (address, _):
        check_released(open_split(address, "train"))
        check_released(open_split(address, "held_out", config="ten"))
    with pytest.raises(UsageError, match=r"no such split .*got 'test'. Choose among train, held_out"):
        open_split(tmp_path, "test", config="ten")
    with pytest.raises(UsageError, match=r"no such configuration .*Choose among two, ten, outside"):
        open_split(tmp_path, "train", config="five")


def test_a_pattern_that_leads_out_of_the_directory_finds_nothing(tmp_path):
    write_released(tmp_path / "two/train")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/README.md").write_text(CARD)
    with pytest.raises(UsageError, match="no such configuration"):
        open_split(tmp_path / "inner", "train", config="outside")


@pytest.mark.parametrize(
    "front", ["no front matter", "---\n[broken\n---\n", "---\n- a list\n---\n", "---\nconfigs: 3\n---\n"]
)
def test_a_card_that_says_nothing_is_passed_over(tmp_path, front):
    write_released(tmp_path / "data")
    (tmp_path / "README.md").write_text(front)
    check_released(open_split(tmp_path, "train"))


def test_a_built_dataset_has_no_configurations(dataset):
    with pytest.raises(UsageError, match="a dataset with a manifest has no configurations"):
        open_split(dataset, "train", config="x")


def test_a_damaged_tar_names_file_and_row(tmp_path):
    write_m3(tmp_path, 20, shard_format="webdataset")
    path = tmp_path / "data/train-00001-of-00002.tar"
    data = path.read_bytes()
    at = data.index(b"{", data.index(b"000001013.json"))
    path.write_bytes(data[:at] + b"[" + data[at + 1 :])
    with pytest.raises(
        DamageError, match=r"the .json member of a row cannot be read \(.*train-00001-of-00002.tar, row 3"
    ):
        batches(open_split(tmp_path, "train"))
    path.write_bytes(data[:-600])
    with pytest.raises(DamageError, match=r"a shard was truncated or replaced \(.*train-00001-of-00002.tar\)"):
        open_split(tmp_path, "train")


def test_media_of_a_tar_that_cannot_be_decoded_are_skipped_and_counted(tmp_path):
    broken = {"bytes": b"no picture", "path": None}
    write_m3(
        tmp_path,
        20,
        change=lambda row, value: value | ({"image": broken} if row == 13 else {}),
        shard_format="webdataset",
    )
    loader = BatchLoader(open_split(tmp_path, "train"), 5, transforms=SMALL, on_error="skip", drop_last=False)
    assert sum(len(batch["sample_id"]) for batch in loader) == 19
    assert loader.skipped == 1 and "data/train-00001-of-00002.tar, row 3" in loader.skipped_examples[0]
