"""Progress on stderr: a bar on a terminal, a plain line now and then otherwise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Protocol

from .errors import printable

_PLAIN_STEPS = 4  # plain output says a stage's progress this many times


_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


class Advance(Protocol):
    """Called as work gets done."""

    def __call__(self, steps: int = 1) -> None:
        """Some more steps are done."""


@contextlib.contextmanager
def stage(title: str, total: int, unit: str = "") -> Iterator[Advance]:
    """Show one stage of long work; the yielded function moves it on.

    Args:
        title: What is being done, in a few words.
        total: How many steps there are.
        unit: What one step is ("shards").
    """
    if _hidden.get():
        yield lambda steps=1: None
        return
    title = printable(title)  # it may name a modality, which may be named anyhow
    with _bar(title, total) if sys.stderr.isatty() else _plain(title, total, unit) as advance:
        yield advance


@contextlib.contextmanager
def hidden() -> Iterator[None]:
    """Show no stage of the work inside: all of it is one step of a stage around it."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


@contextlib.contextmanager
def _bar(title: str, total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total)
        yield lambda steps=1: progress.advance(task, steps)


@contextlib.contextmanager
def _plain(title: str, total: int, unit: str) -> Iterator[Advance]:
    done = said = 0

    def advance(steps: int = 1) -> None:
        nonlocal done, said
        done += steps
        step = done * _PLAIN_STEPS // max(total, 1)
        if step > said:
            said = step
            print(f"{title}: {done}/{total} {unit}".rstrip(), file=sys.stderr, flush=True)

    yield advance
