"""Start, watch and stop the processes of one training on this machine.

Each process (rank) runs the same command with its number in the environment, as Lightning and torchrun do. The launcher
only waits. When a rank exits early, the launcher stops the others and reports it in one sentence; when the launcher is
interrupted or killed, the ranks exit too. Ranks may be killed at any time, because checkpoints are written atomically.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import IO

from .errors import SymileDataError

AGAIN = "run the same command again to go on from the last checkpoint"
LOST = 75  # exit code of a rank that lost the connection to another; the launcher knows the cause

_WATCHED = "SYMILE_DATA_WATCHED"  # set in the ranks that `launch` starts
_STARTED_BY_OTHERS = ("LOCAL_RANK", "SLURM_NTASKS", "TORCHELASTIC_RUN_ID")
_POLL = 0.05  # seconds
_GRACE = 5.0  # seconds in which the other ranks may exit by themselves after one failed


def must_launch(devices: int) -> bool:
    """Tell whether this process must start the ranks: no launcher (`launch`, torchrun, Slurm) started it as a rank."""
    return devices > 1 and not any(name in os.environ for name in _STARTED_BY_OTHERS)


def is_watched() -> bool:
    """Tell whether `launch` started this process as a rank."""
    return _WATCHED in os.environ


def end_with_launcher() -> None:
    """Exit when the launcher exits, which holds the other end of this rank's standard input."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def launch(ranks: int) -> None:
    """Run this command in `ranks` processes and wait until all have exited.

    Only the output of rank 0 is shown. The output of another rank is shown where only that rank explains a failure.

    Raises:
        SymileDataError: a rank was killed by a signal, or the ranks lost each other.
        SystemExit: a rank exited with an error that has been printed.
    """
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(ranks), _WATCHED: "1"}
    with contextlib.ExitStack() as stack:
        printed = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(ranks)]
        processes: list[subprocess.Popen[bytes]] = []
        stack.callback(_kill, processes)
        for rank in range(ranks):
            output = printed[rank] if rank else None
            processes.append(
                subprocess.Popen(  # noqa: S603
                    _own_command(),
                    env={**os.environ, **common, "LOCAL_RANK": str(rank)},
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C reaches the launcher only
                )
            )
        _judge(_wait(processes), printed)


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> list[int | None]:
    """Wait until all ranks exit, one is killed, or one failed `_GRACE` ago; return exit codes (None if running)."""
    latest = float("inf")
    while None in (codes := [process.poll() for process in processes]) and time.monotonic() < latest:
        if any(code is not None and code < 0 for code in codes):
            break
        if any(codes) and latest == float("inf"):
            latest = time.monotonic() + _GRACE
        time.sleep(_POLL)
    return codes


def _judge(codes: Sequence[int | None], printed: Sequence[IO[bytes]]) -> None:
    """Raise an error that says in one sentence why ranks failed, if any did."""
    for rank, code in enumerate(codes):
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            raise SymileDataError(
                f"process {rank + 1} of the {len(codes)} of this training was ended by {name}",
                do=AGAIN + ("; it may have lacked memory" if name == "SIGKILL" else ""),
            )
    for rank, code in enumerate(codes):
        if code not in (0, LOST, None):
            if rank:
                printed[rank].seek(0)
                sys.stderr.write(printed[rank].read().decode("utf-8", "replace"))
            raise SystemExit(code)
    if any(codes):
        raise SymileDataError("the processes of this training lost each other", do=AGAIN)


def _kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()  # without effect on a process that has exited
    for process in processes:
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _own_command() -> list[str]:
    """Return the command that runs this process's command again in a new interpreter."""
    spec = sys.modules["__main__"].__spec__
    program = [os.path.abspath(sys.argv[0])] if spec is None else ["-m", spec.name.removesuffix(".__main__")]  # noqa: PTH100
    return [sys.executable, *program, *sys.argv[1:]]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
