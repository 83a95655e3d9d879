"""`symile-data build pid`: data with dialled redundancy, unique information and synergy."""

from __future__ import annotations

import inspect
from typing import Any

from .common import ExecutorName, report
from .output import say
from .pid_options import pid_request, with_pid_options


@with_pid_options(
    inspect.Parameter("executor", inspect.Parameter.KEYWORD_ONLY, default="local", annotation=ExecutorName)
)
def pid(*, executor: str, **options: Any) -> None:
    """PID data: every amount of redundant, unique and synergistic information is set by blocks, and known exactly.

    Relations: redundant, synergistic, private, xor (docs/pid.md). The card has every information term and every Bayes
    accuracy.

    Examples:

        symile-data build pid --out build/pid

        symile-data build pid --out build/trifeature --preset trifeature

        symile-data build pid --out build/own --modality image --modality text --modality touch
        --block redundant:image+text:n=10 --block synergistic:image+text+touch:n=4
    """
    from symile_data.builders.pid.build import build_pid
    from symile_data.cards import write_card

    asked = pid_request(**options)
    manifest = build_pid(
        asked.spec, asked.out, workers=asked.workers, executor=executor, write_card=write_card, command=asked.command
    )
    report(asked.out, manifest)
    for note in manifest.notes:
        say(f"symile-data: {note}", error=True)
