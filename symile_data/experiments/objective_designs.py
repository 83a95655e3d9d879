"""Designs of PID data on which objectives are compared, by the name that a plan gives them.

In each, `b` is predicted from `a` and `c`, all of them vectors. What pairs tell of `b`, and what all three tell, is
known exactly (`symile_data.datasets.pid.bayes`).
"""

from __future__ import annotations

from symile_data.datasets.pid import Block, Design

TARGET = "b"

_VECTORS = {"a": "vector", "b": "vector", "c": "vector"}
_ALL = tuple(_VECTORS)

DESIGNS = {
    design.name: design
    for design in (
        # One symbol is repeated, with errors: each pair tells of `b` what can be told.
        Design(
            name="redundant",
            modalities=_VECTORS,
            blocks=(Block(name="copy", relation="redundant", scope=_ALL, values=16, strength=0.8),),
        ),
        # Three symbols sum to 0 modulo 13: no pair tells anything. Unlike the bits of XOR, the symbols are one-hot.
        Design(
            name="synergistic",
            modalities=_VECTORS,
            blocks=(Block(name="rule", relation="synergistic", scope=_ALL, values=13, group="cyclic"),),
        ),
        # One symbol that all repeat, one that only `a` tells, one that only `a` and `c` together tell, and a private
        # one in each of these, which tells nothing of `b`.
        Design(
            name="mixed",
            modalities=_VECTORS,
            blocks=(
                Block(name="common", relation="redundant", scope=_ALL, values=2),
                Block(name="pair", relation="redundant", scope=("a", "b"), values=2),
                Block(name="rule", relation="synergistic", scope=_ALL, values=4),
                Block(name="noise", relation="private", scope=("a",), values=4),
                Block(name="voice", relation="private", scope=("c",), values=4),
            ),
        ),
    )
}
