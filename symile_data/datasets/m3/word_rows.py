"""The parts of Symile-M3 rows that accuracy ceilings need, collected from tables.

Where a dataset has keys beside the language of the audio (`datasets.m3.keys`), the language of a row is that which the
sum of its keys names. Legend: N rows, W words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .keys import TARGET_LANGUAGE, keys_among

_WORDS, _CLASS, _SPOKEN = "words", "cls_id", "lang"
COLUMNS = (_WORDS, _CLASS, _SPOKEN)

IntArray = npt.NDArray[np.integer]

NO_WORD = -1  # stands for a word that a row lacks, or that cannot be the answer


def columns_of(schema: pa.Schema) -> tuple[str, ...]:
    """Name the columns of a dataset's rows that ceilings need: `COLUMNS`, and with keys the target language and the
    label of each key.
    """
    keys = keys_among(schema.names)
    return (*COLUMNS, *((TARGET_LANGUAGE,) if keys else ()), *(key.label for key in keys))


@dataclass(frozen=True)
class WordRows:
    """The parts of a split's complete rows that ceilings need. Classes and languages are numbers from 0.

    Args:
        word_classes: (N, W) int32 classes of the words; -1 for a word that cannot be the answer.
        word_languages: (N, W) int32 languages of the words; -1 for a word that cannot be the answer.
        classes: (N,) int32 classes of the images.
        languages: (N,) int32 languages of the words that count: those of the audio, unless there are more keys.
        keys: Name of the modality of each key -> (N,) int32 values, that of the audio included; empty where the
            language of the audio is the only key.
    """

    word_classes: IntArray
    word_languages: IntArray
    classes: IntArray
    languages: IntArray
    keys: Mapping[str, IntArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.classes)


@dataclass
class WordRowsReader:
    """Collect the rows of a split from tables with the columns that `columns_of` names. A word takes about 8 bytes of
    memory.
    """

    _languages: dict[str, int] = field(default_factory=dict)
    _parts: list[tuple[IntArray, IntArray, IntArray, IntArray]] = field(default_factory=list)
    _keys: dict[str, list[IntArray]] = field(default_factory=dict)

    @staticmethod
    def fits(schema: pa.Schema) -> bool:
        """Return whether a schema has the three columns with the types of Symile-M3."""
        if any(name not in schema.names for name in COLUMNS):
            return False
        words = schema.field("words").type
        if not (pa.types.is_list(words) or pa.types.is_large_list(words)) or not pa.types.is_struct(words.value_type):
            return False
        kinds = {part.name: part.type for part in words.value_type}
        languages = (schema.field("lang").type, kinds.get("lang", pa.null()))
        classes = (schema.field("cls_id").type, kinds.get("cls_id", pa.null()))
        return all(map(_is_text, languages)) and all(map(pa.types.is_integer, classes))

    def add(self, table: pa.Table | pa.RecordBatch, missing: npt.NDArray[np.bool_] | None = None) -> None:
        """Add some rows.

        Args:
            table: A table with the three columns.
            missing: (rows,) marks of rows to leave out because a modality is missing. Rows without words, class or
                language are always left out.
        """
        keep = ~missing if missing is not None else np.ones(len(table), dtype=bool)
        columns = columns_of(table.schema)
        for name in columns:
            keep &= pc.is_valid(table[name]).to_numpy(zero_copy_only=False)
        keep &= pc.fill_null(pc.greater_equal(table["cls_id"], 0), False).to_numpy(zero_copy_only=False)
        rows = pa.table({name: table[name] for name in columns}).filter(pa.array(keep)).combine_chunks()
        lengths = pc.list_value_length(rows["words"]).to_numpy().astype(np.int64)
        words = pc.list_flatten(rows["words"])
        filled = np.arange(lengths.max(initial=0)) < lengths[:, None]
        classes, languages = (np.full(filled.shape, NO_WORD, dtype=np.int32) for _ in range(2))
        known = np.asarray(pc.and_(*(pc.is_valid(pc.struct_field(words, name)) for name in ("cls_id", "lang"))))
        classes[filled] = np.where(known, pc.fill_null(pc.struct_field(words, "cls_id"), NO_WORD).to_numpy(), NO_WORD)
        languages[filled] = np.where(known, self._numbers(pc.struct_field(words, "lang")), NO_WORD)
        extra = keys_among(columns)
        language = rows[TARGET_LANGUAGE if extra else _SPOKEN]
        right = rows["cls_id"].to_numpy().astype(np.int32), self._numbers(language)
        if extra:
            self._keys.setdefault("audio", []).append(self._numbers(rows[_SPOKEN]))
        for key in extra:
            self._keys.setdefault(key.name, []).append(rows[key.label].to_numpy().astype(np.int32))
        self._parts.append((classes, languages, *right))

    def rows(self) -> WordRows | None:
        """Return all rows; None where there are none, or where the answer of a row is not among its words.

        Where the answer of a row shares its class or language with another word, the rows were not drawn by the rule of
        `symile_data.datasets.m3.words`, and every word counts as possible.
        """
        width = max((part[0].shape[1] for part in self._parts), default=0)
        if not sum(len(part[2]) for part in self._parts):
            return None
        classes, languages = (np.concatenate([_widened(part[at], width) for part in self._parts]) for at in (0, 1))
        right_class, right_language = (np.concatenate([part[at] for part in self._parts]) for at in (2, 3))
        answers = (classes == right_class[:, None]) & (languages == right_language[:, None])
        alone = _alone(classes) & _alone(languages)
        if not answers.any(axis=1).all():
            return None
        possible = alone if (alone & answers).any(axis=1).all() else classes != NO_WORD
        return WordRows(
            np.where(possible, classes, NO_WORD),
            np.where(possible, languages, NO_WORD),
            right_class,
            right_language,
            {name: np.concatenate(parts) for name, parts in self._keys.items()},
        )

    def _numbers(self, languages: pa.ChunkedArray) -> npt.NDArray[np.int32]:
        names = pc.unique(languages.drop_null())
        codes = [self._languages.setdefault(name, len(self._languages)) for name in names.to_pylist()]
        places = pc.fill_null(pc.index_in(languages, value_set=names), len(codes)).to_numpy(zero_copy_only=False)
        numbers: npt.NDArray[np.int32] = np.array([*codes, NO_WORD], dtype=np.int32)[places]
        return numbers


def _alone(values: IntArray) -> npt.NDArray[np.bool_]:
    """(N, W) whether no other word of the row has a word's value; false for -1."""
    alone: npt.NDArray[np.bool_] = values != NO_WORD
    for one in range(values.shape[1]):
        for other in range(one):
            same = values[:, one] == values[:, other]
            alone[:, one] &= ~same
            alone[:, other] &= ~same
    return alone


def _widened(values: IntArray, width: int) -> IntArray:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=NO_WORD)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
