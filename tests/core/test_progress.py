"""Progress is a line each minute where nobody watches, and a bar on a terminal, with rate and time left."""

from __future__ import annotations

import re
import sys

import pytest

from symile_data.progress import hidden, stage


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_each_minute_says_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with stage("shards", 100, "shards", clock=clock) as advance:
        for _ in range(100):
            clock.now += 3
            advance()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "shards: 20/100 shards, 20/min, 4 min left",
        "shards: 40/100 shards, 20/min, 3 min left",
        "shards: 60/100 shards, 20/min, 2 min left",
        "shards: 80/100 shards, 20/min, 60 s left",
        "shards: 100/100 shards in 5 min",
    ]


def test_a_long_step_is_followed_by_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with stage("trials", 3, "trials", clock=clock) as advance:
        clock.now += 5_000
        advance()
        clock.now += 59
        advance()
    assert capsys.readouterr().err.splitlines() == ["trials: 1/3 trials, 0.7/h, 2 h 47 min left"]


def test_what_an_earlier_run_did_does_not_count_in_the_rate(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with stage("shards", 1_000, "shards", done=900, clock=clock) as advance:
        clock.now += 60
        advance(10)
    assert capsys.readouterr().err.splitlines() == ["shards: 910/1000 shards, 10/min, 9 min left"]


def test_a_short_stage_says_only_that_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("clips", 7, clock=Clock()) as advance:
        advance(0)
        advance(6)
        advance(1)
        advance(0)
    assert capsys.readouterr().err.splitlines() == ["clips: 7/7"]


def test_an_unknown_number_of_steps_has_no_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with stage("images (hub)", None, "images", done=5, clock=clock) as advance:
        for _ in range(3):
            clock.now += 40
            advance(20)
        assert capsys.readouterr().err.splitlines() == ["images (hub): 45 images, 30/min"]
    assert capsys.readouterr().err.splitlines() == ["images (hub): 65 images in 2 min"]
    with stage("images (hub)", None, "images", done=5, clock=clock):
        pass
    assert capsys.readouterr().err == ""


def test_nothing_to_do_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("clips", 0) as advance:
        advance(0)
    with stage("clips", 5, done=5) as advance:
        advance(0)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_with_a_rate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with stage("clips", 12, done=8) as advance:
        for _ in range(4):
            advance()
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(r"clips .* 12/12 [\d,.]+/s 0:00:0\d", re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", said.err))
    with stage("images (hub)", None) as advance:
        advance(4)
    assert re.search(r"images \(hub\) .* 4/\? ", re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", capsys.readouterr().err))


def test_stages_inside_a_hidden_step_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("trials", 1) as advance:
        with hidden(), stage("training", 4) as inner:
            inner(4)
        advance()
    with stage("after", 1) as advance:
        advance()
    assert [line.partition(" in ")[0] for line in capsys.readouterr().err.splitlines()] == ["trials: 1/1", "after: 1/1"]
