"""The type of a filter's expression, for annotations: a split without a filter is opened without pyarrow.compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pyarrow.compute as pc

    Expression: TypeAlias = pc.Expression
else:
    Expression = Any  # `filter_rows` checks the type
