"""What the card of PID data says: its title and what the columns mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symile_data.format.schema import Modality


def design_title(spec: Mapping[str, Any]) -> str:
    """What a title adds of the design's name.

    >>> design_title({"design": {"name": "xor"}}), design_title({})
    (' (xor)', '')
    """
    design = spec.get("design")
    name = design.get("name") if isinstance(design, Mapping) else None
    return f" ({name})" if name else ""


def pid_meaning(column: str, modalities: tuple[Modality, ...]) -> str:
    """What a column says that is called after a modality or a block.

    >>> image = Modality(name="image", kind="image", column="image", null_columns=("image", "image_id"))
    >>> pid_meaning("image_value", (image,)), pid_meaning("rule_holds", (image,))[:26]
    ('number of the tuple of symbols that image shows', 'True where the relation of')
    """
    if column.endswith("_holds"):
        return f"True where the relation of block `{column.removesuffix('_holds')}` is true of the row's symbols"
    if column.endswith("_drawn"):
        return f"the hidden draw of block `{column.removesuffix('_drawn')}`: True with its strength as probability"
    for modality in sorted(modalities, key=lambda modality: -len(modality.name)):
        start = f"{modality.name}_"
        if column in (modality.column, modality.mask) or not column.startswith(start):
            continue
        if column == f"{start}value":
            return f"number of the tuple of symbols that {modality.name} shows"
        if column == f"{start}id":
            return f"name of the {modality.kind}: modality, split, value and variant; equal ids are equal files"
        return f"symbol that {modality.name} shows in block `{column.removeprefix(start)}`"
    return ""
