"""Sets of features beside a dataset are joined row by row, checked against the rows, and named where they fail."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_datasets import write_m3

from symile_data.builders.features.beside import build_beside
from symile_data.builders.features.spec import FeatureSpec, FrozenModel, Media
from symile_data.errors import DamageError, OutputError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.feature_sets import rows_digest, set_names
from symile_data.format.location import Location
from symile_data.format.manifest import file_entry
from symile_data.format.verify import verify
from symile_data.loaders import BatchLoader, Distribution, Resources, mix, open_split

ROWS = 40


def encode(spec: FeatureSpec, model: FrozenModel, media: Media) -> np.ndarray:
    """Four numbers that follow from the bytes of a value and the name of the model."""
    values = [value["bytes"] if isinstance(value, dict) else value.encode() for value in media.values.to_pylist()]
    return np.array([expected(value, model.name) for value in values], dtype=np.float32)


def expected(value: bytes, model: str) -> list[float]:
    return [byte / 16 for byte in hashlib.sha256(model.encode() + value).digest()[:4]]


def spec_of(*modalities: str, model: str = "one") -> FeatureSpec:
    return FeatureSpec(
        models=tuple(FrozenModel(modality=name, name=model, size=4, fingerprint=model) for name in modalities)
    )


def lacking(row: int) -> tuple[str, ...]:
    return ("image",) if row % 7 == 0 else ()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 40 rows in two shards, with the features of two models for images and of one for texts."""
    directory = write_m3(tmp_path_factory.mktemp("m3"), ROWS, missing=lacking, group=3)
    build_beside(directory, "one", spec_of("image"), encode, workers=1)
    build_beside(directory, "two", spec_of("image", "text", model="two"), encode, workers=1)
    return directory


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(made, tmp_path / "m3")


def test_features_stand_beside_the_value_that_they_encode(made: Path) -> None:
    split = open_split(made, "train", features=["one", "two"])
    assert [m.name for m in split.modalities] == ["image", "audio", "text", "image_one", "image_two", "text_two"]
    rows = split.read_all(["sample_id", "image", "image_one", "image_two", "text", "text_two"]).to_pylist()
    assert [row["sample_id"] for row in rows] == list(range(1000, 1000 + ROWS))
    for row in rows:
        if row["image"] is None:
            assert row["image_one"] is row["image_two"] is None
        else:
            assert row["image_one"] == expected(row["image"]["bytes"], "one")
            assert row["image_two"] == expected(row["image"]["bytes"], "two")
        assert row["text_two"] == expected(row["text"].encode(), "two")
    assert sum(row["image"] is None for row in rows) == 6


def test_the_folder_has_neither_labels_nor_masks(made: Path) -> None:
    files = sorted(path.relative_to(made / "features").as_posix() for path in (made / "features").rglob("*.parquet"))
    shards = [f"data/train-0000{index}-of-00002.parquet" for index in range(2)]
    assert files == [f"{name}/{shard}" for name in ("one", "two") for shard in shards]
    assert pq.read_schema(made / "features" / files[0]).names == ["sample_id", "image_one"]
    assert pq.read_schema(made / "features" / files[3]).names == ["sample_id", "image_two", "text_two"]
    for shard in shards:  # groups are read together, so they are the same
        groups = [
            [pq.ParquetFile(path).metadata.row_group(group).num_rows for group in range(7)]
            for path in (made / shard, made / "features/one" / shard)
        ]
        assert groups[0] == groups[1]


def test_batches_have_the_features_with_the_mask_of_what_they_encode(made: Path) -> None:
    split = open_split(made, "train", features=["one"])
    loader = BatchLoader(split, 8, modalities=["image_one", "text"], drop_last=False)
    stored = {row["sample_id"]: row for row in split.read_all(["sample_id", "image_one", "image_missing"]).to_pylist()}
    seen = []
    for batch in loader:
        for index, row in enumerate(batch["sample_id"].tolist()):
            seen.append(row)
            assert batch["missing"][index].tolist() == [False, stored[row]["image_missing"]]  # text, image_one
            assert batch["image_one"][index].tolist() == (stored[row]["image_one"] or [0.0] * 4)
    assert sorted(seen) == list(range(1000, 1000 + ROWS))
    assert "image" not in batch


def test_an_epoch_with_features_continues_exactly_on_other_ranks(made: Path) -> None:
    def loader(rank: int = 0, ranks: int = 1) -> BatchLoader:
        split = open_split(made, "train", features=["one"])
        resources, distribution = Resources(window=2), Distribution(rank=rank, world_size=ranks)
        return BatchLoader(
            split, 4, drop_last=False, modalities=["image_one"], resources=resources, distribution=distribution
        )

    first = loader()
    iterator = iter(first)
    seen = [row for _ in range(3) for row in next(iterator)["sample_id"].tolist()]
    for rank in range(2):
        rest = loader(rank, 2)
        rest.load_state_dict(first.state_dict())
        for batch in rest:
            seen += batch["sample_id"][~batch["padding"]].tolist()
    assert sorted(seen) == list(range(1000, 1000 + ROWS))
    without = BatchLoader(open_split(made, "train"), 4, modalities=["text"])
    with pytest.raises(UsageError, match="fingerprint"):
        without.load_state_dict(first.state_dict())


def test_filters_caches_and_mixes_take_joined_rows(made: Path, tmp_path: Path) -> None:
    where = "lang = 'el' and image_one is not null and sample_id > 1020"
    some = open_split(made, "train", features=["one"], where=where)
    rows = some.read_all(["sample_id", "lang", "image_one"]).to_pylist()
    assert [row["sample_id"] for row in rows] == [
        1000 + row for row in range(21, ROWS) if row % 3 == 0 and not lacking(row)
    ]
    whole = open_split(made, "train", features=["one"])
    streamed = next(iter(BatchLoader(whole, ROWS, modalities=["image_one"], shuffle=False)))
    cached = next(iter(BatchLoader(whole, ROWS, modalities=["image_one"], shuffle=False, cache=tmp_path / "cache")))
    assert streamed["image_one"].equal(cached["image_one"]) and streamed["missing"].equal(cached["missing"])
    mixed = BatchLoader(mix([whole, some], [1, 1]), 4, modalities=["image_one", "text"])
    assert next(iter(mixed))["image_one"].shape == (4, 4)


@pytest.mark.parametrize("shard_format", ["parquet", "webdataset"])
def test_the_dataset_stays_as_it_was_and_opens_from_elsewhere(tmp_path: Path, shard_format: str) -> None:
    import fsspec

    directory = write_m3(tmp_path / "m3", 12, missing=lacking, shard_format=shard_format)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    build_beside(directory, "one", spec_of("image"), encode, workers=1)
    assert {path: path.read_bytes() for path in before} == before
    assert list(verify(directory)) == []
    plain = open_split(directory, "train")
    assert [modality.name for modality in plain.modalities] == ["image", "audio", "text"]
    system = fsspec.filesystem("memory")
    system.put(str(directory), "/beside", recursive=True)
    try:
        there = open_split("memory://beside", "train", features=["one"])
        here = open_split(directory, "train", features=["one"])
        assert there.read_all(["image_one"]).equals(here.read_all(["image_one"]))
        with pytest.raises(UsageError, match=r"set of features \(memory://beside\); got three. Choose among one"):
            open_split("memory://beside", "train", features=["three"])
    finally:
        system.rm("/beside", recursive=True)


def test_a_set_is_made_once_and_finished_where_it_was_interrupted(tmp_path: Path) -> None:
    directory = write_m3(tmp_path / "m3", 12)
    calls: list[int] = []

    def dying(spec: FeatureSpec, model: FrozenModel, media: Media) -> np.ndarray:
        calls.append(len(media.values))
        if len(calls) == 1:
            raise KeyboardInterrupt
        return encode(spec, model, media)

    with pytest.raises(KeyboardInterrupt):
        build_beside(directory, "one", spec_of("image"), dying, workers=1)
    assert list(verify(directory)) == [
        "features/one: an unfinished set of features; encode them again to finish it, or remove the folder"
    ]
    with pytest.raises(UsageError, match=r"no such set of features.*Encode some with `beside='one'`"):
        open_split(directory, "train", features=["one"])
    build_beside(directory, "one", spec_of("image"), dying, workers=1)
    build_beside(directory, "one", spec_of("image"), dying, workers=1)
    assert calls == [12, 12] and list(verify(directory)) == []
    with pytest.raises(OutputError, match=r"with other settings.*Choose another name with `beside`"):
        build_beside(directory, "one", spec_of("image", model="two"), encode, workers=1)
    assert set_names(Location.of(directory)) == ["one"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "missing",
            r"modality of this name already .*; got image_missing. Choose another name with `beside`",
        ),
        ("id", "got image_id"),
        ("../one", r"no name of a set of features; got '\.\./one'"),
        ("", "no name of a set"),
        (".hidden", "no name of a set"),
    ],
)
def test_a_name_that_cannot_be_is_refused(dataset: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_beside(dataset, name, spec_of("image"), encode, workers=1)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (["three"], r"no such set of features \(.*m3\); got three. Choose among one, two"),
        (["one", "one"], r"the same name .*; got image_one"),
        (["../m3"], "no name of a set of features"),
    ],
)
def test_a_set_that_is_not_there_is_named_with_those_that_are(dataset: Path, features: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_split(dataset, "train", features=features)


def test_a_dataset_without_a_manifest_has_none(dataset: Path) -> None:
    (dataset / "manifest.json").unlink()
    with pytest.raises(UsageError, match="a dataset without a manifest has no sets of features"):
        open_split(dataset, "train", features=["one"])


def test_features_of_other_rows_are_refused(dataset: Path) -> None:
    write_m3(dataset, ROWS, group=3)  # the same ids and sizes, but no row lacks its image
    with pytest.raises(DamageError, match=r"is of other rows than the dataset has now .*features/one/manifest.json"):
        open_split(dataset, "train", features=["one"])
    assert [problem for problem in verify(dataset) if "features/one" in problem] == [
        problem for problem in verify(dataset) if problem.startswith("features/one: this set of features is of other")
    ]


def test_the_digest_ignores_the_card(made: Path) -> None:
    manifest = manifests.read(made)
    card = replace(manifest, files=[*manifest.files, file_entry(made, made / "manifest.json")])
    assert rows_digest(card) == rows_digest(manifest)
    other = replace(manifest, files=[replace(manifest.files[0], sha256="0" * 64), *manifest.files[1:]])
    assert rows_digest(other) != rows_digest(manifest)


def rewrite(dataset: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Write the first file of a set with changed columns, and list it in the set's manifest."""
    folder = dataset / "features" / name
    manifest = manifests.read(folder)
    path = folder / manifest.files[0].path
    parquet = pq.ParquetFile(path)
    groups = [parquet.read_row_group(group) for group in range(parquet.num_row_groups)]
    with pq.ParquetWriter(path, groups[0].schema) as writer:
        for group in groups:
            writer.write_table(change(group))
    entry = file_entry(folder, path, rows=parquet.metadata.num_rows, split="train")
    manifests.write(folder, replace(manifest, files=[entry, *manifest.files[1:]]))


def test_rows_with_other_ids_are_noticed_by_readers_and_by_verify(dataset: Path) -> None:
    def reversed_ids(group: pa.Table) -> pa.Table:
        return group.set_column(0, "sample_id", [group["sample_id"].to_pylist()[::-1]])

    rewrite(dataset, "one", reversed_ids)
    assert [problem for problem in verify(dataset) if "ids" in problem] == [
        "features/one/data/train-00000-of-00002.parquet: its ids are not those of data/train-00000-of-00002.parquet"
    ]
    split = open_split(dataset, "train", features=["one"])
    with pytest.raises(DamageError, match=r"other ids than the rows .*features/one/data/train-00000.*not those of"):
        list(BatchLoader(split, 4, modalities=["image_one"]))
    list(BatchLoader(split, 4, modalities=["text"]))  # which reads no features


def test_a_feature_where_the_value_is_missing_is_noticed(dataset: Path) -> None:
    def filled(group: pa.Table) -> pa.Table:
        values = [value or [0.0] * 4 for value in group["image_one"].to_pylist()]
        return group.set_column(1, group.schema.field(1), pa.array(values, group.schema.field(1).type))

    rewrite(dataset, "one", filled)
    assert [problem for problem in verify(dataset) if "image_missing" in problem] == [
        "features/one/data/train-00000-of-00002.parquet: row 0: image_one is not null, but image_missing is True in"
        " data/train-00000-of-00002.parquet"
    ]


def test_damaged_cut_and_strange_files_are_named(dataset: Path) -> None:
    path = dataset / "features/one/data/train-00000-of-00002.parquet"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(bytes(data))
    (dataset / "features/two/data/train-00001-of-00002.parquet").write_bytes(b"")
    (dataset / "features/two/notes.txt").write_text("x")
    (dataset / "features/loose.txt").write_text("x")
    problems = list(verify(dataset))
    assert [problem.partition(":")[0] for problem in problems] == [
        "features/one/data/train-00000-of-00002.parquet",
        "features/two/data/train-00001-of-00002.parquet",
        "features/two/notes.txt",
        "features/loose.txt",
    ]
    with pytest.raises(DamageError, match=r"features/two/data/train-00001-of-00002\.parquet"):
        open_split(dataset, "train", features=["two"])


def test_a_strange_manifest_is_refused(dataset: Path) -> None:
    folder = dataset / "features/one"
    manifest = manifests.read(folder)
    for modality in (
        replace(manifest.modalities[0], name="missing"),
        replace(manifest.modalities[0], kind="image"),
        replace(manifest.modalities[0], details={"modality": "smell"}),
    ):
        manifests.write(folder, replace(manifest, modalities=(modality,)))
        with pytest.raises(DamageError, match="this folder holds no set of features"):
            open_split(dataset, "train", features=["one"])
    shutil.rmtree(folder)
    shutil.copytree(dataset / "data", folder / "data")
    shutil.copy(dataset / "manifest.json", folder / "manifest.json")
    with pytest.raises(DamageError, match="this folder holds no set of features"):
        open_split(dataset, "train", features=["one"])
    with pytest.raises(UsageError, match="a set of features beside a dataset"):
        list(verify(dataset / "features/two"))
