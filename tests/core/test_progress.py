"""Progress is a few plain lines where nobody watches, and a bar on a terminal."""

import sys

import pytest

from symile_data.progress import hidden, stage


def test_plain_progress_is_said_a_few_times(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("shards", 100, "shards") as advance:
        for _ in range(100):
            advance()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [f"shards: {done}/100 shards" for done in (25, 50, 75, 100)]


def test_steps_come_in_any_size(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("clips", 7) as advance:
        advance(0)
        advance(6)
        advance(1)
    assert capsys.readouterr().err.splitlines() == ["clips: 6/7", "clips: 7/7"]


def test_nothing_to_do_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("clips", 0) as advance:
        advance(0)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with stage("clips", 2) as advance:
        advance()
        advance()
    said = capsys.readouterr()
    assert said.out == ""
    assert "clips" in said.err
    assert "2/2" in said.err


def test_stages_inside_a_hidden_step_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("trials", 1) as advance:
        with hidden(), stage("training", 4) as inner:
            inner(4)
        advance()
    with stage("after", 1) as advance:
        advance()
    assert capsys.readouterr().err.splitlines() == ["trials: 1/1", "after: 1/1"]
