"""The published Symile-MIMIC, in miniature: imported with its splits, retrieval sets and values; damage is named."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from factories import contents, problems
from mimic_release_files import SET, gray, labs, tracing, write_release, write_sums
from mimic_tree import put, rows_of
from PIL import Image

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.release.files import gray_png, whole_units
from symile_data.builders.mimic.release.import_release import import_mimic
from symile_data.cards import write_card
from symile_data.datasets.mimic.schema import mimic_schema
from symile_data.errors import OutputError, SourceError, UsageError
from symile_data.evaluation.retrieval import Retrieval, retrieve
from symile_data.format import manifest as manifests
from symile_data.format.location import Location
from symile_data.format.shards import open_shard
from symile_data.losses import SymileLoss
from symile_data.training.config import read_config
from symile_data.training.module import SymileModule
from symile_data.workflows.training_data import TrainingData

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by the tests of this module, which must not change it."""
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def imported(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("imported") / "out"
    import_mimic(release, out, workers=1, write_card=no_card)
    return out


def stored(out: Path) -> list[dict[str, Any]]:
    return [row for entry in manifests.read(out).shards() for row in pq.read_table(out / entry.path).to_pylist()]


def test_rows_values_and_media_are_the_releases(imported: Path) -> None:
    rows = stored(imported)
    assert [row["hadm_id"] for row in rows] == [20_000_000 + number for number in range(11)]
    for row in rows:
        with Image.open(io.BytesIO(row["cxr"]["bytes"])) as picture:
            np.testing.assert_array_equal(np.asarray(picture), gray(row["hadm_id"]))
        found, raw = np.array(row["ecg"]).reshape(12, 5000), tracing(row["hadm_id"]).T
        np.testing.assert_array_equal(found - found.min(), raw - raw.min())
        assert row["labs"] == [None if v is None else float(np.float32(v)) for v in labs(row["hadm_id"])]
        assert row["labs_missing"] == [value is None for value in labs(row["hadm_id"])]
        assert (row["cxr_hours"], row["ecg_hours"], row["gender"], row["age"]) == (30, -2, "M", 61)
        assert (row["admittime"], row["length_of_stay_days"]) == ("2150-03-01 12:00:00", 4.25)
        assert row["hospital_expire_flag"] == (row["hadm_id"] + 1) % 2 and "icd_blood" not in row
        assert (row["chexpert_edema"], row["chexpert_fracture"], row["chexpert_pneumonia"]) == (1, -1, None)
        assert (row["cxr_dicom_id"], row["cxr_study_id"], row["ecg_study_id"]) == (f"d{row['hadm_id']}", "5", "4")


def test_splits_and_retrieval_sets_are_the_releases(imported: Path, release: Path) -> None:
    manifest = manifests.read(imported)
    assert manifest.splits == {"train": 5, "validation": 3, "test": 3}
    assert [(step.rule, step.count) for step in manifest.cohort_flow] == [
        ("admissions of the release", None),  # withheld: 11 and 13 would tell 2
        ("in one of its splits", 11),
    ]
    expected: dict[Any, Any] = {}
    for name in ("val_retrieval.csv", "test.csv"):
        for row in rows_of(release / name):
            expected.setdefault(int(row["label_hadm_id"]), []).append(int(row["hadm_id"]))
    assert {row["hadm_id"]: row["candidates"] for row in stored(imported) if row["candidates"]} == expected
    assert problems(imported) == []


@pytest.fixture(scope="module")
def part(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rows of each split; not to be changed."""
    out = tmp_path_factory.mktemp("part") / "out"
    import_mimic(release, out, rows=2, workers=1, write_card=write_card)
    return out


def test_a_part_has_rows_of_the_whole_import_and_whole_retrieval_sets(imported: Path, part: Path) -> None:
    whole = {row["hadm_id"]: row for row in stored(imported)}
    rows = stored(part)
    assert manifests.read(part).splits == {"train": 2, "validation": 2, "test": 2}
    for row in rows:
        assert {**row, "candidates": 0} == {**whole[row["hadm_id"]], "candidates": 0}
        assert row["candidates"] in (None, whole[row["hadm_id"]]["candidates"])
    queries = [row for row in rows if row["candidates"] is not None]
    assert [row["hadm_id"] for row in queries] == [20_000_005, 20_000_008]  # the other row of a split is a candidate
    assert all(set(row["candidates"]) <= {other["hadm_id"] for other in rows} for row in queries)
    assert problems(part) == []
    assert [step.rule for step in manifests.read(part).cohort_flow] == [
        "admissions of the release",
        "in one of its splits",
        "in the part that is imported",
    ]
    assert "A part of the release" in (part / "README.md").read_text()
    assert "candidates" in json.loads((part / "manifest.json").read_text())["notes"][-1]


def test_a_part_of_all_rows_is_the_whole(release: Path, imported: Path, tmp_path: Path) -> None:
    import_mimic(release, tmp_path / "out", rows=100, workers=1, write_card=no_card)
    assert stored(tmp_path / "out") == stored(imported)
    with pytest.raises(UsageError, match=r"a retrieval set has more rows than `rows` .*Ask for at least 2"):
        import_mimic(release, tmp_path / "one", rows=1, workers=1, write_card=no_card)


def test_only_queries_of_a_part_retrieve(part: Path) -> None:
    data = TrainingData(part)
    settings = {"dim": 8, "candidates": SET, "batch_size": 2}
    config = read_config("mimic-small", {**settings, "inputs": {"image": {"size": 16}, "ecg": {"scale": False}}})
    module = data.run_info(config).make_module().eval()
    assert isinstance(module, SymileModule)
    embedded = data.embedded(module, "test", "hadm_id", SET)
    assert embedded.queries.tolist() == [0] and embedded.labels.tolist() == [20_000_008, 20_000_009]
    among = Retrieval(target="cxr", candidates=SET, objective=SymileLoss())
    figures = retrieve(embedded, among)
    score = {name: value.double() for name, value in embedded.values.items()}
    scores = (score["ecg"][0] * score["labs"][0] * score["cxr"]).sum(dim=1)
    assert (figures["rows"], figures["candidates"]) == (1, SET)
    assert figures["accuracy"] == float(scores[0] > scores[1])
    assert retrieve(embedded, replace(among, candidates=0))["rows"] == 2


def test_percentiles_are_fitted_on_the_training_split(imported: Path) -> None:
    train = [row for row in stored(imported) if row["candidates"] is None]
    column = 3
    known = [row["labs"][column] for row in train if row["labs"][column] is not None]
    for row in stored(imported):
        value = row["labs"][column]
        if value is not None:
            share = sum(other <= value for other in known) / len(known)
            assert row["labs_percentile"][column] == pytest.approx(share)


@pytest.mark.usefixtures("shared_workers")
def test_it_repeats_and_gets_a_card(release: Path, imported: Path, tmp_path: Path) -> None:
    import_mimic(release, tmp_path / "out", workers=2, write_card=no_card)
    assert contents(tmp_path / "out") == contents(imported)
    manifest = manifests.read(tmp_path / "out")
    write_card(tmp_path / "out", manifest, mimic_schema())
    text = (tmp_path / "out" / "README.md").read_text()
    assert "Imported from the published release" in text and "must not be shared" in text
    assert "physionet.org/content/symile-mimic" in text


def test_tars_hold_the_same_rows(release: Path, imported: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifest = import_mimic(release, out, shard_format="webdataset", workers=1, write_card=no_card)
    assert manifest.identity.spec["format"] == "webdataset"
    shards = [open_shard(Location.of(out), entry.path) for entry in manifest.shards()]
    assert {Path(shard.name).suffix for shard in shards} == {".tar"}
    found = [row for shard in shards for row in shard.read_all(shard.schema.names).to_pylist()]
    expected = stored(imported)
    for row in (*found, *expected):
        row["cxr"] = row["cxr"]["bytes"]  # a tar keeps no names of media files
    assert [{**row, "ecg": list(row["ecg"])} for row in found] == expected
    assert problems(out) == []
    with pytest.raises(OutputError, match=r"spec\.format: 'parquet', not 'webdataset'"):
        import_mimic(release, out, workers=1, write_card=no_card)


def test_an_unknown_format_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="zip"):
        import_mimic(tmp_path, tmp_path / "out", shard_format="zip", workers=1, write_card=no_card)


def damaged(tmp_path: Path, name: str, change: object, *, sums: bool = True) -> Path:
    root = write_release(tmp_path)
    path = root / name
    if name.endswith(".npy"):
        array = np.load(path)
        change(array)  # type: ignore[operator]
        np.save(path, array)
    else:
        put(path, change(path.read_text()).encode())  # type: ignore[operator]
    if sums:
        write_sums(root)
    return root


@pytest.mark.parametrize(
    ("name", "change", "sums", "words"),
    [
        ("train.csv", lambda text: text + " ", False, r"differs from its checksum in SHA256SUMS.txt .*train\.csv"),
        ("SHA256SUMS.txt", lambda text: text.replace("val.csv", "v.csv"), False, r"does not list val\.csv"),
        ("data_npy/val/labs_missingness_val.npy", lambda a: a.__setitem__((0, 0), 1 - a[0, 0]), True,
         r"labs_missingness is not 1 exactly where the table has a value .*val\.csv"),
        ("data_npy/train/hadm_id_train.npy", lambda a: a.__setitem__(0, 7), True, r"list different admissions"),
        ("data_npy/train/cxr_train.npy", lambda a: a.__setitem__((1, 0, 3, 3), 9.0), True,
         r"cxr_train\.npy, row 1\); got an X-ray is not gray"),
        ("data_npy/test/ecg_test.npy", lambda a: a.__setitem__(2, 0.0), True,
         r"ecg_test\.npy, row 2\); got an electrocardiogram is flat"),
        ("test.csv", lambda text: text.replace(",1\n", ",0\n", 1), True, r"has no positive"),
        ("symile_mimic_data.csv", lambda text: text.replace(",20000001,", ",9,"), True,
         r"lacks an admission of a split .*got 20000001"),
    ],
)  # fmt: skip
def test_damage_is_named(tmp_path: Path, name: str, change: object, sums: bool, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        import_mimic(damaged(tmp_path / "r", name, change, sums=sums), tmp_path / "out", workers=1, write_card=no_card)


@pytest.mark.parametrize("name", ["SHA256SUMS.txt", "val_retrieval.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    root = write_release(tmp_path / "r")
    (root / name).unlink()
    with pytest.raises(SourceError, match=rf"the release has no {name} .*Give the folder of Symile-MIMIC 1\.0\.0"):
        import_mimic(root, tmp_path / "out", workers=1, write_card=no_card)


def test_arrays_that_are_no_media_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        gray_png(np.zeros((3, 10, 10), dtype=np.float32))
    with pytest.raises(ValueError, match="shape"):
        whole_units(np.zeros((12, 5000), dtype=np.float32))
    unending = np.full((1, 5000, 12), np.nan, dtype=np.float32)
    unending[0, 0, :2] = -1, 1
    with pytest.raises(ValueError, match="not finite"):
        whole_units(unending)
    noise = np.random.default_rng(0).uniform(-1, 1, size=(1, 5000, 12)).astype(np.float32)
    noise[0, 0, :2] = -1, 1
    with pytest.raises(ValueError, match="whole units"):
        whole_units(noise)
