"""Keep Ctrl-C away from worker processes: a terminal sends it to the build and all its workers, and only the build
handles it.

A worker can ignore SIGINT only once its own code runs. Before that it imports modules for about a second, and a signal
would print a traceback. So the thread that starts it blocks the signal, and the worker inherits the blocked state.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker


@contextlib.contextmanager
def started_unreached() -> Iterator[None]:
    """Block SIGINT in all processes that this thread, or a thread it starts, starts within the block.

    This process still handles a Ctrl-C: at once in another of its threads, or at the end of the block.
    """
    resource_tracker.ensure_running()  # multiprocessing starts it with the first process, and then unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """Ignore SIGINT in a process started under `started_unreached`, and unblock it for its own children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
