"""The loader's state: a few numbers that say what was seen, and the settings under which they mean anything.

It holds a position in the epoch's order, no list of samples, and nothing about ranks, batch size or threads: all
ranks have the same state, and any number of them can continue from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symile_data.errors import UsageError
from symile_data.format.manifest import differences

VERSION = 2  # of the order and of all else that is drawn: raised whenever a position would mean other rows


def make_checkpoint(settings: Mapping[str, Any], *, epoch: int, position: int) -> dict[str, Any]:
    """State after the first `position` rows of an epoch's order; JSON-like.

    >>> make_checkpoint({"seed": 0}, epoch=1, position=64)
    {'version': 2, 'settings': {'seed': 0}, 'epoch': 1, 'position': 64}
    """
    return {"version": VERSION, "settings": dict(settings), "epoch": epoch, "position": position}


def read_checkpoint(state: Mapping[str, Any], settings: Mapping[str, Any], rows: int) -> tuple[int, int]:
    """Epoch and position of a state that was saved under the same settings.

    Args:
        state: From `make_checkpoint`.
        settings: Of the loader that is to continue.
        rows: N, rows of its split.

    Raises:
        UsageError: naming the field that differs, lacks or makes no sense. Nothing is ever ignored.
    """
    fields = {"version", "settings", "epoch", "position"}
    if set(state) != fields:
        odd = sorted(set(state) ^ fields)
        raise UsageError("this is no state of a loader", got=f"fields missing or unknown: {', '.join(odd)}")
    if state["version"] != VERSION:
        raise UsageError(
            "the loader's state has another version, in which a position means other rows",
            got=f"{state['version']!r}, not {VERSION}",
            do="start without it (a training run in another directory), or go on with the version that saved it",
        )
    found = differences(dict(settings), dict(state["settings"]))
    if found:
        raise UsageError(
            "the loader's state was saved under other settings",
            got=f"{'; '.join(found)} (here, not in the state)",
            do="give the loader the settings of the interrupted run, or start without its state",
        )
    epoch, position = state["epoch"], state["position"]
    if not isinstance(epoch, int) or epoch < 0:
        raise UsageError("the loader's state has an impossible epoch", got=repr(epoch))
    if not isinstance(position, int) or not 0 <= position <= rows:
        raise UsageError("the loader's state has an impossible position", got=f"{position!r} of {rows} rows")
    return epoch, position
