"""Columns about the stay, from the releases' tables to the rows: deaths, lengths and chapters of diagnoses."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from factories import problems, relist
from mimic_tree import START, Tree

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.cohort.diagnoses import read_chapters
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.cards import write_card
from symile_data.datasets.mimic.icd import CHAPTER_COLUMNS
from symile_data.datasets.mimic.schema import STAY_COLUMNS
from symile_data.errors import SourceError
from symile_data.format import manifest as manifests
from symile_data.format.manifest import Manifest

FIRST = 10_000_000
STAY = 20_000_000


def told_tree(root: Path) -> Tree:
    """Four stays: one ends by death, one is coded in ICD-9, one has no diagnosis, one is of unknown length."""
    tree = Tree(root)
    for number in range(4):
        subject_id, hadm_id = FIRST + number, STAY + number
        tree.complete(subject_id, hadm_id)
        tree.admissions[-1] |= {"hospital_expire_flag": int(number == 1)}
    tree.admissions[0]["dischtime"] = START + timedelta(days=3, hours=6)
    tree.admissions[3]["dischtime"] = ""
    for code in ("I4891", "I5020", "N17.9"):
        tree.diagnose(FIRST, STAY, code)
    tree.diagnose(FIRST + 1, STAY + 1, "486", version=9)
    tree.diagnose(FIRST + 3, STAY + 3, "ZZZ")
    tree.diagnose(FIRST + 9, STAY + 900, "I10")  # of no stay of the cohort
    return tree


def build(tree: Tree, out: Path, **changes: Any) -> Manifest:
    spec = MimicSpec(roots=tree.write(), train=4, validation=0, **changes)
    return build_mimic(spec, out, workers=1, write_card=changes.pop("card", no_card))


def stored(out: Path) -> dict[int, dict[str, Any]]:
    rows = [row for entry in manifests.read(out).shards() for row in pq.read_table(out / entry.path).to_pylist()]
    return {row["hadm_id"]: row for row in rows}


def test_each_stay_has_its_end_and_its_chapters(tmp_path: Path) -> None:
    manifest = build(told_tree(tmp_path / "tree"), tmp_path / "out")
    rows = stored(tmp_path / "out")
    assert list(rows[STAY])[-len(STAY_COLUMNS) - 1 : -1] == list(STAY_COLUMNS)
    assert {row["admittime"] for row in rows.values()} == {"2150-03-01 12:00:00"}
    assert [rows[STAY + n]["length_of_stay_days"] for n in range(4)] == [3.25, 5.0, 5.0, None]
    assert [rows[STAY + n]["hospital_expire_flag"] for n in range(4)] == [0, 1, 0, 0]
    coded = [{name for name in CHAPTER_COLUMNS if row[name] == 1} for row in rows.values()]
    assert coded == [{"icd_circulatory", "icd_genitourinary"}, {"icd_respiratory"}, set(), set()]
    unknown = [{name for name in CHAPTER_COLUMNS if row[name] is None} for row in rows.values()]
    assert unknown == [set(), set(), set(CHAPTER_COLUMNS), set()]
    assert "diagnosis: its code lies in no chapter of ICD-9-CM or ICD-10-CM" in [d.reason for d in manifest.dropped]
    assert set(manifest.identity.sources["records"]["tables"]) >= {"hosp/diagnoses_icd", "hosp/admissions"}
    assert not any("are absent" in note or "is absent" in note for note in manifest.notes)
    assert problems(tmp_path / "out") == []


def test_without_table_or_column_the_columns_are_absent_and_a_note_says_why(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    for number in range(4):
        tree.complete(FIRST + number, STAY + number)
    manifest = build(tree, tmp_path / "out")
    names = set(stored(tmp_path / "out")[STAY])
    assert names & set(STAY_COLUMNS) == {"admittime", "length_of_stay_days"}
    notes = " ".join(manifest.notes)
    assert "hospital_expire_flag is absent, because hosp/admissions has no such column" in notes
    assert "icd_* are absent, because the folder of MIMIC-IV has no table hosp/diagnoses_icd" in notes
    assert "hosp/diagnoses_icd" not in manifest.identity.sources["records"]["tables"]
    assert problems(tmp_path / "out") == []


def test_the_reference_mode_has_the_columns_too(tmp_path: Path) -> None:
    build(told_tree(tmp_path / "tree"), tmp_path / "out", reference=True)
    assert set(stored(tmp_path / "out")[STAY]) >= set(STAY_COLUMNS)


def test_the_card_says_what_each_label_leaks(tmp_path: Path) -> None:
    out = tmp_path / "out"
    spec = MimicSpec(roots=told_tree(tmp_path / "tree").write(), train=4, validation=0)
    build_mimic(spec, out, workers=1, write_card=write_card)
    text = (out / "README.md").read_text()
    assert "- `length_of_stay_days` is known only after discharge." in text
    assert "- `hospital_expire_flag` is known only at the end of the stay." in text
    assert "- `icd_*` are coded for billing after discharge" in text
    assert "AUROC" not in text and "sample" not in json.loads((out / "stats.json").read_text())
    assert (out / "figures" / "diagnoses.png").exists() and not (out / "figures" / "icd_blood.png").exists()
    assert "1 where the patient died in this stay; a label" in (out / "croissant.json").read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"subject_id": FIRST + 3}, "a diagnosis names another patient than its admission"),
        ({"icd_version": "X"}, "icd_version 'X', which is not a whole number"),
        ({"hadm_id": -4}, "hadm_id '-4', which is not a whole number from 1"),
    ],
)
def test_a_wrong_line_of_diagnoses_stops_the_build(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    tree = told_tree(tmp_path / "tree")
    tree.diagnoses[1] |= change
    with pytest.raises(SourceError, match=told) as caught:
        build(tree, tmp_path / "out")
    assert "diagnoses_icd.csv.gz, line 3" in str(caught.value)


def test_a_wrong_flag_stops_the_build(tmp_path: Path) -> None:
    tree = told_tree(tmp_path / "tree")
    tree.admissions[2]["hospital_expire_flag"] = 2
    with pytest.raises(SourceError, match="hospital_expire_flag '2', which is not 0, 1 or empty"):
        build(tree, tmp_path / "out")


def test_repeated_and_empty_lines_of_diagnoses_are_counted(tmp_path: Path) -> None:
    tree = told_tree(tmp_path / "tree")
    tree.diagnoses.append({**tree.diagnoses[0], "seq_num": 99})
    tree.diagnose(FIRST, STAY, "")
    admissions = pl.DataFrame({"hadm_id": [STAY, STAY + 1], "subject_id": [FIRST, FIRST + 1]})
    roots = tree.write()
    flags, dropped = read_chapters(roots.mimic_iv / "hosp" / "diagnoses_icd.csv.gz", admissions)
    assert flags["hadm_id"].to_list() == [STAY, STAY + 1]
    assert flags["icd_circulatory"].to_list() == [1, 0] and flags["icd_respiratory"].to_list() == [0, 1]
    assert {entry.reason: entry.count for entry in dropped} == {
        "diagnosis: its line has no icd_code": 1,
        "diagnosis: its line repeats another one": 1,
    }


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("hospital_expire_flag", 2, "hospital_expire_flag is neither 0 nor 1"),
        ("icd_blood", None, "a stay has some of the columns icd_* and lacks others"),
        ("icd_blood", -1, "icd_blood is neither 0 nor 1"),
        ("admittime", "yesterday", "admittime 'yesterday' is not a time"),
    ],
)
def test_verify_finds_wrong_columns(tmp_path: Path, column: str, value: Any, told: str) -> None:
    out = tmp_path / "out"
    build(told_tree(tmp_path / "tree"), out)
    path = next((out / "data").glob("*.parquet"))
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0][column] = value
    pq.write_table(table.from_pylist(rows, schema=table.schema), path, write_page_checksum=True)
    relist(out)
    assert any(told in problem for problem in problems(out))
