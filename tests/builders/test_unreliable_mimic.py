"""Symile-MIMIC with misaligned and noisy values: donors are other patients', what follows a value, what verify sees."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import contents, problems, relist, rows_of
from mimic_tree import START, Tree
from PIL import Image
from pyarrow import Table
from pyarrow import parquet as pq

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.engine.noise import noisy_labs, noisy_png, noisy_record
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.spec import MimicSpec, Roots
from symile_data.cards import write_card
from symile_data.errors import UsageError
from symile_data.loaders import BatchLoader, Variation, open_split
from symile_data.noise import noise_generator
from symile_data.reliability import Reliability

pytestmark = pytest.mark.usefixtures("no_figures")

FOLLOWING = {
    "cxr": ("cxr_study_id", "cxr_hours", "view_position"),
    "ecg": ("ecg_hours",),
    "labs": ("labs_hours", "labs_missing"),
}
VALUES = {"cxr": ("cxr", "cxr_dicom_id"), "ecg": ("ecg", "ecg_study_id"), "labs": ("labs", "labs_percentile")}
SWAPS = {"cxr": 0.6, "ecg": 0.6, "labs": 0.6}
SETTINGS = Reliability(misaligned=SWAPS, noisy={"cxr": 0.4, "ecg": 0.4, "labs": 0.4}, misaligned_test=True)


def build(roots: Roots, out: Path, reliability: Reliability, workers: int = 1, **changes: Any) -> Path:
    spec = MimicSpec(roots=roots, train=16, validation=5, candidates=2, reliability=reliability, **changes)
    build_mimic(spec, out, workers=workers, write_card=no_card)
    return out


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Roots:
    """Twenty patients, six of whom have two admissions."""
    tree = Tree(tmp_path_factory.mktemp("tree"))
    for number in range(20):
        tree.complete(10_000_000 + number, 20_000_000 + number)
        if number < 6:
            tree.complete(10_000_000 + number, 20_000_100 + number, START + timedelta(days=400 + number))
    return tree.write()


@pytest.fixture(scope="module")
def builds(roots: Roots, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A build with everything affected, and the same build with reliable modalities."""
    out = tmp_path_factory.mktemp("mimic")
    return build(roots, out / "affected", SETTINGS), build(roots, out / "clean", Reliability())


def rows_by_id(directory: Path) -> dict[int, dict[str, Any]]:
    return {row["sample_id"]: row for split in ("train", "validation", "test") for row in rows_of(directory, split)}


def test_rows_show_values_of_other_patients_with_what_describes_them(builds: tuple[Path, Path]) -> None:
    affected, clean = map(rows_by_id, builds)
    assert problems(builds[0]) == []
    first = {row["sample_id"] for row in rows_of(builds[0], "train")}
    counts = dict.fromkeys(SWAPS, 0)
    for sample_id, row in affected.items():
        own = clean[sample_id]
        labels = [name for name in row if name.startswith("chexpert")] + ["hadm_id", "gender", "age", "candidates"]
        assert [row[name] for name in labels] == [own[name] for name in labels]
        for name, columns in FOLLOWING.items():
            donor = row[f"{name}_donor"]
            assert row[f"{name}_misaligned"] == (donor >= 0)
            shown = clean[donor] if donor >= 0 else own
            if donor >= 0:
                assert shown["subject_id"] != row["subject_id"]
                assert (donor in first) == (sample_id in first)
            assert [row[column] for column in columns] == [shown[column] for column in columns]
            same = [row[column] for column in VALUES[name]] == [shown[column] for column in VALUES[name]]
            assert same == (not row[f"{name}_noisy"])
            counts[name] += donor >= 0
    assert min(counts.values()) > 5


def test_noisy_values_are_those_of_the_seed(builds: tuple[Path, Path]) -> None:
    affected, clean = map(rows_by_id, builds)
    seen = 0
    for sample_id, row in affected.items():
        shown = {name: clean[row[f"{name}_donor"] if row[f"{name}_misaligned"] else sample_id] for name in SWAPS}
        if row["cxr_noisy"]:
            expected = noisy_png(shown["cxr"]["cxr"]["bytes"], 25.0, noise_generator(0, sample_id, "cxr"))
            assert row["cxr"]["bytes"] == expected
            assert Image.open(io.BytesIO(expected)).mode == "L"
            assert row["cxr_dicom_id"] == f"{shown['cxr']['cxr_dicom_id']}-noisy-{sample_id}"
            seen += 1
        if row["ecg_noisy"]:
            record = np.array(shown["ecg"]["ecg"], dtype=np.int16).reshape(12, -1)
            expected_record = noisy_record(record, 10.0, noise_generator(0, sample_id, "ecg"))
            assert row["ecg"] == expected_record.ravel().tolist()
        if row["labs_noisy"]:
            values = np.array(shown["labs"]["labs"], dtype=float)
            noisy = noisy_labs(values, 0.3, noise_generator(0, sample_id, "labs")).astype(np.float32)
            assert np.array_equal(np.array(row["labs"], dtype=np.float32), noisy, equal_nan=True)
            train = np.array([clean[one]["labs"] for one in clean if clean[one]["candidates"] is None], dtype=float)
            for test in np.flatnonzero(~np.isnan(noisy)).tolist():
                known = train[~np.isnan(train[:, test]), test]
                share = (known <= noisy_labs(values, 0.3, noise_generator(0, sample_id, "labs"))[test]).mean()
                assert row["labs_percentile"][test] == pytest.approx(share, abs=1e-6)
    assert seen > 3


@pytest.mark.usefixtures("shared_workers")
def test_bytes_do_not_depend_on_workers_and_reliable_builds_have_no_new_columns(
    roots: Roots, builds: tuple[Path, Path], tmp_path: Path
) -> None:
    assert contents(build(roots, tmp_path / "two", SETTINGS, workers=2)) == contents(builds[0])
    columns = pq.read_schema(next((builds[1] / "data").glob("train-*"))).names
    assert not [name for name in columns if name.endswith(("_misaligned", "_donor", "_noisy"))]


def test_verify_finds_a_donor_of_the_same_patient_and_values_that_are_no_donors(
    roots: Roots, builds: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = build(roots, tmp_path / "copy", SETTINGS)
    path = next((copy / "data").glob("train-*"))
    rows = rows_of(copy, "train")

    def told(**changes: Any) -> str:
        changed = [{**row, **changes} if row is chosen else row for row in rows]
        pq.write_table(Table.from_pylist(changed, schema=pq.read_schema(path)), path)
        relist(copy)
        return " ".join(problems(copy))

    chosen = next(row for row in rows if row["labs_misaligned"] and not row["labs_noisy"])
    again = [row for row in rows if row["subject_id"] == chosen["subject_id"] and row is not chosen]
    other = again[0]["sample_id"] if again else chosen["sample_id"]
    assert "labs_donor is not what the seed draws" in told(labs_donor=other)
    assert "labs_noisy is not what the seed draws" in told(labs_noisy=True)
    measured = next(index for index, value in enumerate(chosen["labs"]) if value is not None)
    placed = [0.0 if index == measured else value for index, value in enumerate(chosen["labs_percentile"])]
    values = [1e6 if index == measured else value for index, value in enumerate(chosen["labs"])]
    assert "is smaller than that of a smaller value" in told(labs=values, labs_percentile=placed)


def test_rows_that_lack_a_modality_neither_lend_nor_borrow_it(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    for number in range(30):
        subject, hadm = 10_000_000 + number, 20_000_000 + number
        tree.admit(subject, hadm, START)
        tree.picture(subject, 30, START)
        tree.lab(subject, 2, float(number), START)
        if number % 3:
            tree.record(subject, 1, START)
    out = build(tree.write(), tmp_path / "out", Reliability(misaligned={"ecg": 1.0}), allow_missing=True)
    assert problems(out) == []
    rows = {split: rows_of(out, split) for split in ("train", "validation", "test")}
    for row in [*rows["train"], *rows["validation"]]:
        assert row["ecg_misaligned"] == (not row["ecg_missing"])
        assert (row["ecg"] is None) == row["ecg_missing"]
    assert any(row["ecg_missing"] for row in rows["train"])
    assert not any(row["ecg_misaligned"] for row in rows["test"])


def test_a_loader_misaligns_the_same_rows(builds: tuple[Path, Path]) -> None:
    affected, clean = builds
    split = open_split(clean, "train")
    loader = BatchLoader(split, split.rows, shuffle=False, cache=True, variation=Variation(misaligned=SWAPS))
    batch = next(iter(loader))
    expected = {name: [row[f"{name}_donor"] for row in rows_of(affected, "train")] for name in SWAPS}
    assert {name: batch[f"{name}_donor"].tolist() for name in SWAPS} == expected
    anyone = Variation(misaligned=SWAPS, donors_differ_in="")
    other = next(iter(BatchLoader(split, split.rows, shuffle=False, cache=True, variation=anyone)))
    assert {name: other[f"{name}_donor"].tolist() for name in SWAPS} != expected
    with pytest.raises(UsageError, match="donors_differ_in names no column"):
        BatchLoader(split, 2, cache=True, variation=Variation(donors_differ_in="patient"))


def test_the_card_says_rates_and_withholds_shares_of_few_patients(roots: Roots, tmp_path: Path) -> None:
    spec = MimicSpec(roots=roots, train=16, validation=5, candidates=2, reliability=SETTINGS)
    build_mimic(spec, tmp_path / "m", workers=1, write_card=write_card)
    card = (tmp_path / "m" / "README.md").read_text()
    assert "| ecg | noise at a signal-to-noise ratio of 10 dB in each lead | 0.4 | withheld |" in card
    assert "each value times a factor whose logarithm has a standard deviation of 0.3" in card


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Reliability(misaligned={"image": 0.1}), "`misaligned` names a modality"),
        (Reliability(noisy={"labs": 0.1}, noise_levels={"labs": 3.0}), "from 0 to 2"),
        (Reliability(noisy={"ecg": 0.1}, noise_levels={"ecg": 90.0}), "from -30 to 60"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: Reliability, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        MimicSpec(reliability=settings)


def test_the_noise_of_records_and_tests_has_its_level() -> None:
    rng = np.random.default_rng(0)
    record = np.stack([100 + 300 * np.sin(np.arange(5000) / 9), np.full(5000, 7.0)]).astype(np.int16)
    noisy = noisy_record(record, 0.0, rng)
    assert abs((noisy[0] - record[0].astype(float)).std() / record[0].std() - 1) < 0.05
    assert (noisy[1] == 7).all()
    loud = noisy_record(np.array([[32_000, -32_000] * 2000], dtype=np.int16), 0.0, rng)
    assert loud.min() == -32_767  # not -32768, which means unknown
    factors = noisy_labs(np.full(20_000, -2.0), 0.3, rng) / -2.0
    assert abs(np.log(factors).std() - 0.3) < 0.01
