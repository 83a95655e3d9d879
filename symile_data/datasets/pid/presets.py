"""Designs by name, for `--preset`: the smallest one for each kind of information, and some known from papers."""

from __future__ import annotations

from .blocks import Block
from .design import Design

DEFAULT_PRESET = "mixed"

_MEDIA = {"image": "image", "audio": "audio", "text": "text"}
_VECTORS = {"a": "vector", "b": "vector", "c": "vector"}
_ALL, _ABC = tuple(_MEDIA), tuple(_VECTORS)

PRESETS = {
    design.name: design
    for design in (
        # Something of each kind in images, sounds and texts.
        Design(
            name="mixed",
            modalities=_MEDIA,
            blocks=(
                Block(name="common", relation="redundant", scope=_ALL, values=10),
                Block(name="pair", relation="redundant", scope=("image", "text"), values=4),
                Block(name="rule", relation="synergistic", scope=_ALL, values=4),
                Block(name="voice", relation="private", scope=("audio",), values=10),
            ),
        ),
        # The law of binary XOR data (Symile, section 5.1) with the paper's 5 bits, always the XOR.
        Design(name="xor", modalities=_VECTORS, blocks=(Block(name="bits", relation="xor", scope=_ABC, values=32),)),
        # Parity: each bit of every variable is fixed by the two others; an XNOR but for the sign of one variable.
        Design(
            name="xnor",
            modalities=_VECTORS,
            blocks=(Block(name="bits", relation="synergistic", scope=_ABC, values=32),),
        ),
        Design(
            name="redundant",
            modalities=_VECTORS,
            blocks=(Block(name="copy", relation="redundant", scope=_ABC, values=32),),
        ),
        # Shared, private and synergistic labels to probe, after the bimodal Trifeature data.
        Design(
            name="trifeature",
            modalities=_VECTORS,
            blocks=(
                Block(name="shape", relation="redundant", scope=_ABC, values=10),
                Block(name="colour", relation="private", scope=("a",), values=10),
                Block(name="voice", relation="private", scope=("b",), values=10),
                Block(name="style", relation="private", scope=("c",), values=10),
                Block(name="rule", relation="synergistic", scope=_ABC, values=5),
            ),
        ),
    )
}
