"""Read a design: from a TOML file, from `--block` and `--modality`, and from a manifest."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symile_data.errors import UsageError
from symile_data.format.typed_json import read_text

from .blocks import Block
from .design import KINDS, Design, refuse

_MOST_BYTES = 1 << 20  # of a design file
_SHORT = {"n": "values", "values": "values", "p": "strength", "strength": "strength", "name": "name", "group": "group"}
_FORM = "RELATION:SCOPE:n=NUMBER[:p=STRENGTH][:name=NAME][:group=xor|cyclic], such as redundant:image+text:n=10"
_KNOWN = {"name", "relation", "scope", "values", "strength", "group"}


def block_of(text: str) -> Block:
    """Parse one `--block`.

    Raises:
        UsageError: the text is of another form.

    >>> block_of("redundant:image+text:n=10:p=0.9").values
    10
    """
    relation, *parts = text.split(":")
    settings: dict[str, str] = {}
    for part in parts[1:]:
        name, equals, value = part.partition("=")
        known = _SHORT.get(name.strip())
        if not equals or known is None or known in settings:
            raise UsageError("a block has a part that is not understood", got=repr(part), do=f"write {_FORM}")
        settings[known] = value.strip()
    if not parts or "values" not in settings:
        raise UsageError("a block needs a scope and a number of values", got=repr(text), do=f"write {_FORM}")
    try:
        values, strength = int(settings["values"]), float(settings.get("strength", "1"))
    except ValueError as error:
        raise UsageError("a block has a number that is none", where=text, got=error, do=f"write {_FORM}") from None
    scope = tuple(name.strip() for name in parts[0].split("+")) if parts[0].strip() else ()
    return Block(
        relation=relation.strip(),
        scope=scope,
        values=values,
        strength=strength,
        name=settings.get("name", ""),
        group=settings.get("group", ""),
    )


def modalities_of(texts: Sequence[str]) -> dict[str, str]:
    """Parse every `--modality`: NAME=KIND, or NAME alone for the kind of that name, else a vector.

    Raises:
        UsageError: a modality is named twice.

    >>> modalities_of(["image", "touch", "heard=audio"])
    {'image': 'image', 'touch': 'vector', 'heard': 'audio'}
    """
    kinds: dict[str, str] = {}
    for text in texts:
        name, equals, kind = (part.strip() for part in text.partition("="))
        if name in kinds:
            raise UsageError("a modality is given twice", got=repr(name))
        kinds[name] = kind if equals else (name if name in KINDS else "vector")
    return kinds


def read_design(path: Path) -> Design:
    """Read a design file (TOML).

    Raises:
        UsageError: the file cannot be read, or holds no design; the message lists everything that is wrong.
    """
    try:
        value = tomllib.loads(read_text(path, _MOST_BYTES))
    except OSError as error:
        do = "give the path of a TOML file, or choose a preset"
        raise UsageError("the design cannot be opened", where=path, got=error.strerror, do=do) from error
    except (ValueError, RecursionError) as error:
        raise UsageError("the design is not readable TOML", where=path, got=error) from None
    return design_of(value)


def design_of(value: Any) -> Design:
    """Make a design from the tables of a design file, or from what `Design.to_json` returned.

    Raises:
        UsageError: it is no design; the message lists everything that is wrong with its form.
    """
    if not isinstance(value, Mapping):
        raise UsageError("a design is a table", got=type(value).__name__)
    kinds, blocks, name = value.get("modalities"), value.get("block"), value.get("name", "")
    problems = [f"it has an unknown setting {key!r}" for key in sorted(set(value) - {"modalities", "block", "name"})]
    if not isinstance(name, str):
        problems.append("its name is no text")
    if not isinstance(kinds, Mapping) or not all(isinstance(kind, str) for kind in kinds.values()):
        problems.append("it needs a table [modalities] of names and kinds")
    if not isinstance(blocks, list) or not all(isinstance(block, Mapping) for block in blocks):
        problems.append("it needs tables [[block]]")
        blocks = []
    for number, block in enumerate(blocks, start=1):
        problems += [f"block {number}: {problem}" for problem in _form_problems(block)]
    refuse(problems)
    return Design(
        modalities=dict(kinds or {}),
        blocks=tuple(Block(**{**block, "scope": tuple(block["scope"])}) for block in blocks),
        name=name,
    )


def _form_problems(block: Mapping[str, Any]) -> list[str]:
    """What is wrong with the form of a block's table; `Design` sees what is wrong with its contents."""
    problems = [f"it has an unknown setting {key!r}" for key in sorted(set(block) - _KNOWN)]
    scope, values, strength = block.get("scope"), block.get("values"), block.get("strength", 1.0)
    if not all(isinstance(block.get(name, ""), str) for name in ("name", "relation", "group")):
        problems.append("name, relation and group are texts")
    if "relation" not in block:
        problems.append("it has no relation")
    if not isinstance(scope, list | tuple) or not all(isinstance(name, str) for name in scope):
        problems.append("scope is a list of modalities")
    if isinstance(values, bool) or not isinstance(values, int):
        problems.append(f"values is a whole number, not {values!r}")
    if isinstance(strength, bool) or not isinstance(strength, int | float):
        problems.append(f"strength is a number, not {strength!r}")
    return problems
