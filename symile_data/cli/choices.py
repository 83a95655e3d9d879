"""The values that options take: closed choices, which are checked, shown and completed, and completions of open ones.

The choices repeat constants of the library, which take too long to import for `--help` and for completion; a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Literal

HeldOutSplit = Literal["validation", "test"]
ShardFormat = Literal["parquet", "webdataset"]
Size = Literal["xs", "s", "m", "l"]
Mode = Literal["disjoint", "overlap"]
SplitPolicy = Literal["disjoint", "shared"]
Layout = Literal["shards", "pooled"]
Preset = Literal["mixed", "xor", "xnor", "redundant", "trifeature"]
Sounds = Literal["words", "tones"]
TranslationEngine = Literal["google", "mymemory"]
LanguageCount = Literal["2", "5", "10"]
Pool = Literal["observed", "all"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Device = Literal["auto", "cpu", "cuda"]
Accelerator = Literal["auto", "cpu", "gpu"]
Negatives = Literal["n", "exact"]
Selection = Literal["val_accuracy", "val_loss"]
Uncertain = Literal["ignore", "zeros", "ones"]
Unmentioned = Literal["ignore", "zeros"]
PaperObjective = Literal["symile", "clip"]
Effort = Literal["small", "full"]
Track = Literal["neurips"]


class RunLogger(StrEnum):
    """Loggers besides CSV. Options that are repeatable take an enumeration: typer knows no list of literals."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"


class EachSplit(StrEnum):
    """Splits, for options that are repeatable."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


Completion = Callable[[str], list[str]]


def one_of(*values: str) -> Completion:
    """Complete an option that takes one of these values or something else, such as a path.

    >>> one_of("sample", "hf:")("s")
    ['sample']
    """
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


def several_of(*values: str) -> Completion:
    """Complete an option that takes some values with commas between, each once.

    >>> several_of("symbol", "tone", "code")("tone,")
    ['tone,symbol', 'tone,code']
    """
    return lambda incomplete: _listed(incomplete, values)


def an_objective(incomplete: str) -> list[str]:
    """Complete the name of a bundled or registered objective."""
    from symile_data.losses.objectives import all_objectives

    return one_of(*all_objectives())(incomplete)


def some_objectives(incomplete: str) -> list[str]:
    """Complete names of objectives with commas between."""
    from symile_data.losses.objectives import all_objectives

    return _listed(incomplete, all_objectives())


def a_config(incomplete: str) -> list[str]:
    """Complete the name of a bundled config."""
    from symile_data.training.config import named_configs

    return one_of(*named_configs())(incomplete)


def languages(incomplete: str) -> list[str]:
    """Complete a number of languages or their codes with commas between."""
    from symile_data.builders.m3.text.languages import LANGUAGE_SETS, LANGUAGES

    return [*one_of(*map(str, LANGUAGE_SETS))(incomplete), *_listed(incomplete, LANGUAGES)]


def _listed(incomplete: str, values: Iterable[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    taken = before.split(",")
    return [before + comma + value for value in values if value.startswith(last) and value not in taken]
