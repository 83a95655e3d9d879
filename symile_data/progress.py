"""Show progress on stderr: a bar on a terminal, else a plain line at every quarter of a stage."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Protocol

from .errors import printable

_PLAIN_STEPS = 4  # number of lines that plain output prints for a stage


_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


class Advance(Protocol):
    """The function that reports finished steps."""

    def __call__(self, steps: int = 1) -> None:
        """Report `steps` more finished steps."""
        ...


@contextlib.contextmanager
def stage(title: str, total: int, unit: str = "") -> Iterator[Advance]:
    """Show the progress of one stage; call the yielded function when steps are done.

    Args:
        title: A short name of the stage.
        total: The number of steps.
        unit: The plural noun for steps ("shards").
    """
    if _hidden.get():
        yield lambda steps=1: None
        return
    title = printable(title)  # it may contain a modality's name, which may be any text
    with _bar(title, total) if sys.stderr.isatty() else _plain(title, total, unit) as advance:
        yield advance


@contextlib.contextmanager
def hidden() -> Iterator[None]:
    """Show no progress of stages within the block, which is one step of an outer stage."""
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
