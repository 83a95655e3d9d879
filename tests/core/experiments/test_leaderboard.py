"""The leaderboard says what the tests say, and its page and files are those that follow from them."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_layers import REPOSITORY

from symile_data.errors import SourceError
from symile_data.evaluation.comparison import summary
from symile_data.experiments.leaderboard import (
    Entry,
    Run,
    compared_entries,
    leaderboard_csv,
    ranked,
    read_leaderboard,
    swept_entries,
)
from symile_data.experiments.objectives import read_tests, summaries, tidy_csv
from symile_data.experiments.xor import p_hat_row

RESULTS = REPOSITORY / "docs" / "results"
RUN = Run(command="symile-data reproduce objectives --out mine", version="9.9")
ENTRY = Entry(
    dataset="XOR, M = 3, d = 5",
    setting="linear encoders",
    objective="symile",
    seeds=3,
    mean=0.5,
    low=0.25,
    high=0.75,
    best=1.0,
    pairs=None,
    random_candidate=0.03125,
    command='symile-data reproduce xor --out "a,b"',
    version="0.2.0",
)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("leaderboard_script", REPOSITORY / ".ci" / "leaderboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault(spec.name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["objectives.csv", "robustness.csv"])
def test_the_table_of_tests_is_read_as_it_was_written(name: str) -> None:
    text = (RESULTS / name).read_text(encoding="utf-8")
    rows = read_tests(text)
    assert tidy_csv(rows) == text
    assert len({(row["point"], row["objective"], row["seed"]) for row in rows}) == len(rows)


def test_each_mean_and_interval_is_that_of_its_tests(script: ModuleType) -> None:
    board = read_leaderboard((RESULTS / "leaderboard.csv").read_text(encoding="utf-8"))
    values: dict[tuple[str, ...], list[float]] = {}
    for name, run in script.RUNS.items():
        for row in read_tests((RESULTS / name).read_text(encoding="utf-8")):
            (entry,) = compared_entries(summaries([row]), run)
            key = (entry.dataset, entry.setting, entry.objective, entry.command)
            values.setdefault(key, []).append(row["accuracy"])
    assert len(board) == len(values) > 600
    for entry in board:
        found = summary(values[entry.dataset, entry.setting, entry.objective, entry.command], shares=True)
        assert entry.seeds == len(found["values"])
        assert (entry.mean, entry.low, entry.high) == pytest.approx(
            (found["mean"], found["low"], found["high"]), rel=1e-5
        )


def test_page_and_table_follow_from_the_tests(script: ModuleType) -> None:
    hint = "run python .ci/leaderboard.py"
    board = [entry for found in script.entries().values() for entry in found]
    assert (RESULTS / "leaderboard.csv").read_text(encoding="utf-8") == leaderboard_csv(board), hint
    page = (REPOSITORY / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    assert page == script.page(), hint
    for run in script.RUNS.values():
        assert f"`{run.command}`, symile-data {run.version}" in page


def test_the_best_comes_first_and_equal_accuracies_share_a_rank(script: ModuleType) -> None:
    means = {"clip": 0.2, "symile": 0.9001, "gram": 0.9002, "confu": 0.95}
    entries = [replace(ENTRY, objective=name, mean=mean) for name, mean in means.items()]
    (group,) = ranked(entries).values()
    assert [entry.objective for entry in group] == ["confu", "gram", "symile", "clip"]
    assert [line[0] for line in script._table(group)] == ["rank", "1", "2", "2", "4"]


numbers = st.floats(0, 1).map(lambda value: float(f"{value:.6g}"))
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@given(
    st.lists(
        st.builds(
            Entry,
            **dict.fromkeys(("dataset", "setting", "objective", "command", "version"), words),
            seeds=st.integers(1, 99),
            mean=numbers,
            **dict.fromkeys(("low", "high", "best", "pairs", "random_candidate"), st.none() | numbers),
        ),
        max_size=4,
    )
)
def test_entries_are_read_as_they_were_written(entries: list[Entry]) -> None:
    assert read_leaderboard(leaderboard_csv(entries)) == entries


def test_bad_leaderboards_are_named() -> None:
    text = leaderboard_csv([ENTRY])
    with pytest.raises(SourceError, match=r"a leaderboard has other columns .*mine\.csv"):
        read_leaderboard(text.replace("setting", "settings", 1), "mine.csv")
    with pytest.raises(SourceError, match=r"no number where one is due .*line 2.*'many'"):
        read_leaderboard(text.replace(",0.5,", ",many,"))
    with pytest.raises(SourceError, match="no number where one is due"):
        read_leaderboard(text.replace(",0.5,", ",,"))
    with pytest.raises(SourceError, match=r"a table of tests has other columns .*results.csv"):
        read_tests("dataset,accuracy\nxor,1\n")


def test_the_papers_experiments_have_entries_too() -> None:
    rows = [p_hat_row(1.0, 5, [{"symile": 0.9, "clip": 0.03}, {"symile": 1.0, "clip": 0.04}])]
    entries = swept_entries(rows, ("symile", "clip"), lambda row: ("XOR, d = 5", f"p-hat {row['p_hat']:g}"), RUN)
    assert [(entry.objective, entry.seeds, round(entry.mean, 3)) for entry in entries] == [
        ("symile", 2, 0.95),
        ("clip", 2, 0.035),
    ]
    assert entries[0].best == pytest.approx(1.0)
    assert entries[0].random_candidate == 1 / 32
    assert (entries[0].command, entries[0].version) == (RUN.command, RUN.version)
    assert entries[0].low is not None and entries[0].low < 0.95
