"""Errors are sentences, and survive the way between processes."""

import pickle
from pathlib import Path

import pytest

from symile_data.errors import (
    DamageError,
    MissingPackageError,
    OutputError,
    SourceError,
    SymileDataError,
    UsageError,
    choose_column,
)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SymileDataError("all is lost"), "all is lost."),
        (SymileDataError("all is lost", where="x.tsv"), "all is lost (x.tsv)."),
        (SymileDataError("all is lost", got=3), "all is lost; got 3."),
        (SymileDataError("all is lost", got=0), "all is lost; got 0."),
        (SymileDataError("all is lost", do="run again"), "all is lost. Run again."),
        (SymileDataError("all is lost", do="run again."), "all is lost. Run again."),
        (
            SourceError("all is lost", where=Path("a/b"), got="'c'", do="use --images PATH"),
            "all is lost (a/b); got 'c'. Use --images PATH.",
        ),
        (
            MissingPackageError("soxr", "speech", "speech synthesis"),
            "speech synthesis needs the Python package soxr, which is not installed. "
            "Run: pip install -c constraints.txt -e '.[speech]'",
        ),
    ],
)
def test_the_four_parts_make_a_sentence(error: SymileDataError, sentence: str) -> None:
    assert str(error) == sentence


@pytest.mark.parametrize("kind", [SymileDataError, UsageError, SourceError, OutputError, DamageError])
def test_errors_travel_between_processes(kind: type[SymileDataError]) -> None:
    error = kind("no", where=Path("here"), got=[1], do="go on")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert (again.what, again.where, again.got, again.do) == ("no", "here", [1], "go on")


def test_a_missing_package_travels_between_processes() -> None:
    error = MissingPackageError("soxr", "speech", "speech synthesis")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is MissingPackageError
    assert str(again) == str(error)


def test_only_a_wrong_command_line_exits_with_2() -> None:
    codes = {
        kind: kind.exit_code for kind in (SymileDataError, SourceError, OutputError, DamageError, MissingPackageError)
    }
    assert set(codes.values()) == {1}
    assert UsageError.exit_code == 2


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("edema", "the nearest of its 30 columns is chexpert_edema; symile-data info lists them all"),
        ("Chexpert_Edma", "the nearest of its 30 columns is chexpert_edema; symile-data info lists them all"),
        ("colour", "see its 30 columns with symile-data info"),
        ("", "see its 30 columns with symile-data info"),
        ("x1", "the nearest of its 30 columns are x1_, x10_, x11_, x12_, x13_; symile-data info lists them all"),
    ],
)
def test_of_many_columns_the_nearest_are_named(name: str, advice: str) -> None:
    columns = ["chexpert_edema", *(f"x{number}_" for number in range(29))]
    assert choose_column(name, columns) == advice
    assert choose_column(name, columns[:3]) == "it has chexpert_edema, x0_, x1_"
