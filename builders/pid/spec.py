"""The settings of a build of PID data, checked on construction and stored in the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from symile_data.arguments import check_fields, check_rows
from symile_data.datasets.pid.alphabets import alphabet_problems
from symile_data.datasets.pid.design import MEDIA, Design, columns_of, refuse
from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS
from symile_data.format.shards import check_format
from symile_data.missingness import check_rates
from symile_data.reliability import Reliability

from ..m3.audio.tones import TONES
from .drawings import drawing_stems

Sounds = Literal["words", "tones"]

VECTOR_ROWS = (10_000, 1_000, 5_000)  # as binary XOR data
MEDIA_ROWS = (8_000, 1_000, 3_000)

_ROWS_PER_MEDIUM = 2  # an image or audio occurs in about this many rows of its split ...
_MOST_VARIANTS = 500  # ... until a value has this many; more variety than that changes nothing


@dataclass(frozen=True, kw_only=True)
class PidSpec:
    """Settings of a build of PID data.

    Args:
        design: Modalities and blocks.
        rows: Split -> number of rows; 0 leaves a split out. `default_rows` has the defaults.
        missing: Modality -> rate in [0, 1] at which it is missing in the training and validation splits.
        missing_test: Whether modalities are missing in the test split too.
        reliability: Rates at which modalities are misaligned or noisy.
        sounds: What audio shows symbols by: spoken "words", or "tones", which need no speech library.
        shard_format: "parquet" or "webdataset".
        seed: Seed of all random numbers.

    Raises:
        UsageError: a value is out of range, there are no training rows, or a kind cannot show the symbols of its
            modality; the message lists everything that is wrong with the design.
    """

    design: Design
    rows: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, float] = field(default_factory=dict)
    missing_test: bool = False
    reliability: Reliability = field(default_factory=Reliability)
    sounds: Sounds = "words"
    shard_format: str = "parquet"
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.rows:
            object.__setattr__(self, "rows", default_rows(self.design))
        check_rows(self.rows)
        if self.sounds not in get_args(Sounds):
            raise UsageError("unknown `sounds`", got=repr(self.sounds), do=f"choose {' or '.join(get_args(Sounds))}")
        if self.sounds == "tones" and "audio" not in self.design.modalities.values():
            raise UsageError("`sounds` says how audio shows symbols, and the design has none", do="leave it out")
        tones = TONES if self.sounds == "tones" else None
        refuse(list(alphabet_problems(self.design, len(drawing_stems()), tones)))
        unknown = sorted(set(self.missing) - set(self.design.names))
        if unknown:
            raise UsageError("a missing rate is of no modality of the design", got=unknown[0])
        check_rates(self.missing)
        self.reliability.check(self.design.modalities)
        refuse(list(self._clashes()))
        check_format(self.shard_format)

    def _clashes(self) -> Iterator[str]:
        for name in self.design.names:
            for column in sorted(set(self.reliability.columns_of(name)) & set(columns_of(name, self.design))):
                yield f"2 columns would be called {column}; rename a block"

    @property
    def has_media(self) -> bool:
        """Whether a modality is stored as images or audio."""
        return any(kind in MEDIA for kind in self.design.modalities.values())

    def missing_rate(self, split: str, modality: str) -> float:
        """The rate, from 0 to 1, at which a modality is missing in a split."""
        return self.missing.get(modality, 0.0) if split != "test" or self.missing_test else 0.0

    def variants(self, split: str, modality: str) -> int:
        """Number of different images or sounds of each value of a modality in a split."""
        wanted = -(-self.rows[split] // (self.design.values_of(modality) * _ROWS_PER_MEDIUM))
        return min(max(wanted, 1), _MOST_VARIANTS)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as the manifest stores them."""
        return {
            "seed": self.seed,
            "rows": dict(self.rows),
            "design": self.design.to_json(),
            "missing": {name: rate for name, rate in self.missing.items() if rate},
            "missing_test": self.missing_test,
            **self.reliability.to_json(),
            **({"sounds": self.sounds} if self.sounds != "words" else {}),
            "format": self.shard_format,
        }


def default_rows(design: Design) -> dict[str, int]:
    """Rows of each split where none are asked for: fewer where images or audio are made."""
    media = any(kind in MEDIA for kind in design.modalities.values())
    return dict(zip(SPLITS, MEDIA_ROWS if media else VECTOR_ROWS, strict=True))
