"""Run `symile-data` and kill this process, without any chance to clean up, in one step of training.

python killed_run.py EPOCH BATCH train DIR ...
"""

import os
import signal
import sys
from typing import Any

from symile_data.cli import main
from symile_data.training.module import SymileModule

epoch, index = int(sys.argv.pop(1)), int(sys.argv.pop(1))
step = SymileModule.training_step


def dying(self: SymileModule, batch: Any, number: int) -> Any:
    if (self.current_epoch, number) == (epoch, index):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, number)


SymileModule.training_step = dying  # type: ignore[method-assign]
main()
