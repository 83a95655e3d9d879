"""The state from which a loader continues: an epoch, a position in it, and the settings for which these hold.

The state lists no samples and says nothing about ranks, batch size or threads: it is the same on all ranks, and any
number of ranks can continue from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symile_data.arguments import check_argument
from symile_data.errors import UsageError
from symile_data.format.typed_json import differences

_RENAMED = {"redraw_media": "resample_within_class"}  # settings of older states -> their names of today

VERSION = 2  # raised whenever a change of what is drawn makes a position mean other rows


def make_checkpoint(settings: Mapping[str, Any], *, epoch: int, position: int) -> dict[str, Any]:
    """Make the state after the first `position` rows of an epoch, of types that JSON knows.

    >>> make_checkpoint({"seed": 0}, epoch=1, position=64)
    {'version': 2, 'settings': {'seed': 0}, 'epoch': 1, 'position': 64}
    """
    return {"version": VERSION, "settings": dict(settings), "epoch": epoch, "position": position}


def read_checkpoint(state: Mapping[str, Any], settings: Mapping[str, Any], rows: int) -> tuple[int, int]:
    """Read epoch and position from a state that was saved under the same settings.

    Args:
        state: From `make_checkpoint`.
        settings: Settings of the loader that is to continue.
        rows: N, the number of rows of its split.

    Raises:
        UsageError: the message names the field that differs, is missing or makes no sense. No field is ignored.
    """
    check_argument("state", state, Mapping[str, Any], "give what `state_dict` returned")
    fields = {"version", "settings", "epoch", "position"}
    if set(state) != fields:
        odd = sorted(set(state) ^ fields)
        raise UsageError("this is not the state of a loader", got=f"fields missing or unknown: {', '.join(odd)}")
    if state["version"] != VERSION:
        raise UsageError(
            "the loader's state has another version, in which a position means other rows",
            got=f"{state['version']!r}, not {VERSION}",
            do="start without it (a training run in another directory), or go on with the version that saved it",
        )
    there: Mapping[str, Any] = state["settings"]
    check_argument("state['settings']", there, Mapping[str, Any], "give what `state_dict` returned")
    saved = {_RENAMED.get(name, name): value for name, value in there.items()}
    found = differences(dict(settings), saved)
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
