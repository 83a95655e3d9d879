"""The settings of an XOR build, checked on construction and stored in the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any

from symile_data.arguments import check_fields, check_rows
from symile_data.datasets.xor.schema import VECTOR
from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS
from symile_data.format.shards import check_format
from symile_data.missingness import check_rates
from symile_data.reliability import Reliability

DEFAULT_ROWS = (10_000, 1_000, 5_000)  # Symile, section 5.1


@dataclass(frozen=True, kw_only=True)
class XorSpec:
    """Settings of an XOR build.

    Args:
        variables: Number of variables V, from 3 to 26; 3 in the paper. The columns are named a, b, c, ...
        dims: Bits of each variable, from 1 to 63; 5 in the paper.
        p_hat: Probability that a row's last variable is the XOR of all others; else it is a copy of the first.
        rows: Split -> number of rows; 0 leaves a split out.
        missing: Variable -> rate in [0, 1] at which it is missing in the training and validation splits.
        missing_test: Whether variables are missing in the test split too.
        reliability: Rates at which variables are misaligned or noisy.
        shard_format: "parquet" or "webdataset".
        seed: Seed of all random numbers.

    Raises:
        UsageError: a value is out of range, or there are no training rows.
    """

    variables: int = 3
    dims: int = 5
    p_hat: float = 1.0
    rows: Mapping[str, int] = field(default_factory=lambda: dict(zip(SPLITS, DEFAULT_ROWS, strict=True)))
    missing: Mapping[str, float] = field(default_factory=dict)
    missing_test: bool = False
    reliability: Reliability = field(default_factory=Reliability)
    shard_format: str = "parquet"
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if not 3 <= self.variables <= len(ascii_lowercase):
            raise UsageError("variables is a number from 3 to 26", got=self.variables)
        if not 1 <= self.dims <= 63:
            raise UsageError("dims is a number of bits from 1 to 63", got=self.dims)
        if not 0.0 <= self.p_hat <= 1.0:
            raise UsageError("p_hat is a probability", got=self.p_hat, do="give a number from 0 to 1")
        check_rows(self.rows)
        check_rates(self.missing)
        self.reliability.check(dict.fromkeys(self.names, VECTOR))
        check_format(self.shard_format)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables, which are also their columns.

        >>> XorSpec().names
        ('a', 'b', 'c')
        """
        return tuple(ascii_lowercase[: self.variables])

    def to_json(self) -> dict[str, Any]:
        """Return the settings as the manifest stores them."""
        return {
            "seed": self.seed,
            "rows": dict(self.rows),
            "variables": self.variables,
            "dims": self.dims,
            "p_hat": self.p_hat,
            "missing": {name: rate for name, rate in self.missing.items() if rate},
            "missing_test": self.missing_test,
            **self.reliability.to_json(),
            "format": self.shard_format,
        }
