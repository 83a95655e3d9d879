"""All objectives compared on XOR and Symile-M3: `run_comparison` tunes, trains and tests each of them at each point."""

from .comparison import run_comparison

__all__ = ["run_comparison"]
