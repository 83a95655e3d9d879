"""Run `symile-data` and kill this process, without any chance to clean up, in one step of training.

KILL_AT="EPOCH BATCH" [KILL_RANK=RANK] python killed_run.py train DIR ...
"""

import os
import signal
from typing import Any

from symile_data.cli import main
from symile_data.training.module import SymileModule

epoch, index = map(int, os.environ["KILL_AT"].split())
step = SymileModule.training_step


def dying(self: SymileModule, batch: Any, number: int) -> Any:
    if (self.current_epoch, number) == (epoch, index):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, number)


if os.environ.get("LOCAL_RANK") == os.environ.get("KILL_RANK"):
    setattr(SymileModule, "training_step", dying)  # noqa: B010
main()
