"""Show progress on stderr, with the rate and the time left: a bar on a terminal, elsewhere a line each minute."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from symile_data.errors import printable

from .amounts import duration, rate

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

_LINE_EVERY_S = 60.0  # between two lines of a stage where nobody watches
_TOLD_FROM_S = 1.0  # a stage that takes less says no time at its end

_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


class Advance(Protocol):
    """The function that reports finished steps."""

    def __call__(self, steps: int = 1) -> None:
        """Report `steps` more finished steps."""
        ...


@contextlib.contextmanager
def stage(
    title: str, total: int | None, unit: str = "", done: int = 0, clock: Callable[[], float] = time.monotonic
) -> Iterator[Advance]:
    """Show the progress of one stage; call the yielded function when steps are done.

    Args:
        title: A short name of the stage.
        total: The number of steps; None where it is not known.
        unit: The plural noun for steps ("shards").
        done: Steps that were finished before, by an earlier run; they do not count in the rate.
        clock: Function that returns seconds from some fixed moment.
    """
    if _hidden.get():
        yield lambda steps=1: None
        return
    title = printable(title)  # it may contain a modality's name, which may be any text
    shown = _bar(title, total, done) if sys.stderr.isatty() else _lines(title, total, unit, done, clock)
    with shown as advance:
        yield advance


def note(text: str) -> None:
    """Print one line on stderr about what takes longer than it should; nothing within `hidden`."""
    if not _hidden.get():
        print(printable(text), file=sys.stderr, flush=True)


@contextlib.contextmanager
def hidden() -> Iterator[None]:
    """Show no progress of stages within the block, which is one step of an outer stage."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


@contextlib.contextmanager
def _bar(title: str, total: int | None, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _rate_column(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, completed=done)
        yield lambda steps=1: progress.advance(task, steps)


def _rate_column() -> ProgressColumn:
    """Make the column of a bar that shows steps over time; rich has one for bytes only."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(rate(speed, 1) if speed else "")

    return RateColumn()


@contextlib.contextmanager
def _lines(title: str, total: int | None, unit: str, before: int, clock: Callable[[], float]) -> Iterator[Advance]:
    """Print a line whenever a minute has passed since the last one, and one where the last step is done: where their
    number is not known, at the end of the stage.
    """
    done = before
    start = last = clock()

    def advance(steps: int = 1) -> None:
        nonlocal done, last
        if not steps:
            return
        done += steps
        now = clock()
        if total is not None and done >= total:
            finished()
        elif now - last >= _LINE_EVERY_S:
            last = now
            pace = (done - before) / (now - start)
            left = "" if total is None else f", {duration((total - done) / pace)} left"
            print(f"{counts()}, {rate(pace, 1)}{left}", file=sys.stderr, flush=True)

    def counts() -> str:
        return f"{title}: {done}{'' if total is None else f'/{total}'} {unit}".rstrip()

    def finished() -> None:
        seconds = clock() - start
        took = f" in {duration(seconds)}" if seconds >= _TOLD_FROM_S else ""
        print(counts() + took, file=sys.stderr, flush=True)

    yield advance
    if total is None and done > before:
        finished()
