"""Say errors of the library in the words of the command line.

The library names its arguments in backquotes: `layout`, or with a value `layout='pooled'`. The command line has an
option for each argument that its users can set, and `with_options` puts the options in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SAME_NAMES = (
    "accelerator allow_credentialed allow_missing audio beside by_feature candidates config data device devices"
    " dims executor features image_size images layout logger manual mimic_cxr mimic_ecg mimic_iv misaligned missing"
    " mode noise_level noisy out pair_information patients plan precision profile reference replace rows sentences"
    " skip_unnamed_classes sounds strict train uncertain unmentioned validation within_stay words workers fold folds"
    " group repeat repeats stratify"
)

# Argument, or argument and value, as the library writes it between backquotes -> option.
OPTIONS: Mapping[str, str] = {
    **{name: f"--{name.replace('_', '-')}" for name in _SAME_NAMES.split()},
    **{f"rows['{split}']": f"--{split}" for split in ("train", "validation", "test")},
    "allow_images": "--allow-pictures",
    "batch_size": "--set batch_size=...",
    "images=None": "--images sample",
    "labels": "--labels",
    "languages": "--langs",
    "names": "--translations",
    "noise_levels": "--noise-level",
    "pretrain.batch_size": "--set pretrain.batch_size=...",
    "recordings": "--audio common-voice:PATH",
    "recordings='/data/cv-corpus-19.0'": "common-voice:/data/cv-corpus-19.0",
    "redraw_words": "--set redraw_words=...",
    "seconds": "--audio-seconds",
    "shard_format": "--format",
    "split_policy": "--splits",
    "keys": "--keys",
    "objectives": "--objectives",
}

_ARGUMENT = re.compile(r"`([^`]+)`")


def with_options(text: str) -> str:
    """Replace the arguments that a sentence of the library names in backquotes by options; other quotes stay.

    >>> with_options("leave out `strict`, or use `split_policy='shared'` with `threads` of 2")
    'leave out --strict, or use --splits shared with `threads` of 2'
    """
    return _ARGUMENT.sub(_option, text)


def _option(match: re.Match[str]) -> str:
    argument, equals, value = match[1].partition("=")
    if match[1] in OPTIONS:
        return OPTIONS[match[1]]
    if argument not in OPTIONS:
        return match[0]
    option, told = OPTIONS[argument], value.strip(_QUOTES)
    if option.endswith("=..."):  # a setting of the config, whose truth values are TOML's
        return option[:-3] + (told.lower() if told in ("True", "False") else told) if equals else option
    return f"{option} {told}" if equals else option


_QUOTES = "'\""
