"""Turn a modality's value into its panel on the page: one row of the table `PANELS` for each kind of modality.

A panel is the name of a macro in templates/preview.html and its values. A new kind needs a function here and a macro
there.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from symile_data.datasets.m3.keys import TARGET_LANGUAGE
from symile_data.format.images import shown as image_shown
from symile_data.format.media import open_image
from symile_data.format.schema import Modality

from .drawing import bar_path, data_uri, envelope_path, png
from .own_kinds import drawing_function, drawing_of
from .rows import Row
from .sound import WAVE_HEIGHT, WIDTH, audio_of

_LONGEST_SIDE = 512  # pixels; larger images are shrunk
_SHOWN_NUMBERS = 16
_BARS = 64  # longer vectors are drawn as a line
_LEADS = 12
_LEAD_STEPS, _LEAD_HEIGHT = 300, 40
# Errors of the functions below for bytes that are not an image or audio, and for values that are not of their kind.
_UNREADABLE = (OSError, SyntaxError, ValueError, RuntimeError)
_MIMES = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp"}


@dataclass(frozen=True)
class Panel:
    """The panel of one modality of one row.

    Args:
        modality: Name of the modality.
        macro: Name of the template's macro.
        values: Arguments of the macro.
    """

    modality: str
    macro: str
    values: Mapping[str, Any]


Values = dict[str, Any]


def panel_of(row: Row, modality: Modality) -> Panel:
    """Make the panel of a modality. It says so where a value is missing or unreadable or the kind is unknown."""
    if row.value(modality.mask) or row.value(modality.column) is None:
        return Panel(modality.name, "missing", {})
    if draw := drawing_function(modality.kind):
        drawing = drawing_of(draw, row.value(modality.column))
        return Panel(modality.name, "drawn", {"source": data_uri(drawing, "image/png"), "kind": modality.kind})
    if modality.kind not in PANELS:
        return Panel(modality.name, "unknown", {"kind": modality.kind})
    macro, values_of = PANELS[modality.kind]
    try:
        return Panel(modality.name, macro, values_of(row, modality))
    except _UNREADABLE as error:
        return Panel(modality.name, "unreadable", {"problem": str(error)})


def _image(row: Row, modality: Modality) -> Values:
    data = row.value(modality.column)["bytes"]
    with open_image(data) as opened:
        form, (width, height), mode = str(opened.format), opened.size, opened.mode
        opened.load()
        shown, mime = data, _MIMES.get(form, "")
        if max(width, height) > _LONGEST_SIDE or not mime:
            shown, mime = _smaller(image_shown(opened))
    colours = "gray" if mode in ("L", "1") or mode.startswith("I") else "colour"
    return {
        "source": data_uri(shown, mime),
        "width": width,
        "height": height,
        "form": form,
        "colours": colours,
        "bytes": len(data),
    }


def _smaller(image: Image.Image) -> tuple[bytes, str]:
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    if image.mode == "L":
        return png(image), _MIMES["PNG"]
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue(), _MIMES["JPEG"]


def _audio(row: Row, modality: Modality) -> Values:
    return {"audio": audio_of(row.value(modality.column)["bytes"]), "width": WIDTH, "height": WAVE_HEIGHT}


def _text(row: Row, modality: Modality) -> Values:
    """Show a text, and each word with its language where the row lists them, with the target marked."""
    names = row.table.column_names
    listed = row.value("words") if "words" in names and "words" in modality.null_columns else None
    language = TARGET_LANGUAGE if TARGET_LANGUAGE in names else "lang"
    target = (row.value(language), row.value("target_text")) if {language, "target_text"} <= set(names) else ()
    words = [
        {
            "text": word["text"],
            "lang": word["lang"],
            "english": row.class_name("cls_id", -1 if word.get("cls_id") is None else word["cls_id"]),
            "target": (word["lang"], word["text"]) == target,
        }
        for word in listed or ()
    ]
    return {"text": row.value(modality.column), "words": words}


def _vector(row: Row, modality: Modality) -> Values:
    values = np.asarray(row.value(modality.column), dtype=np.float64)
    most = float(np.abs(values[np.isfinite(values)]).max(initial=1e-9))
    drawn_as_bars = len(values) <= _BARS
    return {
        "length": len(values),
        "bars": bar_path(values, WIDTH, WAVE_HEIGHT) if drawn_as_bars else "",
        "line": "" if drawn_as_bars else envelope_path(values, WIDTH, WAVE_HEIGHT, most, _LEAD_STEPS),
        "width": WIDTH,
        "height": WAVE_HEIGHT,
        "numbers": [f"{value:.4g}" for value in values[:_SHOWN_NUMBERS]],
    }


def _ecg(row: Row, modality: Modality) -> Values:
    """Show the leads of a lead-major list, with names, rate and scale from the modality's details if it has them."""
    details = modality.details
    flat = np.asarray(row.value(modality.column), dtype=np.float64)
    names = details.get("leads") or [str(number + 1) for number in range(_LEADS)]
    if len(flat) % len(names):
        raise ValueError(f"{len(flat)} samples are not {len(names)} leads of equal length")
    per_mv = float(details.get("units_per_mV", 0))
    leads = flat.reshape(len(names), -1) / (per_mv or 1.0)
    leads = leads - np.median(leads, axis=1, keepdims=True)
    most = float(np.quantile(np.abs(leads), 0.999)) or 1.0
    rate = details.get("rate_hz")
    return {
        "leads": [
            {"name": name, "path": envelope_path(lead, WIDTH, _LEAD_HEIGHT, most, _LEAD_STEPS)}
            for name, lead in zip(names, leads, strict=True)
        ],
        "width": WIDTH,
        "height": _LEAD_HEIGHT,
        "seconds": leads.shape[1] / rate if rate else None,
        "most": most,
        "unit": details.get("unit", "mV") if per_mv else "units",
    }


def _labs(row: Row, modality: Modality) -> Values:
    """Show each test with its value and, where the dataset has it, its percentile among the training rows."""
    numbers = np.asarray(row.value(modality.column), dtype=np.float64)
    items = modality.details.get("items", [])
    names = (
        [item["name"] for item in items]
        if len(items) == len(numbers)
        else [f"test {n + 1}" for n in range(len(numbers))]
    )
    column = next((name for name in modality.null_columns if name.endswith("_percentile")), None)
    ranks = np.full(len(numbers), np.nan) if column is None else np.asarray(row.value(column), dtype=np.float64)
    tests = [
        {"name": name, "value": f"{value:g}", "rank": None if np.isnan(rank) else float(rank)}
        for name, value, rank in zip(names, numbers, ranks, strict=True)
        if not np.isnan(value)
    ]
    unmeasured = [name for name, value in zip(names, numbers, strict=True) if np.isnan(value)]
    return {"tests": tests, "unmeasured": unmeasured}


# kind of modality -> macro of the template, and the function that makes its values. What a function raises for a value
# that cannot be read is among `_UNREADABLE`.
PANELS: Mapping[str, tuple[str, Callable[[Row, Modality], Values]]] = {
    "image": ("image", _image),
    "audio": ("audio", _audio),
    "text": ("text", _text),
    "vector": ("vector", _vector),
    "features": ("vector", _vector),
    "ecg": ("ecg", _ecg),
    "labs": ("labs", _labs),
}
