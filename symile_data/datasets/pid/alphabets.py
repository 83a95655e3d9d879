"""How symbols are written in texts and vectors, and which words are spoken: each block has an alphabet of its own.

A text has one word for each block of its modality, joined by `_`, in the order of the blocks. A vector has one stretch
of 0 and 1 for each block: the bits of the symbol, lowest first, where the block adds symbols bit by bit, else a
one-hot code. Both decode exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .blocks import Block, Symbols, bits_of
from .design import Design

SEPARATOR = "_"
LONGEST_ONE_HOT = 1024

# Everyday English nouns of one word that sound unlike one another, for texts and for speech.
_WORDS = """
    apple river chair moon tiger bottle garden window hammer cloud pencil mountain spoon rabbit castle ladder
    bread ocean guitar candle button forest mirror rocket basket finger blanket planet jacket dragon coffee
    island feather engine pillow tunnel parrot kettle anchor violin market pepper shadow helmet bridge turtle
    carpet dolphin lantern onion trumpet wagon cherry statue needle banana pocket valley whistle monkey dinner
    harbour insect curtain diamond elbow fountain giraffe honey igloo jungle kitchen lemon magnet napkin
    octopus pyramid quarry ribbon sailor teapot umbrella volcano waffle yoghurt zebra acorn bamboo camel
    desert eagle falcon goblet hedgehog ivory jewel koala lobster meadow noodle orchid puzzle quiver raisin
    saddle tomato unicorn velvet walnut yellow zipper almond barrel cactus donkey emerald ferry glacier
    hamster iceberg jaguar kayak lizard mushroom nest olive penguin quartz robot sandwich thunder urchin
    vinegar whale yacht zeppelin arrow beetle canyon daisy elephant flute gorilla hotel ink jar kite leopard
    maple nurse oven piano queen rainbow squirrel table uncle vase wolf yarn zoo axe bucket crown drum egg fox
    grape hat iron juice key leaf map nail oak pear quilt rose ship tree urn van wheel yard bell clock door
    ear fish glove horse ice jug knife lamp mouse nut owl plate ring snake train veil wing bone cup dog eye
    flag goat hill jeep king lake milk net orange pig rock sun toy violet water box coin desk foot gate house
    jam kitten
"""
WORDS = tuple(_WORDS.split())


def vector_length(modality: str, design: Design) -> int:
    """Length of a modality's vectors."""
    return sum(code_length(block) for block in design.scoped(modality))


def code_length(block: Block) -> int:
    """Places that a block's symbol takes in a vector."""
    return bits_of(block.values) if block.group == "xor" else block.values


def vectors(modality: str, design: Design, symbols: Mapping[str, Symbols]) -> npt.NDArray[np.float32]:
    """Write a modality's symbols as vectors.

    Args:
        modality: The modality.
        design: The design.
        symbols: Block -> (N,) symbols of the modality.

    Returns:
        (N, K) float32, each 0 or 1; K is `vector_length`.
    """
    return np.concatenate([code_table(block)[symbols[block.name]] for block in design.scoped(modality)], axis=1)


def code_table(block: Block) -> npt.NDArray[np.float32]:
    """(n, k) float32: the code of each symbol, k = `code_length`."""
    if block.group == "xor":
        numbers = np.arange(block.values)[:, None]
        return (numbers >> np.arange(bits_of(block.values)) & 1).astype(np.float32)
    return np.eye(block.values, dtype=np.float32)


def places_of(modality: str, design: Design) -> list[dict[str, object]]:
    """Which places of a modality's vectors belong to which block, for the manifest."""
    found, start = [], 0
    for block in design.scoped(modality):
        stop = start + code_length(block)
        code = "bits" if block.group == "xor" else "one-hot"
        found.append({"block": block.name, "code": code, "start": start, "stop": stop})
        start = stop
    return found


def words_of(modality: str, design: Design) -> list[tuple[str, ...]]:
    """The words of each of a modality's blocks: words differ between blocks."""
    found, start = [], 0
    for block in design.scoped(modality):
        found.append(WORDS[start : start + block.values])
        start += block.values
    return found


def texts(modality: str, design: Design, symbols: Mapping[str, Symbols], separator: str = SEPARATOR) -> Sequence[str]:
    """Write a modality's symbols as N texts, one word for each block.

    Args:
        modality: The modality.
        design: The design.
        symbols: Block -> (N,) symbols of the modality.
        separator: Stands between words.
    """
    alphabets = words_of(modality, design)
    columns = [
        [words[symbol] for symbol in symbols[block.name].tolist()]
        for block, words in zip(design.scoped(modality), alphabets, strict=True)
    ]
    return [separator.join(words) for words in zip(*columns, strict=True)]


def alphabet_problems(design: Design, drawings: int, tones: int | None = None) -> Iterator[str]:
    """Yield a clause about every modality whose kind cannot show its symbols.

    Args:
        design: The design.
        drawings: Different drawings that an image can show.
        tones: Different tones that audio can show; None where it shows words.
    """
    alphabets = {"image": ("drawings", drawings), "audio": ("words", len(WORDS)), "text": ("words", len(WORDS))}
    if tones is not None:
        alphabets["audio"] = ("tones", tones)
    for name, kind in design.modalities.items():
        blocks = design.scoped(name)
        needed, (what, known) = sum(block.values for block in blocks), alphabets.get(kind, ("", 0))
        if what and needed > known:
            yield f"{name} needs {needed} {what} for its blocks ({kind}), and there are {known}"
        for block in blocks if kind == "vector" else ():
            if code_length(block) > LONGEST_ONE_HOT:
                yield f"{name} would show block {block.name} as a one-hot code of {block.values}, more than 1024"
