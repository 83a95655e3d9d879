"""`symile-data reproduce`: experiments, each with its table and figure."""

from .objectives import objectives
from .paper import app
from .robustness import robustness

__all__ = ["app"]

app.command()(objectives)
app.command()(robustness)
