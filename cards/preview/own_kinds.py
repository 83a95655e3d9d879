"""Draw values whose kind comes from outside the package, by the function of that kind."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from symile_data.format.kinds import part_of_kind
from symile_data.plotting import style

_SIZE = (3.5, 2.2)  # inches

Draw = Callable[[Any, Any], Any]


def drawing_function(kind: str) -> Draw | None:
    """Return the function of a registered kind that draws a value on axes, or None."""
    found: Draw | None = part_of_kind(kind, "draw")
    return found


@style.in_style()
def drawing_of(draw: Draw, value: Any) -> bytes:
    """Draw one value as a PNG."""
    sheet = style.sheet(*_SIZE)
    draw(sheet.subplots(), value)
    buffer = io.BytesIO()
    sheet.savefig(buffer, format="png", dpi=style.DPI, metadata={"Software": None})
    return buffer.getvalue()
