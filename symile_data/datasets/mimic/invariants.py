"""The rules that every row of a Symile-MIMIC dataset obeys, for `symile-data verify`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.format.manifest import Manifest
from symile_data.format.media import UnfitMediumError, open_image
from symile_data.format.verify.stored_paths import has_paths, path_problems
from symile_data.reliability import Reliability

from .icd import CHAPTER_COLUMNS
from .lab_items import LAB_ITEMS, LABS, lab_numbers
from .schema import FINDINGS, LEAST_MODALITIES, NAN_VALUE, SHORTER_SIDE
from .stays import is_time
from .windows import CXR_WINDOW, ECG_WINDOW, LABS_WINDOW, Window

_SLACK = 1e-5  # percentiles are stored in single precision

Floats = npt.NDArray[np.float64]


class MimicInvariants:
    """Check shard by shard, and remember patients, candidates and laboratory values for the checks across shards.

    Args:
        manifest: Manifest of the dataset; its spec says which rules hold.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._spec = manifest.identity.spec
        self._raw = {modality.name for modality in manifest.modalities if modality.kind != "features"}
        settings = Reliability.of(self._spec)
        # The percentiles are those of the training values before some were lost or changed.
        self._changed_tests = "labs" in (*settings.misaligned, *settings.noisy)
        self._part = self._spec.get("first_rows") is not None  # of a release: some rows are candidates and no queries
        self._split_of: dict[int, str] = {}  # admission -> split
        self._patient: dict[int, int] = {}  # admission -> patient
        self._has_cxr: set[int] = set()
        self._samples: set[int] = set()
        self._sets: list[tuple[str, int, list[int]]] = []
        self._labs: dict[str, list[tuple[Floats, Floats]]] = {}

    @property
    def disjoint_media(self) -> bool:
        """True: splits share no media, since each patient is in one split."""
        return True

    @property
    def reads_media(self) -> bool:
        """Whether a rule looks into the bytes of images and audio."""
        return True

    def check_media(self, table: pa.Table) -> Iterator[str]:
        """Yield X-rays whose stored path does not match their id."""
        if has_paths(self._spec):
            yield from path_problems(table, "cxr", pc.binary_join_element_wise(table["cxr_dicom_id"], "png", "."))

    def check(self, split: str, table: pa.Table) -> Iterator[str]:
        """Yield the problems of the rows of one shard."""
        yield from self._ids(split, table)
        yield from self._presence(table)
        yield from _stay_problems(table)
        yield from _window_problems(table, "cxr_hours", CXR_WINDOW)
        yield from _window_problems(table, "ecg_hours", ECG_WINDOW)
        yield from _window_problems(table, "labs_hours", LABS_WINDOW)
        if "cxr" in self._raw:
            yield from _image_problems(table)
        if "ecg" in self._raw:
            yield from _signal_problems(table, allow_constant=bool(self._spec["reference"]))
        if "labs" not in self._raw:
            return
        values, placed = lab_numbers(table["labs"]), lab_numbers(table["labs_percentile"])
        yield from _lab_problems(table, values, placed)
        self._labs.setdefault(split, []).append((values, placed))

    def finish(self) -> Iterator[str]:
        """Yield patients in two splits, wrong candidates, and percentiles that the training split does not give."""
        yield from self._shared_patients()
        for split, hadm_id, drawn in self._sets:
            problem = self._candidate_problem(split, hadm_id, drawn)
            if problem:
                yield f"admission {hadm_id} of {split}: {problem}"
        if not self._part:  # the percentiles are those of the whole training split
            yield from self._percentile_problems()

    def _ids(self, split: str, table: pa.Table) -> Iterator[str]:
        columns = ("sample_id", "hadm_id", "subject_id", "cxr_missing", "candidates")
        for row, (sample, hadm_id, subject_id, no_cxr, drawn) in enumerate(
            zip(*(table[name].to_pylist() for name in columns), strict=True)
        ):
            if hadm_id <= 0 or subject_id <= 0:
                yield f"row {row}: hadm_id {hadm_id} or subject_id {subject_id} is not positive"
            if sample in self._samples:
                yield f"row {row}: sample_id {sample} occurs twice"
            if hadm_id in self._split_of:
                yield f"row {row}: admission {hadm_id} occurs twice"
            self._samples.add(sample)
            self._split_of[hadm_id], self._patient[hadm_id] = split, subject_id
            if not no_cxr:
                self._has_cxr.add(hadm_id)
            if drawn is not None:
                self._sets.append((split, hadm_id, drawn))
            query = split != "train" and not no_cxr
            if (drawn is not None) != query and not (query and self._part):
                yield f"row {row}: candidates belong to validation and test rows with an X-ray, and to them only"

    def _presence(self, table: pa.Table) -> Iterator[str]:
        masks = [table[name].to_numpy() for name in ("cxr_missing", "ecg_missing", "labs_all_missing")]
        present = 3 - np.sum(masks, axis=0)
        least = LEAST_MODALITIES if self._spec["allow_missing"] else 3
        for row in np.flatnonzero(present < least)[:1]:
            yield f"row {row}: {present[row]} modalities are present, the spec requires {least}"
        without = table.filter(table["cxr_missing"])
        for column in FINDINGS.values():
            if without[column].null_count != len(without):
                yield f"{column} is given for a missing X-ray"

    def _shared_patients(self) -> Iterator[str]:
        patients: dict[str, set[int]] = {}
        for hadm_id, split in self._split_of.items():
            patients.setdefault(split, set()).add(self._patient[hadm_id])
        for first, second in combinations(sorted(patients), 2):
            shared = patients[first] & patients[second]
            if shared:
                yield f"subject_id {min(shared)} and {len(shared) - 1} more occur in both {first} and {second}"

    def _candidate_problem(self, split: str, hadm_id: int, drawn: list[int]) -> str | None:
        others = drawn[1:]
        if drawn[:1] != [hadm_id]:
            return "its first candidate is not the admission itself"
        if len(set(drawn)) != len(drawn) or len(drawn) != self._spec["candidates"]:
            return f"{len(set(drawn))} different candidates, the spec says {self._spec['candidates']}"
        if any(self._split_of.get(other) != split or other not in self._has_cxr for other in others):
            return "a candidate is not an admission of the split with an X-ray"
        same = [other for other in others if self._patient[other] == self._patient[hadm_id]]
        if same and not self._spec["reference"]:
            return f"candidate {same[0]} is of the same patient"
        return None

    def _percentile_problems(self) -> Iterator[str]:
        train = np.concatenate([values for values, _ in self._labs.get("train", [])] or [np.empty((0, LABS))])
        for split, parts in self._labs.items():
            for column, name in enumerate(LAB_ITEMS.values()):
                known = np.sort(train[~np.isnan(train[:, column]), column])
                values = np.concatenate([values[:, column] for values, _ in parts])
                placed = np.concatenate([percentile[:, column] for _, percentile in parts])
                if self._changed_tests:
                    if _disordered(values, placed):
                        yield f"{split}: a percentile of {name} is smaller than that of a smaller value"
                elif len(known) and _misplaced(known, values, placed):
                    yield f"{split}: a percentile of {name} is not its position among the training values"


def _misplaced(known: Floats, values: Floats, placed: Floats) -> bool:
    """Tell whether a percentile differs from the share of training values up to its value. Values that are equal in
    single precision may be counted on either side.
    """
    measured = ~np.isnan(values)
    low = np.searchsorted(known, values[measured], side="left") / len(known) - _SLACK
    high = np.searchsorted(known, values[measured], side="right") / len(known) + _SLACK
    return bool(((placed[measured] < low) | (placed[measured] > high)).any())


def _disordered(values: Floats, placed: Floats) -> bool:
    """Tell whether a greater value has a smaller percentile, beyond what single precision explains."""
    measured = ~np.isnan(values)
    ordered = placed[measured][np.lexsort((placed[measured], values[measured]))]
    return bool((np.maximum.accumulate(ordered) - ordered > _SLACK).any())


def _window_problems(table: pa.Table, name: str, window: Window) -> Iterator[str]:
    hours = table[name].combine_chunks()
    if pa.types.is_fixed_size_list(hours.type):
        hours = pc.list_flatten(hours)
    early = pc.less_equal(hours, window.first_hours) if window.open_start else pc.less(hours, window.first_hours)
    if pc.any(pc.or_(early, pc.greater(hours, window.last_hours))).as_py():
        start = "(" if window.open_start else "["
        yield f"{name} lies outside {start}{window.first_hours}, {window.last_hours}] hours"


def _stay_problems(table: pa.Table) -> Iterator[str]:
    """Yield what is wrong with the columns about the stay, where the dataset has them."""
    for column in ("hospital_expire_flag", *CHAPTER_COLUMNS):
        if column in table.column_names:
            values = pc.drop_null(table[column])
            if len(values) and not pc.all(pc.is_in(values, value_set=pa.array([0, 1], values.type))).as_py():
                yield f"{column} is neither 0 nor 1 in a row"
    chapters = [table[column].is_null().to_numpy() for column in CHAPTER_COLUMNS if column in table.column_names]
    if chapters and (np.any(chapters, axis=0) != np.all(chapters, axis=0)).any():
        yield "a stay has some of the columns icd_* and lacks others"
    if "admittime" in table.column_names:
        unread = [time for time in table["admittime"].to_pylist() if not is_time(time)]
        if unread:
            yield f"admittime {unread[0]!r} is not a time as 2150-03-01 12:00:00"


def _image_problems(table: pa.Table) -> Iterator[str]:
    for row, image in enumerate(table["cxr"].to_pylist()):
        if image is None:
            continue
        try:
            with open_image(image["bytes"]) as opened:
                form, mode, size = opened.format, opened.mode, opened.size
        except UnfitMediumError as error:
            yield f"row {row}: the X-ray is not readable ({error})"
            continue
        if (form, mode, min(size)) != ("PNG", "L", SHORTER_SIDE):
            yield f"row {row}: the X-ray is {form} {mode} {size}, not a gray PNG of shorter side {SHORTER_SIDE}"


def _signal_problems(table: pa.Table, *, allow_constant: bool) -> Iterator[str]:
    column: Any = table["ecg"].combine_chunks()
    for row, signal in enumerate(column):
        if not signal.is_valid:
            continue
        numbers = signal.values.to_numpy()
        if (numbers == NAN_VALUE).any():
            yield f"row {row}: the electrocardiogram has an unknown sample"
        elif numbers.min() == numbers.max() and not (allow_constant and numbers[0]):
            yield f"row {row}: the electrocardiogram is flat"


def _lab_problems(table: pa.Table, values: Floats, placed: Floats) -> Iterator[str]:
    mask = np.array(table["labs_missing"].to_pylist(), dtype=bool).reshape(len(values), LABS)
    if (np.isnan(values) != mask).any():
        yield "labs_missing does not mark the null values of labs"
    if (np.isnan(placed) != mask).any():
        yield "labs_percentile is not null exactly where labs are"
    if (mask.all(axis=1) != table["labs_all_missing"].to_numpy()).any():
        yield "labs_all_missing does not follow from labs_missing"
    if ((placed < 0) | (placed > 1)).any():
        yield "a percentile lies outside [0, 1]"
