"""Processes that Ctrl-C does not reach: a terminal sends it to the build and to all its workers, and only the build is
to answer it.

A worker that ignores SIGINT does so from its first instruction on. Until then it imports modules for a second, and
would answer with a traceback; so it is started by a thread that blocks the signal, and inherits that.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker


@contextlib.contextmanager
def started_unreached() -> Iterator[None]:
    """Let processes that this thread, or a thread that it starts, begins inside be started with SIGINT blocked.

    This process takes a Ctrl-C that comes meanwhile: at once by another of its threads, or at the end of the block.
    """
    resource_tracker.ensure_running()  # multiprocessing starts it with the first process, and then unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """In a process that was started so: ignore SIGINT, and let processes of its own be started as usual."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
