"""How far a reader of some modalities of Symile-M3 can get: accuracy ceilings of retrieval, counted from the rows.

A text names several classes in several languages; the image's class and the language of the audio belong to one of its
words. Its *possible* words are those that are alone in both class and language: all of them in `disjoint` mode, fewer
in `overlap` mode, where a word whose class or language stands twice cannot be the answer. For the image, retrieved by
its class among candidates of which n_c have class c (and the possible words' classes are those of a row):

- `text_alone`, a reader of the text who sees which classes the candidates have: mean of 1 / a, where a is the number of
  the row's possible classes that some candidate has. It is one in W only where all W classes are among the candidates.
- `all_words_alike`, a model that scores the row's possible words alike and all else lower: mean of n_t / sum of n_c,
  with t the right class, since ties count by their expected value.
- `counting`, a reader of the text who also counts the candidates: mean of max n_c / sum of n_c, for a word answers with
  a probability proportional to its candidates.

Without the text the best is the most frequent class; with text and audio it is 1. The audio, retrieved by its language,
is the same with classes and languages exchanged. A row's own text is told by the words that it may answer with.

Legend: N rows, W words, K candidates of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = ("words", "cls_id", "lang")
RANDOM = "random_candidate"
TEXT_READERS = ("text_alone", "all_words_alike", "counting")
_TEXT_TARGET = {"image": "image_alone", "audio": "audio_alone", "audio+image": "audio_and_image"}
REFERENCES = (*TEXT_READERS, *_TEXT_TARGET.values(), RANDOM)  # what accuracies are compared with, in this order

IntArray = npt.NDArray[np.integer]
FloatArray = npt.NDArray[np.float64]

_NONE = -1  # where a row has no such word, or one that cannot be the answer


def line_style(name: str) -> str:
    """How figures draw the line of a reference: what the text alone reaches solid, what counting adds dashed.

    >>> line_style("text_alone"), line_style("counting"), line_style("random_candidate")
    ('-', '--', ':')
    """
    return {"text_alone": "-", "counting": "--", "all_words_alike": "-."}.get(name, ":")


def shown(name: str) -> str:
    """What tables and figures call a reference.

    >>> shown("text_alone")
    'text alone'
    """
    return name.replace("_", " ")


@dataclass(frozen=True)
class WordRows:
    """Complete rows of a split, as far as ceilings need them. Classes and languages are numbers from 0.

    Args:
        word_classes: (N, W) int32; -1 for a word that cannot be the answer.
        word_languages: (N, W) int32, likewise.
        classes: (N,) int32, of the images.
        languages: (N,) int32, of the audio.
    """

    word_classes: IntArray
    word_languages: IntArray
    classes: IntArray
    languages: IntArray

    def __len__(self) -> int:
        return len(self.classes)


@dataclass
class WordRowsReader:
    """Collects the rows of a split from tables with the columns `words`, `cls_id` and `lang`, in bounded memory: about
    8 bytes for a word.
    """

    _languages: dict[str, int] = field(default_factory=dict)
    _parts: list[tuple[IntArray, IntArray, IntArray, IntArray]] = field(default_factory=list)

    @staticmethod
    def fits(schema: pa.Schema) -> bool:
        """Whether the columns are there and hold what those of Symile-M3 hold."""
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
            table: With the three columns.
            missing: (rows,) rows to leave out, since a modality is missing. Rows without words, class or language are
                left out anyway.
        """
        keep = ~missing if missing is not None else np.ones(len(table), dtype=bool)
        for name in COLUMNS:
            keep &= pc.is_valid(table[name]).to_numpy(zero_copy_only=False)
        keep &= pc.fill_null(pc.greater_equal(table["cls_id"], 0), False).to_numpy(zero_copy_only=False)
        rows = pa.table({name: table[name] for name in COLUMNS}).filter(pa.array(keep)).combine_chunks()
        lengths = pc.list_value_length(rows["words"]).to_numpy().astype(np.int64)
        words = pc.list_flatten(rows["words"])
        filled = np.arange(lengths.max(initial=0)) < lengths[:, None]
        classes, languages = (np.full(filled.shape, _NONE, dtype=np.int32) for _ in range(2))
        known = np.asarray(pc.and_(*(pc.is_valid(pc.struct_field(words, name)) for name in ("cls_id", "lang"))))
        classes[filled] = np.where(known, pc.fill_null(pc.struct_field(words, "cls_id"), _NONE).to_numpy(), _NONE)
        languages[filled] = np.where(known, self._numbers(pc.struct_field(words, "lang")), _NONE)
        right = rows["cls_id"].to_numpy().astype(np.int32), self._numbers(rows["lang"])
        self._parts.append((classes, languages, *right))

    def rows(self) -> WordRows | None:
        """All rows, or None where there are none, or where some row's answer is not among its words.

        Where some row's answer shares its class or language with another word, the rows are not drawn by the rule of
        `symile_data.datasets.m3.words`, and every word is taken as possible.
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
        possible = alone if (alone & answers).any(axis=1).all() else classes != _NONE
        return WordRows(
            np.where(possible, classes, _NONE), np.where(possible, languages, _NONE), right_class, right_language
        )

    def _numbers(self, languages: pa.ChunkedArray) -> npt.NDArray[np.int32]:
        names = pc.unique(languages.drop_null())
        codes = [self._languages.setdefault(name, len(self._languages)) for name in names.to_pylist()]
        places = pc.fill_null(pc.index_in(languages, value_set=names), len(codes)).to_numpy(zero_copy_only=False)
        numbers: npt.NDArray[np.int32] = np.array([*codes, _NONE], dtype=np.int32)[places]
        return numbers


def named_ceilings(rows: WordRows, target: str, sets: IntArray | None = None) -> dict[str, float]:
    """The ceilings that stand beside an accuracy, by name.

    Args:
        rows: Of the split, each a query.
        target: "image" by class or "audio" by language: `text_alone`, `all_words_alike` and `counting`. "text" by its
            own row: `image_alone`, `audio_alone` and `audio_and_image`.
        sets: (N, K) rows that each row retrieves among; all rows where not given.

    Returns:
        Name -> accuracy; nothing for another target, or a text among sets.

    >>> words, right = np.array([[0, 1], [0, 2], [0, 3]]), np.array([0, 0, 3])
    >>> rows = WordRows(words, np.array([[0, 1]] * 3), right, np.array([0, 0, 1]))
    >>> {name: round(value, 3) for name, value in named_ceilings(rows, "image").items()}
    {'text_alone': 0.833, 'all_words_alike': 0.778, 'counting': 0.889}
    """
    if target == "text":
        found = {} if sets is not None else _own_text(rows)
        return {name: found[key] for key, name in _TEXT_TARGET.items() if key in found}
    if target not in ("image", "audio"):
        return {}
    found = _by_label(rows, target, sets)
    return {name: found[name] for name in TEXT_READERS}


def subset_ceilings(rows: WordRows) -> dict[str, dict[str, float]]:
    """The best accuracy from every set of the other modalities, all rows being candidates.

    Returns:
        Target ("image" by class, "audio" by language, "text" by its own row) -> modalities joined by "+", or "none",
        -> accuracy of a reader who also counts the candidates.
    """
    found = {target: _by_label(rows, target, None) for target in ("image", "audio")}
    return {
        "image": _without_names(found["image"], "audio"),
        "audio": _without_names(found["audio"], "image"),
        "text": _own_text(rows),
    }


def random_candidate(counts: IntArray) -> float:
    """Accuracy of a random candidate: the probability that two rows have one label.

    Args:
        counts: Rows of each label.

    >>> random_candidate(np.array([2, 2]))
    0.5
    """
    return float((counts.astype(np.float64) ** 2).sum() / counts.sum() ** 2)


def _without_names(found: Mapping[str, float], other: str) -> dict[str, float]:
    """Of `_by_label`: by the modalities that are read; the other one alone tells nothing."""
    pair = "+".join(sorted([other, "text"]))
    return {"none": found["none"], other: found["none"], "text": found["counting"], pair: found["all"]}


def _by_label(rows: WordRows, target: str, sets: IntArray | None) -> dict[str, float]:
    """Of the image by its class, or the audio by its language: the named ceilings, "none" and "all"."""
    both = (rows.word_classes, rows.classes), (rows.word_languages, rows.languages)
    (options, right), (others, other) = both if target == "image" else both[::-1]
    options = np.where(_first(options), options, _NONE)  # an option counts once in its row
    if sets is None:
        counts: IntArray = np.bincount(right)
        weights, own = _looked_up(counts, options), counts[right]
        likely, without = weights, np.full(len(rows), counts.max() / len(rows))
    else:
        weights, own, likely, without = _among_sets(options, right, right[sets])
    answers = np.where(others == other[:, None], likely, 0)
    return {
        "text_alone": float((1 / (weights > 0).sum(axis=1)).mean()),
        "all_words_alike": float((own / weights.sum(axis=1)).mean()),
        "counting": _best(likely),
        "none": float(without.mean()),
        "all": _best(answers),
    }


def _among_sets(options: IntArray, right: IntArray, sets: IntArray) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Candidates of each option, of the right one, those that a reader who counts considers, and what is told by
    counting alone.

    Where the right label stands once in every set, that is the protocol, and a label that stands twice is not it.
    """
    weights = np.stack([(sets == option[:, None]).sum(axis=1) for option in options.T], axis=1)
    weights = np.where(options == _NONE, 0, weights)
    own = (sets == right[:, None]).sum(axis=1)
    ordered = np.sort(sets, axis=1)
    edges = np.ones((len(sets), sets.shape[1] + 1), dtype=bool)
    edges[:, 1:-1] = ordered[:, 1:] != ordered[:, :-1]
    if (own == 1).all():
        return weights, own, np.where(weights == 1, 1, 0), 1 / (edges[:, 1:] & edges[:, :-1]).sum(axis=1)
    most = [np.diff(np.flatnonzero(row)).max() for row in edges]
    return weights, own, weights, np.array(most) / sets.shape[1]


def _own_text(rows: WordRows) -> dict[str, float]:
    """Of a row's own text, by what is read. A text with k possible words, one of which is in the language or of the
    class that was read, is the query's with a probability proportional to 1 / k.
    """
    possible = rows.word_classes != _NONE
    weights = np.broadcast_to(1 / possible.sum(axis=1, keepdims=True), possible.shape)[possible]
    languages = int(rows.languages.max()) + 1
    keys = {
        "image": (rows.word_classes, rows.classes),
        "audio": (rows.word_languages, rows.languages),
        "audio+image": (
            rows.word_classes.astype(np.int64) * languages + rows.word_languages,
            rows.classes.astype(np.int64) * languages + rows.languages,
        ),
    }
    found = {"none": 1 / len(rows)}
    for name, (words, asked) in keys.items():
        owners = np.repeat(np.arange(len(rows)), possible.sum(axis=1))
        pairs = owners * (int(asked.max(initial=0)) + int(words.max(initial=0)) + 1) + words[possible]
        _, first = np.unique(pairs, return_index=True)  # a text counts once
        values, number = np.unique(np.concatenate([words[possible][first], asked]), return_inverse=True)
        of_words, of_rows = number[: len(first)], number[len(first) :]
        total = np.bincount(of_words, weights[first], minlength=len(values))
        most = np.zeros(len(values))
        np.maximum.at(most, of_words, weights[first])
        found[name] = float((most[of_rows] / total[of_rows]).mean())
    return found


def _best(weights: IntArray) -> float:
    """Mean probability of the likeliest option."""
    return float((weights.max(axis=1) / weights.sum(axis=1)).mean())


def _looked_up(counts: IntArray, options: IntArray) -> IntArray:
    """(N, W) candidates of each option; none of a label that no candidate has, or of -1."""
    there = (options >= 0) & (options < len(counts))
    return np.where(there, counts[np.where(there, options, 0)], 0)


def _alone(values: IntArray) -> npt.NDArray[np.bool_]:
    """(N, W) values that no other word of the row has; -1 is none."""
    alone: npt.NDArray[np.bool_] = values != _NONE
    for one in range(values.shape[1]):
        for other in range(one):
            same = values[:, one] == values[:, other]
            alone[:, one] &= ~same
            alone[:, other] &= ~same
    return alone


def _first(values: IntArray) -> npt.NDArray[np.bool_]:
    """(N, W) values that no word before has."""
    first = np.ones(values.shape, dtype=bool)
    for one in range(values.shape[1]):
        for before in range(one):
            first[:, one] &= values[:, one] != values[:, before]
    return first


def _widened(values: IntArray, width: int) -> IntArray:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=_NONE)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
