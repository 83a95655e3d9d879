"""Symile-MIMIC from end to end: bytes, resuming, masks, what verification finds, wrong sources."""

from __future__ import annotations

import gzip
import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from factories import contents, encoded, problems, relist
from mimic_tree import JPEG, LAB, START, Tree, put
from PIL import Image

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic import build as building
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.spec import MimicSpec, Roots
from symile_data.cli.common import report
from symile_data.datasets.mimic.lab_items import ITEM_IDS
from symile_data.errors import SourceError, SymileDataError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.manifest import Manifest

NO_CXR = dict.fromkeys(("cxr", "cxr_dicom_id", "cxr_study_id", "cxr_hours", "view_position")) | {"cxr_missing": True}
NO_ECG = {"ecg": None, "ecg_hours": None, "ecg_study_id": None, "ecg_missing": True}
PATIENTS = range(10_000_000, 10_000_012)


def build(roots: Roots, out: Path, workers: int = 1, **changes: Any) -> Manifest:
    spec = replace(MimicSpec(roots=roots, train=6, validation=3, candidates=3), **changes)
    return build_mimic(spec, out, workers=workers, write_card=no_card)


def rows_of(out: Path) -> list[dict[str, Any]]:
    paths = [out / entry.path for entry in manifests.read(out).shards()]
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def whole_tree(root: Path) -> Tree:
    """Twelve patients with one complete admission each."""
    tree = Tree(root)
    for number, subject_id in enumerate(PATIENTS):
        tree.complete(subject_id, 20_000_000 + number)
    return tree


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Roots:
    """Shared by the tests of this module, which must not change it."""
    return whole_tree(tmp_path_factory.mktemp("whole")).write()


@pytest.fixture(scope="module")
def dataset(roots: Roots, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by the tests of this module, which must not change it."""
    out = tmp_path_factory.mktemp("dataset") / "mimic"
    build(roots, out)
    return out


@pytest.fixture
def copied(dataset: Path, tmp_path: Path) -> Path:
    return shutil.copytree(dataset, tmp_path / "copied")


@pytest.mark.usefixtures("shared_workers")
def test_bytes_do_not_depend_on_the_number_of_workers(roots: Roots, dataset: Path, tmp_path: Path) -> None:
    build(roots, tmp_path / "two", workers=2)
    assert contents(tmp_path / "two") == contents(dataset)
    assert problems(dataset) == []


def test_plain_datasets_opens_it(dataset: Path, tmp_path: Path) -> None:
    loaded = load_dataset(str(dataset), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 6, "validation": 3, "test": 3}
    row = loaded["train"][0]
    assert (row["cxr"].mode, min(row["cxr"].size), len(row["ecg"]), len(row["labs"])) == ("L", 320, 60_000, 50)
    assert loaded["train"].features["ecg"].length == 60_000


def test_signals_are_stored_as_differences_and_described_in_the_shards(dataset: Path) -> None:
    file = pq.ParquetFile(next((dataset / "data").glob("train-*")))
    column = file.schema_arrow.names.index("ecg")
    leaf = next(
        leaf
        for leaf in (file.metadata.row_group(0).column(index) for index in range(file.metadata.num_columns))
        if leaf.path_in_schema.startswith("ecg.")
    )
    assert column and "DELTA_BINARY_PACKED" in leaf.encodings
    described = file.schema_arrow.metadata[b"symile_data.modalities"].decode()
    assert '"rate_hz":500' in described and '"units_per_mV":200' in described and '"aVF"' in described


def test_an_interrupted_build_goes_on(
    roots: Roots, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "make_shard", fail)
    with pytest.raises(KeyboardInterrupt):
        build(roots, out)
    assert not (out / "manifest.json").exists()
    monkeypatch.undo()
    monkeypatch.setattr("symile_data.builders.mimic.signals.media.convert", fail)  # X-rays are kept from the first run
    monkeypatch.setattr("symile_data.builders.mimic.cohort.selection.first_labs", fail)
    build(roots, out)
    assert contents(out) == contents(dataset)


def test_another_source_is_another_build(roots: Roots, dataset: Path, tmp_path: Path) -> None:
    other = whole_tree(tmp_path / "other")
    other.labs[0]["valuenum"] = "7.5"
    with pytest.raises(SymileDataError, match=r"other settings .*sources.records.tables.hosp/labevents"):
        build(other.write(), dataset)
    with pytest.raises(SymileDataError, match=r"spec.seed: 1, not 0"):
        build(roots, dataset, seed=1)


def test_missing_modalities_are_null_and_masked(tmp_path: Path, undisclosed: None) -> None:
    tree = whole_tree(tmp_path)
    tree.admit(10_000_100, 1)  # X-ray and tests
    tree.picture(10_000_100, 30)
    tree.lab(10_000_100, 0)
    tree.admit(10_000_101, 2)  # electrocardiogram and tests
    tree.record(10_000_101, 0)
    tree.lab(10_000_101, 0)
    tree.admit(10_000_102, 3)  # X-ray and electrocardiogram
    tree.picture(10_000_102, 30)
    tree.record(10_000_102, 0)
    tree.admit(10_000_103, 4)  # tests only
    tree.lab(10_000_103, 0)
    manifest = build(tree.write(), tmp_path / "out", allow_missing=True, train=12, validation=0, candidates=2)
    rows = {row["hadm_id"]: row for row in rows_of(tmp_path / "out")}
    assert len(rows) == 15 and 4 not in rows
    assert rows[1]["ecg"] is rows[1]["ecg_hours"] is rows[1]["ecg_study_id"] is None and rows[1]["ecg_missing"]
    assert rows[2]["cxr"] is rows[2]["cxr_dicom_id"] is rows[2]["chexpert_edema"] is None and rows[2]["cxr_missing"]
    assert rows[3]["labs"] is rows[3]["labs_percentile"] is None and rows[3]["labs_all_missing"]
    assert all(rows[3]["labs_missing"])
    steps = {step.rule: step.count for step in manifest.cohort_flow}
    assert list(steps.items())[:6] == [
        ("admissions", 16),
        ("of which with a frontal chest X-ray 24 to 72 hours after admission", 14),
        ("of which with the file of such an X-ray", 14),
        ("of which with an electrocardiogram within 24 hours of admission", 14),
        ("of which with a blood test within 24 hours of admission", 15),
        ("with at least two of the three", 15),
    ]
    assert problems(tmp_path / "out") == []


def test_the_cohort_flow_counts_every_rule(tmp_path: Path, undisclosed: None) -> None:
    tree = whole_tree(tmp_path)
    tree.admit(10_000_100, 1)
    tree.admit(10_000_101, 2)
    tree.picture(10_000_101, 30, file=None)
    tree.admit(10_000_102, 3)
    tree.picture(10_000_102, 30)
    tree.admit(10_000_103, 4)
    tree.picture(10_000_103, 30)
    tree.record(10_000_103, 0)
    tree.complete(10_000_104, 5)
    tree.records[-1]["path"] += "x"
    tree.complete(10_000_105, 6)
    tree.files[list(tree.files)[-3]] = JPEG[:200]
    manifest = build(tree.write(), tmp_path / "out")
    assert [step.count for step in manifest.cohort_flow] == [18, 17, 16, 15, 14, 13, 12]
    assert {entry.reason: entry.count for entry in manifest.dropped} == {
        "X-ray: it lies in an admission's window, but its file is not there": 1,
        "X-ray: does not decode": 1,
        "electrocardiogram: file not found": 1,
    }
    assert manifests.read(tmp_path / "out").cohort_flow == manifest.cohort_flow


def test_the_cohort_flow_ends_with_the_rows_of_the_dataset(tmp_path: Path, undisclosed: None) -> None:
    tree = whole_tree(tmp_path)
    for number in range(6):
        tree.complete(PATIENTS[0], 21_000_000 + number, START + timedelta(days=30 * (number + 1)))
    by_row = build(tree.write(), tmp_path / "out", reference=True, train=9)
    lost = 18 - sum(by_row.splits.values())
    assert lost > 0
    assert [(step.rule, step.count) for step in by_row.cohort_flow[-2:]] == [
        ("with a valid electrocardiogram", 18),
        ("whose patient is in no earlier split", 18 - lost),
    ]
    assert by_row.dropped[-1].count == lost
    by_patient = build(tree.roots, tmp_path / "default", train=18, validation=0)
    assert by_patient.cohort_flow[-1].count == sum(by_patient.splits.values()) == 18


def test_small_counts_of_patients_are_not_written(tmp_path: Path) -> None:
    tree = whole_tree(tmp_path)
    tree.complete(10_000_104, 5)
    tree.records[-1]["path"] += "x"
    manifest = build(tree.write(), tmp_path / "out")
    assert {step.count for step in manifest.cohort_flow} == {None, 12}
    assert [(entry.reason, entry.count) for entry in manifest.dropped] == [("electrocardiogram: file not found", None)]
    assert manifests.read(tmp_path / "out") == manifest


def edit(copied: Path, split: str, change: object) -> list[str]:
    path = next((copied / "data").glob(f"{split}-*"))
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)  # type: ignore[operator]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    relist(copied)
    return problems(copied)


def swap_percentiles(rows: list[dict[str, Any]]) -> None:
    place = ITEM_IDS.index(LAB)
    order = sorted(rows, key=lambda row: row["labs"][place])
    low, high = order[0], order[-1]
    low["labs_percentile"], high["labs_percentile"] = high["labs_percentile"], low["labs_percentile"]


@pytest.mark.parametrize(
    ("split", "change", "words"),
    [
        ("train", lambda rows: rows[1].update(hadm_id=rows[0]["hadm_id"]), "occurs twice"),
        ("train", lambda rows: rows[1].update(sample_id=rows[0]["sample_id"]), "sample_id 0 occurs twice"),
        ("train", lambda rows: rows[0].update(cxr_hours=24.0), r"cxr_hours lies outside \(24, 72\] hours"),
        ("test", lambda rows: rows[0].update(ecg_hours=-24.5), r"ecg_hours lies outside \[-24, 24\] hours"),
        ("test", lambda rows: rows[0].update(candidates=rows[0]["candidates"][::-1]), "first candidate is not"),
        ("test", lambda rows: rows[0].update(candidates=rows[0]["candidates"][:2]), "2 different candidates"),
        ("test", lambda rows: rows[0]["candidates"].__setitem__(1, 5), "not an admission of the split"),
        ("train", lambda rows: rows[0].update(candidates=[1]), "candidates belong to validation and test"),
        ("train", lambda rows: rows[0].update(ecg=[7] * 60_000), "the electrocardiogram is flat"),
        ("train", lambda rows: rows[0]["ecg"].__setitem__(9, -32768), "has an unknown sample"),
        ("train", lambda rows: rows[0]["cxr"].update(bytes=JPEG), "not a gray PNG of shorter side 320"),
        ("train", lambda rows: rows[0]["cxr"].update(bytes=b"no"), "is not readable"),
        ("train", lambda rows: rows[0]["labs_missing"].__setitem__(0, False), "labs_missing does not mark"),
        ("train", lambda rows: rows[0].update(NO_CXR), "chexpert_edema is given for a missing X-ray"),
        ("train", lambda rows: rows[0].update(sample_id=-1), "row 0: sample_id -1 is negative"),
        ("train", lambda rows: rows[0].update(hadm_id=-rows[0]["hadm_id"]), "hadm_id -[0-9]+ or .* is not positive"),
        ("train", lambda rows: rows[0].update(subject_id=0), "subject_id 0 is not positive"),
        ("train", lambda rows: rows[0]["cxr"].update(path=None), "row 0: the path of cxr is None, not '.*png'"),
        ("train", swap_percentiles, "a percentile of Creatinine is not its position"),
        ("test", lambda rows: rows[0].update(subject_id=10_000_000), "occur in both"),
        ("train", lambda rows: rows[0].update(NO_ECG), "the spec requires 3"),
    ],
)  # fmt: skip
def test_verify_finds_broken_rules(copied: Path, split: str, change: object, words: str) -> None:
    if "in both" in words:
        in_train = {row["subject_id"] for row in rows_of(copied) if row["candidates"] is None}
        change = lambda rows: rows[0].update(subject_id=min(in_train))  # noqa: E731
    found = edit(copied, split, change)
    assert any(re.search(words, problem) for problem in found), found


def test_media_of_two_splits_are_compared_by_a_deep_look(copied: Path) -> None:
    """The drawn tree has one X-ray and one electrocardiogram for all, so each split is given its own first."""

    def give(split: str, number: int) -> list[str]:
        def change(rows: list[dict[str, Any]]) -> None:
            for row in rows:
                row["cxr"]["bytes"] = encoded(Image.new("L", (320, 320), number), "PNG")
                row["ecg"][:2] = [number, -number]

        return edit(copied, split, change)

    for number, split in enumerate(("train", "validation", "test"), start=1):
        give(split, number)
    assert problems(copied, deep=True) == []
    assert give("test", 1) == []
    told = [problem.partition(" have the same ")[2] for problem in problems(copied, deep=True)]
    assert told == [f"{column}, and 0 more occur in both test and train" for column in ("cxr", "ecg")]


def test_wrong_folders_are_told_apart(roots: Roots, tmp_path: Path) -> None:
    iv = roots.mimic_iv
    with pytest.raises(SourceError) as caught:
        build(replace(roots, mimic_iv=iv / "hosp"), tmp_path / "out")
    assert str(caught.value) == (
        f"`mimic_iv` has no table hosp/labevents (.csv.gz, .csv or .parquet), which MIMIC-IV 2.2 or 3.x has "
        f"({iv / 'hosp'}). Give `mimic_iv` {iv.resolve()}."
    )
    with pytest.raises(SourceError, match=rf"Give `mimic_iv` {iv}\."):
        build(replace(roots, mimic_iv=iv.parent), tmp_path / "out")
    with pytest.raises(SourceError, match=r"got no such folder\. Give `mimic_ecg` the folder that holds record_list"):
        build(replace(roots, mimic_ecg=tmp_path / "nowhere"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def damaged(tmp_path: Path, table: str, change: object) -> Roots:
    tree = whole_tree(tmp_path)
    written = tree.write()
    path = next(path for path in tree.tables() if table in path.name)
    data = path.read_bytes()
    text = gzip.decompress(data).decode() if path.suffix == ".gz" else data.decode()
    changed = change(text, data)  # type: ignore[operator]
    if isinstance(changed, str):
        changed = gzip.compress(changed.encode()) if path.suffix == ".gz" else changed.encode()
    put(path, changed)
    return written


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("labevents", lambda text, _: text.replace("valuenum", "number"), r"lacks the column valuenum, which MIMIC-IV"),
        ("labevents", lambda _, data: data[:-20], r"cannot be read: it was probably cut short .*SHA256SUMS"),
        ("patients", lambda _, data: data[: len(data) // 2], r"cannot be read: it was probably cut short"),
        ("labevents", lambda text, _: text.replace("\n3,", "\n6,"), r"value is listed twice .*got labevent_id 6"),
        ("labevents", lambda text, _: text.replace(f",{LAB},", ",creatinine,"), "that its column does not allow"),
        ("admissions", lambda text, _: text.replace("2150-03-01 12", "1 March"), "that its column does not allow"),
        ("admissions", lambda text, _: re.sub(r"(\n\d+,\d+),[^,]*", r"\1,", text),
         r"no line of a table can be used .*its line has no admittime: 12"),
        ("admissions", lambda text, _: text.replace(",20000001,", ",20000000,"), r"listed twice .*hadm_id 20000000"),
        ("patients", lambda text, _: text.replace("10000003", "10000099"),
         r"patients of 1 admission are not in the patients table .*got subject_id 10000003"),
        ("patients", lambda text, _: text.replace("10000003,F", "10000002,M"), r"a patient is listed twice"),
        ("chexpert", lambda text, _: text + text.splitlines()[1].replace("1.0", "0.0") + "\n",
         r"a study is listed twice"),
        ("metadata", lambda text, _: re.sub(r",[0-9.]+\n", ",nan\n", text),
         r"no line of a table can be used .*its study has no readable date and time: 12"),
        ("metadata", lambda text, _: text.replace(",AP,", ",LATERAL,"),
         r"no admission is left .*got admissions: 12; with a frontal chest X-ray 24 to 72 hours after admission: 0"),
        ("metadata", lambda text, _: "", r"lacks the column dicom_id.* got an empty first line\."),
        ("patients", lambda text, _: gzip.compress(text.encode("utf-16")), r"is not UTF-8 text .*got a first line"),
        ("patients", lambda text, _: text.replace("\n", "\r"), r"is not UTF-8 text .*ends of lines"),
        ("patients", lambda text, _: gzip.compress(text.encode().replace(b",F,", b",\xd6,")),
         r"is not UTF-8 text .*got a cell with other bytes"),
    ],
)  # fmt: skip
def test_damaged_tables_are_named(tmp_path: Path, table: str, change: object, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        build(damaged(tmp_path, table, change), tmp_path / "out")


@pytest.mark.parametrize(
    ("root", "other", "words"),
    [
        (
            "mimic_cxr",
            "mimic-cxr-2.1.0-metadata.csv",
            r"got mimic-cxr-2.*-metadata.csv.gz, mimic-cxr-2.1.0-metadata.csv",
        ),
        ("mimic_iv", "hosp/patients.csv", r"got hosp/patients.csv.gz, hosp/patients.csv\."),
        ("mimic_iv", "hosp/patients.parquet", r"got hosp/patients.csv.gz, hosp/patients.parquet\."),
    ],
)
def test_a_table_in_two_files_is_refused(tmp_path: Path, root: str, other: str, words: str) -> None:
    written = whole_tree(tmp_path).write()
    put(getattr(written, root) / other, b"of another time\n")
    with pytest.raises(SourceError, match=f"holds a table in several files, which may differ .*{words}"):
        build(written, tmp_path / "out")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_plain_csv_and_parquet_tables_do_too(tmp_path: Path, dataset: Path, form: str) -> None:
    import polars as pl

    tree = whole_tree(tmp_path)
    written = tree.write()
    for path in tree.tables():
        if path.suffix != ".gz":
            continue
        text = gzip.decompress(path.read_bytes())
        path.unlink()
        target = path.with_name(path.name.removesuffix(".csv.gz") + "." + form)
        if form == "csv":
            target.write_bytes(text)
        else:
            pl.read_csv(text, try_parse_dates=True, infer_schema_length=None).write_parquet(target)
    build(written, tmp_path / "out")
    assert [row | {"cxr": None} for row in rows_of(tmp_path / "out")] == [
        row | {"cxr": None} for row in rows_of(dataset)
    ]


def test_version_2_and_3_columns_are_ignored(tmp_path: Path) -> None:
    def more(text: str, _: bytes) -> str:
        lines = text.splitlines()
        return "\n".join([lines[0] + ",order_provider_id,priority", *(line + ",P12,STAT" for line in lines[1:])]) + "\n"

    assert build(damaged(tmp_path, "labevents", more), tmp_path / "out").splits["train"] == 6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": 11, "validation": 3}, r"ask for more rows than the cohort has; got 11 and 3 of 12 admissions"),
        (
            {"candidates": 9},
            r"asks for more than the validation split can give; got 9, and an admission with 2 of",
        ),
        ({"candidates": 2, "train": None, "validation": None}, r"the validation split can give; got 2"),
        ({"candidates": 3}, None),
    ],
)
def test_sizes_beyond_the_cohort_are_refused_before_media_are_read(
    roots: Roots, tmp_path: Path, changes: dict[str, Any], words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ReadError(Exception):
        pass

    def read(*_: object) -> None:
        raise ReadError

    monkeypatch.setattr("symile_data.builders.mimic.cohort.selection.prepare", read)
    with pytest.raises(UsageError if words else ReadError, match=words):
        build(roots, tmp_path / "out", **changes)


def test_an_empty_split_is_told(roots: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = build(roots, tmp_path / "out", train=12, validation=0)
    assert manifest.splits == {"train": 12}
    empty = [note.split(";")[0] for note in manifest.notes if "split is empty" in note]
    assert empty == ["The validation split is empty", "The test split is empty"]
    report(tmp_path / "out", manifest)
    assert "the validation split is empty\nthe test split is empty\n" in capsys.readouterr().out


def test_a_training_split_that_no_patient_fits_into_is_refused(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for number in range(3):
        tree.complete(10_000_000, number + 1)
    with pytest.raises(UsageError, match=r"no patient fits into the training split .*got 2 rows of 3 admissions"):
        build(tree.write(), tmp_path / "out", train=2, validation=0)


@pytest.mark.parametrize("changes", [{}, {"reference": True}, {"allow_missing": True}], ids=str)
def test_repeated_lines_change_nothing(roots: Roots, dataset: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Not even which admission gets which tests, as an offset of rows would."""
    tree = whole_tree(tmp_path)
    for rows in (tree.patients, tree.admissions, tree.pictures, tree.findings, tree.records, tree.labs):
        rows[4:4] = rows[:5]
    manifest = build(tree.write(), tmp_path / "out", **changes)
    plain = tmp_path / "plain"
    build(roots, plain, **changes)
    assert rows_of(tmp_path / "out") == rows_of(plain)
    reasons = {entry.reason for entry in manifest.dropped}
    assert len(reasons) == 6 and all(reason.endswith("its line repeats another one") for reason in reasons)
    assert problems(tmp_path / "out") == []


def test_media_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    tree = whole_tree(tmp_path)
    tree.files[next(path for path in tree.files if path.suffix == ".jpg")] = JPEG[:200]
    tree.records[3]["path"] += "x"
    manifest = build(tree.write(), tmp_path / "out", train=4)
    lines = [line.split("\t") for line in (tmp_path / "out" / "unusable_media.tsv").read_text().splitlines()]
    assert [(kind, reason) for kind, _, reason in lines] == [
        ("kind", "reason"),
        ("X-ray", "does not decode"),
        ("electrocardiogram", "file not found"),
    ]
    assert lines[2][1] == tree.records[3]["path"] and (tree.roots.mimic_cxr / lines[1][1]).is_file()
    assert "unusable_media.tsv" in {entry.path for entry in manifest.files}
    assert problems(tmp_path / "out") == []


def test_rows_that_do_not_fit_are_never_joined(roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a table to repeat an admission after all."""
    from symile_data.builders.mimic.cohort import selection as cohort

    whole = cohort._table
    monkeypatch.setattr(cohort, "_table", lambda *arguments: (rows := whole(*arguments)).vstack(rows[:1]))
    with pytest.raises(ValueError, match="13 admissions, but the laboratory values of 12"):
        build(roots, tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reference": True, "allow_missing": True}, "has neither `allow_missing` nor `within_stay`"),
        ({"reference": True, "within_stay": True}, "has neither"),
        ({"candidates": 1}, "`candidates` counts"),
        ({"train": 0}, "needs training rows"),
        ({"validation": -1}, "`validation` is a number from 0 to 1,000,000,000,000; got -1"),
        ({"train": 10**20}, "`train` is a number from 0 to 1,000"),
        ({"patients": 3}, "`patients` is a number from 20 to 10,000,000; got 3"),
        ({"patients": 10**7 + 1}, "`patients` is a number from 20 to 10,000,000"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        MimicSpec(**changes)


def test_a_reference_build_stops_where_the_public_pipeline_stops(tmp_path: Path) -> None:
    tree = whole_tree(tmp_path / "a")
    path = next(path for path in tree.files if path.suffix == ".jpg")
    tree.files[path] = JPEG[:100]
    with pytest.raises(SourceError, match=r"X-ray does not decode, where the public pipeline stops"):
        build(tree.write(), tmp_path / "out", reference=True)
    tree = whole_tree(tmp_path / "b")
    tree.pictures[4]["StudyTime"] = ""
    with pytest.raises(SourceError, match=r"has no readable StudyDate and StudyTime, .*line 6"):
        build(tree.write(), tmp_path / "out2", reference=True)
    tree = whole_tree(tmp_path / "c")
    tree.admissions[4]["admittime"] = ""
    with pytest.raises(SourceError, match=r"an admission has no time"):
        build(tree.write(), tmp_path / "out3", reference=True)


def test_the_stored_signal_is_the_record(dataset: Path, roots: Roots) -> None:
    import wfdb

    row = rows_of(dataset)[0]
    record = f"files/p{row['subject_id'] // 10_000}/p{row['subject_id']}/s{row['ecg_study_id']}/{row['ecg_study_id']}"
    volts = wfdb.rdrecord(str(roots.mimic_ecg / record)).p_signal
    np.testing.assert_array_equal(np.array(row["ecg"]).reshape(12, 5000) / 200, volts.T)
    assert row["age"] == 60 + START.year - 2148
