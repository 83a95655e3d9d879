"""The labels and words of a range of rows, as Arrow arrays, and the numbers of their media. Vectorised, since a
deduplicated dataset of eleven million rows consists mostly of them.

`RowSource` says which rows there are: drawn by the plan (`DrawnRows`) or read from a published table
(`release.plan.PlannedRows`).
Legend: N rows, W words, C classes, L languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets.m3.keys import KEYS, TARGET_LANGUAGE
from symile_data.datasets.m3.names import SEPARATOR, imagenet_classes

from ..build_state import BuildState

WORD = pa.struct([("text", pa.string()), ("lang", pa.string()), ("cls_id", pa.int32())])

LABELS = pa.schema(
    [
        ("lang", pa.string()),
        ("text", pa.string()),
        ("cls", pa.string()),
        ("cls_id", pa.int64()),
        ("target_text", pa.string()),
        ("wnid", pa.string()),
        ("words", pa.list_(WORD)),
    ]
)


def label_schema(keys: Sequence[str]) -> pa.Schema:
    """Return `LABELS`, and with keys the target language and the label of each key."""
    names = [(TARGET_LANGUAGE, pa.string()), *((KEYS[name].label, pa.int8()) for name in keys)]
    return pa.schema([*LABELS, *(pa.field(*name) for name in names)]) if keys else LABELS


@dataclass(frozen=True)
class LabelledRows:
    """Rows of one split, without media and masks.

    Args:
        labels: N rows of `label_schema`.
        slots: (N,) int64, number of the image among the split's images.
        recordings: (N,) int64, number of the recording among the split's audio.
        keys: By name of a key, (N,) int64 number of its image, tone or code in its media store.
    """

    labels: pa.RecordBatch
    slots: npt.NDArray[np.int64]
    recordings: npt.NDArray[np.int64]
    keys: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)


class RowSource(Protocol):
    """The rows of one split. Any range of them can be read alone."""

    def rows(self, start: int, stop: int) -> LabelledRows:
        """The rows `start` to `stop - 1`."""
        ...

    def used(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the distinct image slots and recording numbers that the split's rows use, each (U,) int64, sorted."""
        ...


@dataclass(frozen=True)
class DrawnRows:
    """Rows drawn by the plan.

    Args:
        state: State of the build.
        split: Name of the split.
    """

    state: BuildState
    split: str

    def rows(self, start: int, stop: int) -> LabelledRows:
        """The rows `start` to `stop - 1`."""
        plan, tables = self.state.plan(self.split), self._tables
        drawn = plan.draw(start, stop)
        languages = len(self.state.languages)
        cls, language, target = drawn.cls.astype(np.int64), drawn.language.astype(np.int64), drawn.target_language
        spoken = drawn.word_languages.astype(np.int64).ravel()
        names = tables.names.take(pa.array(drawn.word_classes.astype(np.int64).ravel() * languages + spoken))
        offsets = np.arange(0, len(names) + 1, self.state.words, dtype=np.int32)
        words = pa.StructArray.from_arrays(
            [
                names,
                tables.languages.take(pa.array(spoken)),
                tables.class_ids.take(pa.array(drawn.word_classes.ravel())),
            ],
            fields=list(WORD),
        )
        columns = {
            "lang": tables.languages.take(pa.array(language)),
            "text": pc.binary_join(pa.ListArray.from_arrays(offsets, names), SEPARATOR),
            "cls": tables.english.take(pa.array(cls)),
            "cls_id": tables.class_ids.take(pa.array(cls)).cast(pa.int64()),
            "target_text": tables.names.take(pa.array(cls * languages + target)),
            "wnid": tables.wnids.take(pa.array(cls)),
            "words": pa.ListArray.from_arrays(offsets, words),
            TARGET_LANGUAGE: tables.languages.take(pa.array(target)),
            **{KEYS[name].label: pa.array(key.values, pa.int8()) for name, key in drawn.keys.items()},
        }
        schema = label_schema(self.state.keys)
        labels = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
        recordings = plan.recording_offsets[language] + drawn.recording
        return LabelledRows(labels, drawn.slot, recordings, {name: key.numbers for name, key in drawn.keys.items()})

    def used(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the distinct image slots and recording numbers that the split's rows use, each (U,) int64, sorted."""
        return self.state.plan(self.split).used(self.state.rows[self.split])

    @cached_property
    def _tables(self) -> _Tables:
        state, (_, english) = self.state, imagenet_classes()
        return _Tables(
            names=pa.array([name for row in state.names for name in row], pa.string()),
            languages=pa.array(state.languages, pa.string()),
            wnids=pa.array(state.wnids, pa.string()),
            class_ids=pa.array(state.class_ids, pa.int32()),
            english=pa.array([english[cls] for cls in state.class_ids], pa.string()),
        )


@dataclass(frozen=True)
class _Tables:
    """The values that the indices of drawn rows stand for.

    Args:
        names: (C * L,) class by class.
        languages: (L,) codes.
        wnids: (C,).
        class_ids: (C,) int32.
        english: (C,) names of the classes.
    """

    names: pa.Array
    languages: pa.Array
    wnids: pa.Array
    class_ids: pa.Array
    english: pa.Array
