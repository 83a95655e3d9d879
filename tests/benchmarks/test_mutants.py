"""The trial of small changes: every entry of its table still applies, and survivors are found and told."""

import ast
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "benchmarks" / "mutants.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


mutants = load()
TABLE = mutants.read_table()


@pytest.mark.parametrize("mutant", TABLE, ids=lambda mutant: f"{mutant.path}: {mutant.reason}")
def test_every_entry_changes_the_code_and_names_tests_that_exist(mutant) -> None:
    ast.parse(mutant.applied(REPOSITORY))
    assert mutant.reason and mutant.tests
    for test in mutant.tests:
        name, _, function = test.partition("::")
        assert not function or f"\ndef {function}(" in (REPOSITORY / name).read_text(encoding="utf-8"), test
        assert (REPOSITORY / name).is_file(), test


def test_the_table_is_large_and_holds_no_change_twice() -> None:
    assert len(TABLE) >= 40
    assert len({(mutant.path, mutant.old, mutant.new) for mutant in TABLE}) == len(TABLE)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "code.py").write_text("one = 1\ntwo = 2\nalso = 2\n")
    return tmp_path


def change(old: str, new: str, path: str = "code.py"):
    return mutants.Mutant(path=path, old=old, new=new, tests=("tests.py",), reason="a number is wrong")


@pytest.mark.parametrize(
    ("mutant", "sentence"),
    [
        (change("three = 3", "three = 4"), "code.py holds the old text of an entry 0 times instead of once"),
        (change("= 2", "= 3"), "code.py holds the old text of an entry 2 times instead of once"),
        (change("one = 1", "one = 1"), "an entry for code.py changes nothing"),
        (change("one = 1", "one = 2", "gone.py"), "gone.py does not exist, but an entry of the table changes it"),
    ],
)
def test_an_entry_that_does_not_apply_is_named(tree: Path, mutant, sentence: str) -> None:
    with pytest.raises(mutants.TrialError, match="a number is wrong") as caught:
        mutant.applied(tree)
    assert str(caught.value).startswith(sentence)


def notices_one(copy: Path, tests: Sequence[str]) -> bool:
    """Tests that look at `one` only."""
    assert tuple(tests) == ("tests.py",)
    return "one = 1\n" in (copy / "code.py").read_text()


def test_a_change_that_no_test_notices_survives_and_none_outlives_its_trial(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tree / "code.py").read_text(), (tree / "code.py").stat().st_mtime_ns
    some = [change("one = 1", "one = 7"), change("two = 2", "two = 7"), change("one = 1", "one = 0")]
    killed = mutants.trial(some, [tree], notices_one)
    assert killed == [True, False, True]
    assert ((tree / "code.py").read_text(), (tree / "code.py").stat().st_mtime_ns) == before
    assert mutants.report(some, killed) == 1
    said = capsys.readouterr().out
    assert "- two = 2\n+ two = 7\nunnoticed by tests.py" in said
    assert said.endswith("2 of 3 changes killed, 1 survived (33.3%)\n")


@pytest.mark.parametrize(("survivors", "code"), [(0, 0), (1, 0), (2, 1)])
def test_a_tenth_of_the_changes_may_not_survive(survivors: int, code: int) -> None:
    some = [change("one = 1", f"one = {number}") for number in range(2, 22)]
    assert mutants.report(some, [False] * survivors + [True] * (20 - survivors)) == code


def test_tests_that_fail_anyway_end_the_trial(tree: Path) -> None:
    (tree / "code.py").write_text("one = 3\n")
    with pytest.raises(mutants.TrialError, match=r"not all of these tests pass on the unchanged code: tests\.py"):
        mutants.check_without_changes([change("one = 3", "one = 4")], tree, notices_one)


def test_entries_are_chosen_by_a_text() -> None:
    some = [change("a", "b", "loaders/shuffle.py"), change("a", "b", "cards/x.py")]
    assert mutants.chosen(some, "shuffle") == some[:1] and mutants.chosen(some, "number is wrong") == some
    with pytest.raises(mutants.TrialError, match="no entry of the table contains 'nothing'"):
        mutants.chosen(some, "nothing")


def test_a_folder_that_git_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(mutants.TrialError, match="is no working tree of git"):
        mutants.copied(tmp_path, tmp_path / "copy")
