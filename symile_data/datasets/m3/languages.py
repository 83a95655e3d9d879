"""The English names of the languages of Symile-M3, by the codes that columns and tables hold."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGE_NAMES: Mapping[str, str] = {
    "ar": "Arabic",
    "el": "Greek",
    "en": "English",
    "hi": "Hindi",
    "ja": "Japanese",
    "ko": "Korean",
    "te": "Telugu",
    "th": "Thai",
    "uk": "Ukrainian",
    "zh-CN": "Mandarin Chinese",
}


def language_label(code: str) -> str:
    """Return what figures and pages print for a language's code: its name and the code, where the name is known.

    >>> language_label("el"), language_label("eo")
    ('Greek (el)', 'eo')
    """
    name = LANGUAGE_NAMES.get(code)
    return f"{name} ({code})" if name else code
