"""The labels that probes and supervised baselines predict: which columns of a dataset are labels, and their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets.mimic.labels import GROUPS, LabelPolicy, is_finding
from symile_data.datasets.pid import design_of
from symile_data.datasets.pid.design import Design, symbol_column
from symile_data.errors import UsageError, choose_column
from symile_data.format.schema import SPLITS
from symile_data.reliability import Reliability

if TYPE_CHECKING:
    from symile_data.evaluation.clusters import Clusters
    from symile_data.workflows.training_data import TrainingData

PATIENT = "subject_id"  # the column whose rows are drawn together, where a dataset has it
NULL = -1  # the number of a row without a label
MOST_CLASSES = 1_000  # of a column that is probed without being asked for
FEWEST_ROWS = 5  # training rows for each class of such a column, on average
FEWEST_ASKED = 2  # the same of any column: with fewer its values are ids

_LONGEST_VECTOR = 64  # numbers of a vector whose value may be a label, as XOR's bits

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of some rows.

    Args:
        values: Column -> split -> (N,) int64 class numbers, `NULL` for a row without a label.
        classes: Column -> its values in the order of their numbers, as texts. Of two, the second is the positive class.
        left_out: Column that could be a label and is not predicted -> the reason.
        policy: How the columns of CheXpert's findings became classes.
    """

    values: Mapping[str, Mapping[str, IntArray]]
    classes: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, str]
    policy: LabelPolicy


class _Column(NamedTuple):
    values: dict[str, IntArray]
    classes: tuple[str, ...]
    fractions: bool = False  # whether they are numbers that are not whole


def design_in(data: TrainingData) -> Design | None:
    """Return the design of PID data whose rows follow it exactly; None for other data and for unreliable modalities."""
    spec = data.manifest.identity.spec
    if not isinstance(spec.get("design"), dict) or Reliability.of(spec).to_json():
        return None
    return design_of(spec["design"])


def read_labels(
    data: TrainingData,
    ids: Mapping[str, IntArray],
    asked: Sequence[str] = (),
    policy: LabelPolicy | None = None,
) -> Labels:
    """Read the labels of some rows.

    Without `asked`, these columns are labels: of PID data every symbol and whether each relation holds; of other data
    every column of integers, booleans or texts that belongs to no modality, and the value of a short vector (XOR's
    bits). Left out are columns with one value, with more values than can be learned (`MOST_CLASSES`, `FEWEST_ROWS`),
    and those that say the same as an earlier one.

    Args:
        data: The dataset.
        ids: Split -> (N,) sample ids of the rows.
        asked: Columns, or groups of columns (`datasets.mimic.labels.GROUPS`), in place of all. Of a group, the columns
            that the dataset lacks, that have one value or that have none in a split are left out.
        policy: How the columns of CheXpert's findings become classes; None takes the default.

    Raises:
        UsageError: a column of `asked` does not exist, holds no classes, has one value or none in a split, or there is
            no label at all.
    """
    policy = policy or LabelPolicy()
    named, left_out = check_labels(data, asked)
    found: dict[str, _Column] = {}
    same: dict[bytes, str] = {}
    for column in named if asked else dict.fromkeys(_label_columns(data)):
        read = _read(data, column, ids, policy)
        known = read.values["train"][read.values["train"] != NULL]
        classes = len(np.unique(known))
        key = _told_apart(np.concatenate([read.values[split] for split in SPLITS]))
        reason = ""
        unknown = [split for split in SPLITS[1:] if len(ids[split]) and (read.values[split] == NULL).all()]
        if classes < 2:
            reason = f"{'one value' if classes else 'no value'} in the training rows"
        elif unknown:
            reason = f"no value in the {unknown[0]} rows"
        elif classes * FEWEST_ASKED > len(known) or (
            not asked and (classes > MOST_CLASSES or classes * FEWEST_ROWS > len(known))
        ):
            reason = f"{classes:,} values in {len(known):,} training rows"
        elif read.fractions:
            reason = "numbers that are not whole"
        elif not asked and key in same:
            reason = f"the same as {same[key]}"
        if reason and named.get(column):
            raise UsageError(
                "a label needs two classes or more, each of several training rows, and known rows in every split",
                got=f"{column} with {reason}",
                do="leave it out of `labels`",
            )
        if reason:
            left_out[column] = reason
            continue
        same[key] = column
        found[column] = read
    if not found:
        raise UsageError(
            "the dataset has no label to probe",
            where=data.directory,
            got="; ".join(f"{column}: {reason}" for column, reason in left_out.items()) or None,
            do="name a column with `labels`",
        )
    return Labels(
        values={column: read.values for column, read in found.items()},
        classes={column: read.classes for column, read in found.items()},
        left_out=left_out,
        policy=policy,
    )


def all_ids(data: TrainingData) -> dict[str, IntArray]:
    """Return the sample ids of all rows: split -> (N,) int64, in file order."""
    return {split: _ids(data, split) for split in SPLITS}


def complete_rows(data: TrainingData, split: str) -> IntArray:
    """Return the sample ids (N,) of the rows of a split that have every modality, in file order."""
    masks = data.split(split).read_all([modality.mask for modality in data.manifest.modalities])
    complete = ~np.logical_or.reduce([column.to_numpy() for column in masks.columns])
    ids: IntArray = _ids(data, split)[complete]
    return ids


def group_of(data: TrainingData, column: str | None = None) -> str | None:
    """Name the column whose equal values are one cluster: `PATIENT` where the dataset has it, None for no column.

    Raises:
        UsageError: the dataset lacks the column that was asked for.
    """
    there = data.split("test").columns
    if column is not None and column not in there:
        raise UsageError("the dataset has no such column", got=column, do=choose_column(column, there))
    return column or (PATIENT if PATIENT in there else None)


def read_clusters(data: TrainingData, split: str, ids: IntArray, group: str | None) -> Clusters:
    """Read the clusters of the rows (N,) with these sample ids; a row without a value is its own cluster.

    Args:
        data: The dataset.
        split: The split of the rows.
        ids: (N,) sample ids.
        group: Column whose equal values are one cluster; None makes each row its own.
    """
    from symile_data.evaluation.clusters import Clusters

    values: list[Any] = [None] * len(ids) if group is None else _selected(data, group, split, ids).to_pylist()
    keys = [f"row {place}" if value is None else f"value {value}" for place, value in enumerate(values)]
    return Clusters.of(np.array(keys))


def _told_apart(numbers: IntArray) -> bytes:
    """Return the same bytes for columns that tell the same rows apart, whatever their classes are called."""
    there, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return np.where(numbers == NULL, NULL, order[inverse] + (NULL not in there)).tobytes()


def check_labels(data: TrainingData, asked: Sequence[str]) -> tuple[dict[str, bool], dict[str, str]]:
    """Check the names of labels before any row is read.

    Args:
        data: The dataset.
        asked: Columns, or groups of columns.

    Returns:
        Column -> whether it was named itself, and group without any column -> the reason.

    Raises:
        UsageError: there is no such column or group, or a column holds media, lists or other values that are no
            classes.
    """
    there = data.split("train").columns
    named: dict[str, bool] = {}
    empty: dict[str, str] = {}
    for name in asked:
        if name in there:
            _check_kind(data, name)
            named[name] = True
        elif name in GROUPS:
            members = [column for column in GROUPS[name] if column in there]
            named |= {column: False for column in members if column not in named}
            empty |= {} if members else {name: "the dataset has no column of this group"}
        else:
            raise UsageError(
                "the dataset has no such column, and there is no such group of labels",
                got=name,
                do=f"{choose_column(name, there)}; groups are {', '.join(GROUPS)}",
            )
    return named, empty


def _check_kind(data: TrainingData, name: str) -> None:
    """Refuse a column that a probe cannot predict: media and lists, and texts or numbers that are a modality.

    Short vectors of a modality stay, whose value may be a label, as XOR's bits.
    """
    kind = data.split("train").schema.field(name).type
    modality = next((modality for modality in data.manifest.modalities if modality.column == name), None)
    if modality is not None and not (modality.kind == "vector" and _is_short(kind)):
        raise UsageError(
            "a modality is no label", got=f"{name} ({modality.kind})", do="name a column of classes with `labels`"
        )
    if modality is None and not (_is_scalar(kind) or pa.types.is_floating(kind)):
        raise UsageError(
            "a label is a column of whole numbers, booleans or texts",
            got=f"{name} of type {kind}",
            do="name a column of classes with `labels`",
        )


def _label_columns(data: TrainingData) -> list[str]:
    manifest, schema = data.manifest, data.split("train").schema
    spec = manifest.identity.spec
    if isinstance(spec.get("design"), dict):
        design = design_of(spec["design"])
        symbols = [symbol_column(name, block) for name in design.names for block in design.scoped(name)]
        return [*symbols, *(f"{block.name}_holds" for block in design.blocks)]
    reliability = Reliability.of(spec)
    taken = {"sample_id"}
    for modality in manifest.modalities:
        taken |= {modality.column, modality.mask, *modality.null_columns, *([modality.id_column or modality.column])}
        taken |= set(reliability.columns_of(modality.name))
    columns = [field.name for field in schema if field.name not in taken and _is_scalar(field.type)]
    vectors = [modality.column for modality in manifest.modalities if modality.kind == "vector"]
    return [*columns, *(name for name in vectors if _is_short(schema.field(name).type))]


def _is_scalar(kind: Any) -> bool:
    tests = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string)
    return any(test(kind) for test in tests)


def _is_short(kind: Any) -> bool:
    return bool(pa.types.is_fixed_size_list(kind) and kind.list_size <= _LONGEST_VECTOR)


def _read(data: TrainingData, column: str, ids: Mapping[str, IntArray], policy: LabelPolicy) -> _Column:
    """Number the values of a column in ascending order, over all splits, and select rows by their ids."""
    selected = [_selected(data, column, split, ids[split]) for split in SPLITS]
    values = pa.chunked_array([chunk for part in selected for chunk in part.chunks], type=selected[0].type)
    ends = np.cumsum([len(part) for part in selected])[:-1]
    if is_finding(column):
        found = pc.fill_null(values.cast(pa.int64()), 0).to_numpy()
        numbers = policy.classes(found, values.is_null().to_numpy(), NULL)
        return _Column(dict(zip(SPLITS, np.split(numbers, ends), strict=True)), ("0", "1"))
    if pa.types.is_list(values.type) or pa.types.is_fixed_size_list(values.type):
        values = pa.chunked_array([pa.array([None if row is None else repr(row) for row in values.to_pylist()])])
    encoded = values.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    there = encoded.dictionary.to_pylist()
    fractions = any(isinstance(value, float) and not value.is_integer() for value in there)
    order = sorted(range(len(there)), key=there.__getitem__)
    rank = np.full(len(there) + 1, NULL)
    rank[order] = np.arange(len(there))
    numbers = rank[pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)]
    classes = tuple(str(there[place]) for place in order)
    return _Column(dict(zip(SPLITS, np.split(numbers, ends), strict=True)), classes, fractions)


def _ids(data: TrainingData, split: str) -> IntArray:
    opened = data.split(split)
    if "sample_id" not in opened.columns:
        return np.arange(opened.rows)
    ids: IntArray = opened.read_all(["sample_id"])["sample_id"].to_numpy()
    return ids


def _selected(data: TrainingData, column: str, split: str, ids: IntArray) -> Any:
    there = _ids(data, split)
    order = np.argsort(there, kind="stable")
    table = data.split(split).read_all([column])
    return table[column].take(pa.array(order[np.searchsorted(there, ids, sorter=order)]))
