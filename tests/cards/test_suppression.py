"""What is withheld of patients' data cannot be calculated: an attacker's linear programs, on invented cohorts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from symile_data.cards.descriptions import DESCRIPTIONS
from symile_data.cards.statistics.suppression import publishable
from symile_data.datasets.mimic.schema import mimic_schema
from symile_data.format.disclosure import LEAST

TESTS = ("pH", "Lactate")
SPLITS = ("train", "test")
MODALITIES = ("cxr", "ecg", "labs")
CHAPTERS = ("icd_blood", "icd_eye")  # null in the same rows
PATTERNS = ("", "cxr", "ecg", "labs", "cxr+ecg", "cxr+labs", "ecg+labs")


@st.composite
def cohorts(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    """Rows of each split; probabilities are drawn so that rare groups are common."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rarity = draw(st.sampled_from([0.02, 0.1, 0.4]))
    rows: dict[str, list[dict[str, Any]]] = {}
    for number, split in enumerate(SPLITS):
        rows[split] = []
        for row in range(draw(st.integers(20, 400))):
            lacks = {name for name in MODALITIES if random.random() < rarity}
            lacks = set() if len(lacks) == 3 else lacks
            tests = {test for test in TESTS if "labs" not in lacks and random.random() > rarity}
            if "labs" not in lacks and not tests:
                tests = {TESTS[0]}
            rows[split].append(
                {
                    "lacks": lacks,
                    "view_position": _pick(random, "AP PA LL", rarity, rarity / 4, lacks & {"cxr"}),
                    "chexpert_edema": _pick(random, "0 1 -1", rarity, 0.5, lacks & {"cxr"}),
                    "gender": _pick(random, "F M", rarity, rarity / 4),
                    **_pick_chapters(random, rarity),
                    "subject": f"{number}-{row if random.random() > rarity else 0}",
                    "cxr_hour": int(min(random.geometric(0.5), 6)) - 1,
                    "size": _pick(random, "320 390 400", rarity),
                    "lab_hours": {test: int(min(random.geometric(0.4), 6)) - 1 for test in tests},
                }
            )
    return rows


def _pick_chapters(random: np.random.Generator, rarity: float) -> dict[str, str | None]:
    coded = random.random() > rarity / 2
    return {name: _pick(random, "0 1", rarity) if coded else None for name in CHAPTERS}


def _pick(
    random: np.random.Generator, values: str, rarity: float, null: float = 0, gone: Collection[str] = ()
) -> str | None:
    if gone or random.random() < null:
        return None
    first, *others = values.split()
    return first if random.random() > rarity else others[int(random.integers(len(others)))]


def counted(cohort: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The statistics, as cards count them."""
    rows = {split: len(of) for split, of in cohort.items()}
    every = [row for of in cohort.values() for row in of]
    with_cxr = [row for row in every if "cxr" not in row["lacks"]]

    def category(name: str) -> dict[str, dict[str, int]]:
        return {split: dict(Counter(str(row[name] or "null") for row in of)) for split, of in cohort.items()}

    def bins(values: list[int]) -> list[int]:
        return np.bincount(values, minlength=6).tolist()

    patterns = {split: Counter("+".join(sorted(row["lacks"])) for row in of) for split, of in cohort.items()}
    return {
        "rows": rows,
        "missing": {
            split: {
                "rates": {name: round(sum(name in row["lacks"] for row in of) / len(of), 6) for name in MODALITIES},
                "patterns": dict(patterns[split]),
            }
            for split, of in cohort.items()
        },
        "categories": {name: category(name) for name in ("view_position", "chexpert_edema", "gender", *CHAPTERS)},
        "identifiers": {
            "subject_id": {
                "distinct": {split: len({row["subject"] for row in of}) for split, of in cohort.items()},
                "shared": {"train+test": 0},
            },
            "cxr_dicom_id": {
                "distinct": {split: sum("cxr" not in row["lacks"] for row in of) for split, of in cohort.items()},
                "shared": {"train+test": 0},
            },
        },
        "vectors": {},
        "media": {
            "cxr": {
                "measured": len(with_cxr),
                "unreadable": 0,
                "formats": {"PNG": len(with_cxr)},
                "sizes": [[int(size), 320, n] for size, n in Counter(row["size"] for row in with_cxr).items()],
            }
        },
        "measured": {
            split: {test: sum(test in row["lab_hours"] for row in of) for test in TESTS} for split, of in cohort.items()
        },
        "hours": {
            "cxr_hours": {"counts": bins([row["cxr_hour"] for row in with_cxr])},
            "labs_hours": {"counts": bins([hour for row in every for hour in row["lab_hours"].values()])},
        },
    }


class Attack:
    """Everything that is known of the published numbers: each is a sum of groups of rows, none of them negative."""

    def __init__(self, true: dict[str, Any], shown: dict[str, Any]) -> None:
        self.true: dict[tuple[Any, ...], int] = {}
        self.equations: list[tuple[dict[tuple[Any, ...], float], float]] = []
        self._know(true, shown)

    def _group(self, key: tuple[Any, ...], count: int) -> tuple[Any, ...]:
        self.true[key] = count
        return key

    def _equal(self, parts: dict[tuple[Any, ...], float], total: float) -> None:
        assert sum(factor * self.true[key] for key, factor in parts.items()) == pytest.approx(total), parts
        self.equations.append((parts, total))

    def _published(self, key: tuple[Any, ...], value: float | None) -> None:
        if value is not None:
            self._equal({key: 1}, value)

    def _know(self, true: dict[str, Any], shown: dict[str, Any]) -> None:
        lacking: dict[tuple[str, str], dict[tuple[Any, ...], float]] = {}
        for split, rows in true["rows"].items():
            patterns = true["missing"][split]["patterns"]
            cells = [self._group(("pattern", split, p), patterns.get(p, 0)) for p in PATTERNS]
            self._equal(dict.fromkeys(cells, 1), rows)
            for key in cells:
                if not patterns.get(key[2], 0):
                    self._equal({key: 1}, 0)  # more than an attacker knows
                self._published(key, shown["missing"][split]["patterns"].get(key[2]))
            for name in MODALITIES:
                lacking[split, name] = {key: 1 for key in cells if name in key[2].split("+")}
                rate = shown["missing"][split]["rates"][name]
                if rate is not None:
                    self._equal(lacking[split, name], round(rate * rows))
            for column, owner in {"view_position": "cxr", "chexpert_edema": "cxr", "gender": ""}.items():
                counts, told = true["categories"][column][split], shown["categories"][column][split]
                absent = lacking.get((split, owner), {})
                own = self._group((column, split, "null"), counts.get("null", 0) - self._sum(absent))
                values = [self._group((column, split, v), n) for v, n in counts.items() if v != "null"]
                self._equal({**dict.fromkeys([own, *values], 1), **absent}, rows)
                if "null" in told:
                    self._equal({own: 1, **absent}, told["null"])
                for key in values:
                    self._published(key, told.get(key[2]))
            uncoded = self._group(("no diagnosis", split), true["categories"][CHAPTERS[0]][split].get("null", 0))
            for column in CHAPTERS:
                counts, told = true["categories"][column][split], shown["categories"][column][split]
                values = [self._group((column, split, v), n) for v, n in counts.items() if v != "null"]
                self._equal(dict.fromkeys([uncoded, *values], 1), rows)
                self._published(uncoded, told.get("null"))
                for key in values:
                    self._published(key, told.get(key[2]))
            for column, owner in {"subject_id": "", "cxr_dicom_id": "cxr"}.items():
                absent = lacking.get((split, owner), {})
                count = true["identifiers"][column]["distinct"][split]
                one = self._group((column, split, "distinct"), count)
                again = self._group((column, split, "repeats"), rows - count - self._sum(absent))
                self._equal({one: 1, again: 1, **absent}, rows)
                self._published(one, shown["identifiers"][column]["distinct"][split])
            for test, count in true["measured"][split].items():
                absent = lacking[split, "labs"]
                one = self._group(("measured", split, test), count)
                other = self._group(("others", split, test), rows - count - self._sum(absent))
                self._equal({one: 1, other: 1, **absent}, rows)
                self._published(one, shown["measured"][split][test])
        everything = sum(true["rows"].values())
        absent = {key: 1.0 for split in true["rows"] for key in lacking[split, "cxr"]}
        counts, told_counts = (of["hours"]["cxr_hours"]["counts"] for of in (true, shown))
        self._partition("hour", counts, told_counts, absent, everything)
        media, told = true["media"]["cxr"], shown["media"]["cxr"]
        sizes = {(w, h): n for w, h, n in told["sizes"]}
        told_sizes = [sizes.get((w, h)) for w, h, _ in media["sizes"]]
        self._partition("size", [n for *_, n in media["sizes"]], told_sizes, absent, everything)
        self._partition("format", list(media["formats"].values()), list(told["formats"].values()), absent, everything)
        self._partition("media", [media["measured"]], [told["measured"]], absent, everything)
        measured = {key: -1.0 for key in self.true if key[0] == "measured"}
        counts, told_counts = (of["hours"]["labs_hours"]["counts"] for of in (true, shown))
        self._partition("lab hour", counts, told_counts, measured, 0)

    def _partition(
        self, name: str, counts: list[int], told: list[Any], others: dict[tuple[Any, ...], float], total: float
    ) -> None:
        cells = [self._group((name, place), count) for place, count in enumerate(counts)]
        self._equal({**dict.fromkeys(cells, 1.0), **others}, total)
        for key, value in zip(cells, told, strict=True):
            self._published(key, value)

    def _sum(self, keys: dict[tuple[Any, ...], float]) -> int:
        return sum(self.true[key] for key in keys)

    def bounds(self) -> Iterator[tuple[tuple[Any, ...], float, float]]:
        """(group, least, most) of each group of 1 to 9 rows."""
        places = {key: place for place, key in enumerate(self.true)}
        matrix = np.zeros((len(self.equations), len(places)))
        for row, (parts, _) in enumerate(self.equations):
            for key, factor in parts.items():
                matrix[row, places[key]] += factor
        totals = [total for _, total in self.equations]
        for key, count in self.true.items():
            if 0 < count < LEAST:
                aim = np.zeros(len(places))
                aim[places[key]] = 1
                found = [linprog(sign * aim, A_eq=matrix, b_eq=totals, method="highs") for sign in (1, -1)]
                assert all(result.status == 0 or result.status == 3 for result in found), found
                yield key, found[0].fun, np.inf if found[1].status == 3 else -found[1].fun


@settings(max_examples=20)
@given(cohort=cohorts())
def test_no_small_count_follows_from_what_is_published(cohort: dict[str, list[dict[str, Any]]]) -> None:
    true = counted(cohort)
    shown = publishable(true, mimic_schema().modalities, DESCRIPTIONS["symile-mimic"])
    for key, least, most in Attack(true, shown).bounds():
        assert most >= LEAST - 1e-6 and most - least > 1e-6, key


def test_large_counts_are_told_as_they_are() -> None:
    row = {
        "lacks": set(), "view_position": "AP", "chexpert_edema": "1", "gender": "F", "cxr_hour": 2, "size": "320",
        "lab_hours": dict.fromkeys(TESTS, 1), **dict.fromkeys(CHAPTERS, "0"),
    }  # fmt: skip
    changed = row | {"lacks": {"ecg"}, "gender": "M", "view_position": "PA", "cxr_hour": 3}
    rows = [{**(changed if number < 12 else row), "subject": str(number)} for number in range(50)]
    true = counted(dict.fromkeys(SPLITS, rows))
    assert publishable(true, mimic_schema().modalities, DESCRIPTIONS["symile-mimic"]) == true


def test_a_withheld_count_takes_the_next_with_it() -> None:
    statistics = {
        "rows": {"train": 100},
        "missing": {"train": {"rates": {"cxr": 0.04, "ecg": 0.2}, "patterns": {"": 76, "cxr": 4, "ecg": 20}}},
        "categories": {"gender": {"train": {"F": 95, "M": 5}}, "view_position": {"train": {"AP": 96, "null": 4}}},
        "measured": {"train": {"pH": 7, "pO2": 70, "Lactate": 97}},
    }
    shown = publishable(statistics, mimic_schema().modalities, DESCRIPTIONS["symile-mimic"])
    assert shown["missing"]["train"] == {"rates": {"cxr": None, "ecg": None}, "patterns": {"": 76}}
    assert shown["categories"] == {"gender": {"train": {}}, "view_position": {"train": {}}}
    assert shown["measured"]["train"] == {"pH": None, "pO2": 70, "Lactate": None}


def test_a_null_group_of_several_columns_is_told_in_all_or_none() -> None:
    """15 null rows beside 3 of a value: hiding both in one column only, the other would tell."""
    statistics = {
        "rows": {"train": 118, "test": 105},
        "categories": {
            "icd_blood": {"train": {"0": 100, "1": 3, "null": 15}, "test": {"0": 80, "1": 20, "null": 5}},
            "icd_eye": {"train": {"0": 70, "1": 33, "null": 15}, "test": {"0": 100, "null": 5}},
        },
    }
    shown = publishable(statistics, mimic_schema().modalities, DESCRIPTIONS["symile-mimic"])["categories"]
    assert shown["icd_blood"] == {"train": {"null": 15}, "test": {"0": 80}}
    assert shown["icd_eye"] == {"train": {"0": 70, "1": 33, "null": 15}, "test": {}}


def test_times_make_up_for_every_withheld_test() -> None:
    """3 rows without tests are withheld, so each test that all others have is; all of them may change at once."""
    tests = [f"test {number}" for number in range(8)]
    statistics = {
        "rows": {"train": 103},
        "missing": {"train": {"rates": {"labs": 0.029126}, "patterns": {"": 80, "cxr": 20, "labs": 3}}},
        "measured": {"train": dict.fromkeys(tests, 100)},
        "hours": {"labs_hours": {"counts": [12, 30, 40, 318, 400]}},
    }
    shown = publishable(statistics, mimic_schema().modalities, DESCRIPTIONS["symile-mimic"])
    assert shown["measured"]["train"] == dict.fromkeys(tests)
    assert shown["hours"]["labs_hours"]["counts"] == [None, None, None, 318, 400]
