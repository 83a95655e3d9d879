"""Which columns of Symile-MIMIC are labels, and how CheXpert's findings become two classes.

CheXpert's labeller reads a report and says of each finding 1 (present), 0 (absent), -1 (uncertain) or nothing, where
the report does not mention it. A policy says what becomes of the latter two. Its version belongs to every result;
whoever changes what equal settings give raises it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from symile_data.errors import UsageError

from .icd import CHAPTER_COLUMNS
from .schema import FINDINGS

POLICY_VERSION = 1
UNCERTAIN = ("ignore", "zeros", "ones")
UNMENTIONED = ("ignore", "zeros")

# Name of a group of labels -> its columns, as far as a dataset has them.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "chexpert": tuple(FINDINGS.values()),
    "mortality": ("hospital_expire_flag",),
    "icd": CHAPTER_COLUMNS,
}

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LabelPolicy:
    """How the columns of CheXpert's findings become classes; other columns are not changed.

    Args:
        uncertain: What becomes of -1: "ignore" leaves the row out for this finding, "zeros" and "ones" take it as
            absent or present.
        unmentioned: What becomes of a finding that a report does not mention: "ignore" or "zeros".
        version: `POLICY_VERSION` of the package that applied it.

    Raises:
        UsageError: a setting has another value, or the version is one that this package does not know.
    """

    uncertain: str = "ignore"
    unmentioned: str = "ignore"
    version: int = POLICY_VERSION

    def __post_init__(self) -> None:
        for name, choices in (("uncertain", UNCERTAIN), ("unmentioned", UNMENTIONED)):
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"unknown `{name}`", got=repr(getattr(self, name)), do=f"choose among {', '.join(choices)}"
                )
        if self.version != POLICY_VERSION:
            raise UsageError(
                "the labels were made by another version of the policy",
                got=f"version {self.version}",
                do=f"this package has version {POLICY_VERSION}; train again",
            )

    def classes(self, values: IntArray, null: npt.NDArray[np.bool_], left_out: int) -> IntArray:
        """Map the values of a finding to classes.

        Args:
            values: (N,) 1, 0 or -1; anything where `null`.
            null: (N,) whether a report does not mention the finding.
            left_out: The number of rows without a class.

        Returns:
            (N,) int64: 0, 1 or `left_out`.
        """
        told = {"ignore": left_out, "zeros": 0, "ones": 1}
        certain = np.where(values == -1, told[self.uncertain], values)
        return np.where(null, told[self.unmentioned], certain).astype(np.int64)


def is_finding(column: str) -> bool:
    """Whether a column holds one of CheXpert's findings."""
    return column in GROUPS["chexpert"]
