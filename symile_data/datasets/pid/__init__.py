"""PID data, with dialled redundancy, unique information and synergy: designs, exact terms, schema and invariants."""

from .blocks import Block
from .design import Design
from .parse import block_of, design_of, read_design
from .presets import DEFAULT_PRESET, PRESETS

__all__ = ["DEFAULT_PRESET", "PRESETS", "Block", "Design", "block_of", "design_of", "read_design"]
