"""The columns about a stay: what each says, and what the labels among them tell a model too early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from .icd import CHAPTER_COLUMNS, CHAPTERS, PREFIX

_TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Leak:
    """What a label of the stay may tell a model too early.

    Args:
        column: The column; a dataset that has it has the label.
        shown: The label's name in a sentence.
        text: The sentence without its subject.
    """

    column: str
    shown: str
    text: str


MEANINGS: Mapping[str, str] = {
    "admittime": "time of admission as MIMIC-IV has it: local time in shifted years",
    "length_of_stay_days": "days from admission to discharge; a label, null where no discharge is given",
    "hospital_expire_flag": "1 where the patient died in this stay; a label",
    **{
        PREFIX + name: (
            f"1 where a diagnosis of the stay lies in the ICD chapter of {title}, 0 where all lie in others, null"
            " where there is none; a label"
        )
        for name, title in CHAPTERS.items()
    },
}

LEAKS = (
    Leak(
        "length_of_stay_days",
        "length_of_stay_days",
        "is known only after discharge. The hour of the X-ray is a lower bound of it wherever the X-ray lies within the"
        " stay, as it always does with --within-stay. A stay that ends early by death is short.",
    ),
    Leak(
        "hospital_expire_flag",
        "hospital_expire_flag",
        "is known only at the end of the stay. An X-ray up to 72 hours after admission may have been taken shortly"
        " before the death. A patient who dies within 24 hours has no X-ray in the window.",
    ),
    Leak(
        CHAPTER_COLUMNS[0],
        PREFIX + "*",
        "are coded for billing after discharge, from the whole record. A code may restate the report of the row's own"
        " X-ray, ECG or test, or tell of an event after them; the absence of a code is no proof of absence.",
    ),
)


def time_of(text: str) -> datetime:
    """Read a time of admission, to the microsecond.

    Raises:
        ValueError: the text is no such time.

    >>> time_of("2150-03-01 12:00:00").hour
    12
    """
    return datetime.strptime(text, _TIME if "." not in text else f"{_TIME}.%f")


def is_time(text: str | None) -> bool:
    """Tell whether a cell of `admittime` is a time.

    >>> is_time("2150-03-01 12:00:00.5"), is_time("2150-03-01"), is_time(None)
    (True, False, False)
    """
    try:
        return text is not None and bool(time_of(text))
    except ValueError:
        return False
