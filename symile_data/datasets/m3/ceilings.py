"""Accuracy ceilings of retrieval on Symile-M3: the best accuracy of a reader of some modalities, counted from rows.

A text names several classes in several languages; the image's class and the language of the audio belong to one of its
words. The *possible* words of a text are those whose class and language no other word has: all of them in `disjoint`
mode, fewer in `overlap` mode, where a word whose class or language occurs twice cannot be the answer. The image is
retrieved by its class among candidates, of which n_c have class c. Sums run over the classes of a row's possible words:

- `text_alone` is the ceiling for a reader of the text who knows the candidates' classes: the mean of 1 / a, where a is
  the number of the row's possible classes among the candidates. It is 1 / W only where all W classes are among them.
- `all_words_alike` is the accuracy of a model that gives the row's possible words equal scores and all others lower
  ones: the mean of n_t / sum of n_c, with t the right class, since ties count by their expected value.
- `counting` is the ceiling for a reader of the text who also counts the candidates: the mean of max n_c / sum of n_c,
  since the probability that a word is the answer is proportional to its candidates.

Without the text the best guess is the most frequent class; with text and audio the ceiling is 1. For the audio,
retrieved by its language, classes and languages change places. The text of a row is recognised by its possible words.

With keys beside the language of the audio (`datasets.m3.keys`) the sum of all keys takes the place of that language.
Without one of the keys the others tell nothing, and the ceilings for the image are those of the text alone; without the
text or the image all others tell nothing about a key, which is retrieved by its value. `one_left_out` is the best
accuracy of a reader who lacks one modality, whichever it is, and `all_others` that of the text from all of them.

Legend: N rows, W words, K candidates of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from .word_rows import NO_WORD, WordRows

RANDOM = "random_candidate"
TEXT_READERS = ("text_alone", "all_words_alike", "counting")
_TEXT_TARGET = {"image": "image_alone", "audio": "audio_alone", "audio+image": "audio_and_image"}
ONE_LEFT_OUT = "one_left_out"
_ALL_OTHERS = "all_others"
# Names of the ceilings beside an accuracy, in this order.
REFERENCES = (*TEXT_READERS, *_TEXT_TARGET.values(), ONE_LEFT_OUT, _ALL_OTHERS, RANDOM)

# One line for each target: an image or audio, a text, a value of PID data.
_LINE_STYLES = {
    **{"text_alone": "-", "all_words_alike": "-.", "counting": "--"},
    **{"image_alone": "-", "audio_alone": "-.", "audio_and_image": "--"},
    **{_ALL_OTHERS: "-", "one_other": "-.", ONE_LEFT_OUT: "--"},
}

IntArray = npt.NDArray[np.integer]
FloatArray = npt.NDArray[np.float64]


def line_style(name: str) -> str:
    """Return the style of a reference's line in figures; those that stand beside one target differ.

    >>> line_style("text_alone"), line_style("counting"), line_style("random_candidate")
    ('-', '--', ':')
    """
    return _LINE_STYLES.get(name, ":")


def shown(name: str) -> str:
    """Return the name of a reference in tables and figures.

    >>> shown("text_alone")
    'text alone'
    """
    return name.replace("_", " ")


def named_ceilings(rows: WordRows, target: str, sets: IntArray | None = None) -> dict[str, float]:
    """Compute the ceilings that are shown beside an accuracy, by name.

    Args:
        rows: The rows of the split, each of which is a query.
        target: "image", which is right by its class, or "audio", right by its language, for `text_alone`,
            `all_words_alike` and `counting`; or "text", right by its row, for `image_alone`, `audio_alone` and
            `audio_and_image`. With keys, "image" or "text" or the modality of a key, also for `one_left_out`.
        sets: (N, K) numbers of the rows among which each row retrieves; None for all rows.

    Returns:
        Name -> accuracy; empty for another target, for a text among sets, or with keys for a key among sets.

    >>> words, right = np.array([[0, 1], [0, 2], [0, 3]]), np.array([0, 0, 3])
    >>> rows = WordRows(words, np.array([[0, 1]] * 3), right, np.array([0, 0, 1]))
    >>> {name: round(value, 3) for name, value in named_ceilings(rows, "image").items()}
    {'text_alone': 0.833, 'all_words_alike': 0.778, 'counting': 0.889}
    """
    if rows.keys:
        return _named_with_keys(rows, target, sets)
    if target == "text":
        found = {} if sets is not None else _text_by_row(rows)
        return {name: found[key] for key, name in _TEXT_TARGET.items() if key in found}
    if target not in ("image", "audio"):
        return {}
    found = _by_label(rows, target, sets)
    return {name: found[name] for name in TEXT_READERS}


def subset_ceilings(rows: WordRows) -> dict[str, dict[str, float]]:
    """Compute the best accuracy from every set of the other modalities, with all rows as candidates.

    Returns:
        Target ("image" by class, "audio" by language, "text" by its row) -> modalities joined by "+", or "none",
        -> accuracy of a reader who also counts the candidates. With keys each key is a target by its value.
    """
    if rows.keys:
        return _subsets_with_keys(rows)
    found = {target: _by_label(rows, target, None) for target in ("image", "audio")}
    return {
        "image": _without_names(found["image"], "audio"),
        "audio": _without_names(found["audio"], "image"),
        "text": _text_by_row(rows),
    }


def _named_with_keys(rows: WordRows, target: str, sets: IntArray | None) -> dict[str, float]:
    if target == "image":
        found = _by_label(rows, "image", sets)
        return {name: found[name] for name in TEXT_READERS} | {ONE_LEFT_OUT: max(found["counting"], found["none"])}
    if sets is not None or target not in ("text", *rows.keys):
        return {}
    if target != "text":
        return {ONE_LEFT_OUT: _largest_share(rows.keys[target])}
    found = _text_by_row(rows)
    return {ONE_LEFT_OUT: max(found["image"], found["audio"]), _ALL_OTHERS: found["audio+image"]}


def _subsets_with_keys(rows: WordRows) -> dict[str, dict[str, float]]:
    """Compute the ceilings from every set of modalities: only all keys together tell a language."""
    names, keys = ["image", "text", *rows.keys], set(rows.keys)
    image, text = _by_label(rows, "image", None), _text_by_row(rows)
    result: dict[str, dict[str, float]] = {}
    for target in names:
        result[target] = found = {}
        for read in _subsets([name for name in names if name != target]):
            all_keys = keys - {target} <= read
            if target == "image":
                best = image["none"] if "text" not in read else image["all" if all_keys else "counting"]
            elif target == "text":
                parts = [*(["audio"] if all_keys else []), *(["image"] if "image" in read else [])]
                best = text["+".join(parts) or "none"]
            else:
                informed = all_keys and {"image", "text"} <= read
                best = 1.0 if informed else _largest_share(rows.keys[target])
            found["+".join(sorted(read)) or "none"] = best
    return result


def _subsets(names: list[str]) -> Iterator[set[str]]:
    for count in range(len(names) + 1):
        yield from map(set, combinations(names, count))


def _largest_share(values: IntArray) -> float:
    """Return the share of the most frequent value."""
    return float(np.bincount(values).max() / len(values))


def random_candidate(counts: IntArray) -> float:
    """Compute the accuracy of a random candidate: the probability that two rows have the same label.

    Args:
        counts: Number of rows of each label.

    >>> random_candidate(np.array([2, 2]))
    0.5
    """
    return float((counts.astype(np.float64) ** 2).sum() / counts.sum() ** 2)


def _without_names(found: Mapping[str, float], other: str) -> dict[str, float]:
    """Rename the results of `_by_label` to the modalities that are read; `other` alone is not informative."""
    pair = "+".join(sorted([other, "text"]))
    return {"none": found["none"], other: found["none"], "text": found["counting"], pair: found["all"]}


def _by_label(rows: WordRows, target: str, sets: IntArray | None) -> dict[str, float]:
    """Compute the named ceilings, "none" and "all" for the image by its class or the audio by its language."""
    both = (rows.word_classes, rows.classes), (rows.word_languages, rows.languages)
    (options, right), (others, other) = both if target == "image" else both[::-1]
    options = np.where(_first(options), options, NO_WORD)  # an option counts once in its row
    if sets is None:
        counts: IntArray = np.bincount(right)
        weights, right_counts = _looked_up(counts, options), counts[right]
        likely, without = weights, np.full(len(rows), counts.max() / len(rows))
    else:
        weights, right_counts, likely, without = _among_sets(options, right, right[sets])
    answers = np.where(others == other[:, None], likely, 0)
    return {
        "text_alone": float((1 / (weights > 0).sum(axis=1)).mean()),
        "all_words_alike": float((right_counts / weights.sum(axis=1)).mean()),
        "counting": _best(likely),
        "none": float(without.mean()),
        "all": _best(answers),
    }


def _among_sets(options: IntArray, right: IntArray, sets: IntArray) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Count the candidates of each option, of the right one, and those that a counting reader considers; and return
    the accuracy of counting alone.

    Where the right label occurs once in every set, the protocol guarantees it, and a label that occurs twice is wrong.
    """
    weights = np.stack([(sets == option[:, None]).sum(axis=1) for option in options.T], axis=1)
    weights = np.where(options == NO_WORD, 0, weights)
    right_counts = (sets == right[:, None]).sum(axis=1)
    ordered = np.sort(sets, axis=1)
    edges = np.ones((len(sets), sets.shape[1] + 1), dtype=bool)
    edges[:, 1:-1] = ordered[:, 1:] != ordered[:, :-1]
    if (right_counts == 1).all():
        return weights, right_counts, np.where(weights == 1, 1, 0), 1 / (edges[:, 1:] & edges[:, :-1]).sum(axis=1)
    most = [np.diff(np.flatnonzero(row)).max() for row in edges]
    return weights, right_counts, weights, np.array(most) / sets.shape[1]


def _text_by_row(rows: WordRows) -> dict[str, float]:
    """Compute the ceilings of a row's text by the modalities that are read. A text with k possible words, one of which
    has the language or class that was read, belongs to the query with a probability proportional to 1 / k.
    """
    possible = rows.word_classes != NO_WORD
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
    """Return the mean probability of the likeliest option."""
    return float((weights.max(axis=1) / weights.sum(axis=1)).mean())


def _looked_up(counts: IntArray, options: IntArray) -> IntArray:
    """(N, W) number of candidates of each option; 0 for a label that no candidate has, and for -1."""
    there = (options >= 0) & (options < len(counts))
    return np.where(there, counts[np.where(there, options, 0)], 0)


def _first(values: IntArray) -> npt.NDArray[np.bool_]:
    """(N, W) whether no earlier word of the row has a word's value."""
    first = np.ones(values.shape, dtype=bool)
    for one in range(values.shape[1]):
        for before in range(one):
            first[:, one] &= values[:, one] != values[:, before]
    return first
