"""Several processes of one training on this machine: started, watched and ended together by one that does only that.

Each process (rank) is the same command again with its number in the environment, as Lightning and torchrun do it. The
launcher waits. When a rank ends early, it ends the others and says so in one sentence; when it is interrupted or
killed, the ranks end with it. They may be killed at any time: checkpoints are written whole or not at all.
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
LOST = 75  # exit code of a watched rank that only lost another one: whose fault it was is known to the launcher

_WATCHED = "SYMILE_DATA_WATCHED"  # set for ranks of ours
_STARTED_BY_OTHERS = ("LOCAL_RANK", "SLURM_NTASKS", "TORCHELASTIC_RUN_ID")
_POLL = 0.05  # seconds
_GRACE = 5.0  # seconds that the other ranks have to end by themselves where one has failed


def must_launch(devices: int) -> bool:
    """Whether this process is to start the ranks, as no launcher (ours, torchrun, Slurm) started it as one."""
    return devices > 1 and not any(name in os.environ for name in _STARTED_BY_OTHERS)


def is_watched() -> bool:
    """Whether this process is a rank that `launch` started."""
    return _WATCHED in os.environ


def end_with_launcher() -> None:
    """In a watched rank: end when the launcher ends, which holds the other end of this process's standard input."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def launch(ranks: int) -> None:
    """Run this command as so many ranks, until all have ended.

    What rank 0 prints is seen; what the others print only where one of them alone says why the training failed.

    Raises:
        SymileDataError: a rank died.
        SystemExit: a rank ended with an error that has been printed.
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
                    start_new_session=True,  # Ctrl-C is the launcher's
                )
            )
        _judge(_wait(processes), printed)


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> list[int | None]:
    """The exit codes once all have ended, one was killed, or some time after one failed; None for what still runs."""
    latest = float("inf")
    while None in (codes := [process.poll() for process in processes]) and time.monotonic() < latest:
        if any(code is not None and code < 0 for code in codes):
            break
        if any(codes) and latest == float("inf"):
            latest = time.monotonic() + _GRACE
        time.sleep(_POLL)
    return codes


def _judge(codes: Sequence[int | None], printed: Sequence[IO[bytes]]) -> None:
    """Say why the ranks ended, in one sentence, unless all is well."""
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
        process.kill()  # nothing where it has ended
    for process in processes:
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _own_command() -> list[str]:
    """What runs the command of this process again, in another interpreter."""
    spec = sys.modules["__main__"].__spec__
    program = [os.path.abspath(sys.argv[0])] if spec is None else ["-m", spec.name.removesuffix(".__main__")]  # noqa: PTH100
    return [sys.executable, *program, *sys.argv[1:]]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
