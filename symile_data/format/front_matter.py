"""Read the front matter of a README.md: the YAML at the beginning of a dataset's card, which may come from a stranger.

Mappings, lists and texts are read. Numbers and dates are texts, and tags are ignored. Aliases are refused, since they
let a small text unfold into a huge value. Size and depth are bounded, and the time grows with the size only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

CARD = "README.md"
MOST_CARD_BYTES = 8 << 20
MOST_BYTES = 1 << 20  # of the front matter; a card of 1,000 configurations has 200 kB
MOST_DEPTH = 64

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"

_FENCE = "---\n"
_NOTHING = ("", "~", "null", "Null", "NULL")
_TRUE = ("true", "True", "TRUE")


@dataclass(frozen=True, kw_only=True)
class DataFiles:
    """The files of one split: its name, and patterns relative to the dataset."""

    split: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Config:
    """One entry of the list `configs` in the front matter.

    Args:
        name: Its `config_name`.
        default: Whether it is used if the reader names no config.
        folder: Its `data_dir`, the folder of its files; empty for the dataset's own directory.
        files: Its `data_files`, relative to `folder`; None if it names none.
    """

    name: str
    default: bool
    folder: str
    files: tuple[DataFiles, ...] | None


def configs_of(card: str) -> tuple[Config, ...]:
    r"""Return the entries of `configs` in a card's front matter; none if it has no front matter that is YAML.

    Raises:
        ValueError: the front matter exceeds the limits, has aliases, or has an entry of another form.

    >>> configs_of("---\nconfigs:\n- config_name: a\n  data_files: x/*.parquet\n---\n")[0].files
    (DataFiles(split='train', patterns=('x/*.parquet',)),)
    """
    matter = read_front_matter(card)
    entries = matter.get("configs") if isinstance(matter, dict) else None
    return tuple(_config(entry, index) for index, entry in enumerate(entries)) if isinstance(entries, list) else ()


def read_front_matter(card: str) -> Value:
    """Return the value of a card's front matter; None if it has none, or one that is no YAML.

    Raises:
        ValueError: the front matter exceeds the limits or has aliases.
    """
    import yaml  # here, as opening a dataset with a manifest does without it

    if not card.startswith(_FENCE):
        return None
    text = card[len(_FENCE) :].split("\n---", 1)[0]
    if len(text) > MOST_BYTES:
        raise ValueError(f"its front matter has more than {MOST_BYTES >> 20} MiB")
    try:
        return _parsed(_FENCE + text)  # behind the fence no line is a directive
    except yaml.YAMLError:
        return None


def _parsed(text: str) -> Value:
    """Parse the first document of a YAML text."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # ten times faster where there is libyaml
    top: list[Value] = []
    open_values: list[list[Value]] = [top]  # a mapping is collected as its keys and values in turn
    kinds: list[str] = ["list"]
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"its front matter has an alias (line {event.start_mark.line + 1})")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0] and event.value in _NOTHING
            open_values[-1].append(None if plain else event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(open_values) > MOST_DEPTH:
                raise ValueError(f"its front matter is nested deeper than {MOST_DEPTH} levels")
            open_values.append([])
            kinds.append("mapping" if isinstance(event, yaml.MappingStartEvent) else "list")
        elif isinstance(event, yaml.CollectionEndEvent):
            parts = open_values.pop()
            open_values[-1].append(_mapping(parts) if kinds.pop() == "mapping" else parts)
        elif isinstance(event, yaml.DocumentEndEvent):
            break
    return top[0] if top else None


def _mapping(parts: list[Value]) -> dict[str, Value]:
    keys = parts[::2]
    named = [key for key in keys if isinstance(key, str)]
    if len(named) < len(keys) or len(set(named)) < len(keys):
        raise ValueError("its front matter has a key twice, or one that is no text")
    return dict(zip(named, parts[1::2], strict=True))


def _config(entry: Value, index: int) -> Config:
    at = f"configs[{index}]"
    if not isinstance(entry, Mapping):
        raise ValueError(f"{at} of its front matter is no mapping")
    name, files = entry.get("config_name", "default"), entry.get("data_files")
    folder = entry.get("data_dir") or ""
    for key, value in (("config_name", name), ("data_dir", folder)):
        if not isinstance(value, str):
            raise ValueError(f"{at}.{key} of its front matter is no text")
    return Config(
        name=str(name),
        folder=str(folder),
        default=entry.get("default") in _TRUE,
        files=_data_files(files, f"{at}.data_files") if "data_files" in entry else None,
    )


def _data_files(value: Value, at: str) -> tuple[DataFiles, ...]:
    """Read a pattern, a list of patterns or of mappings with `split` and `path`, or a mapping of splits to patterns."""
    if isinstance(value, dict):
        return tuple(DataFiles(split=split, patterns=_patterns(item, f"{at}.{split}")) for split, item in value.items())
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return (DataFiles(split="train", patterns=_patterns(value, at)),)
    found = []
    for index, item in enumerate(value):
        split = item.get("split", "train") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(split, str):
            raise ValueError(f"{at}[{index}] of its front matter does not say split and path")
        found.append(DataFiles(split=split, patterns=_patterns(item.get("path"), f"{at}[{index}].path")))
    return tuple(found)


def _patterns(value: Value, at: str) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    patterns = tuple(item for item in items if isinstance(item, str))
    if len(patterns) < len(items):
        raise ValueError(f"{at} of its front matter is neither a path nor a list of paths")
    return patterns
