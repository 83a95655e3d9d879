"""The keys of Symile-M3 with more than three modalities, and the rule by which they name the word that counts.

Without keys the language of the audio says which word of a text is the image's class. With K keys their sum does: key 1
is the language of the audio, as its place among the dataset's sorted languages, keys 2 to K are drawn uniformly from
0 to W - 1, and

    place of the target language = sum of all keys modulo W,

with W languages and W words in a text. So all K + 2 modalities together name the image, and without one of them the
others tell no more than the text alone: the total correlation is ln C for C classes, the information of image and text
is ln(C / W), and that of every other pair of modalities is 0. Every key beyond the first is a modality: a drawing of a
digit, a tone, or a noisy one-hot code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.errors import UsageError
from symile_data.format.schema import Modality

MOST_KEYS = 2  # beside the language of the audio
TARGET_LANGUAGE = "target_lang"

IntArray = npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Key:
    """A modality that shows a number.

    Args:
        name: Name of the modality and of its column.
        kind: Its kind: "image", "audio" or "vector".
        most_values: The largest number of different values that it can show.
        meaning: The meaning of the column.
    """

    name: str
    kind: str
    most_values: int
    meaning: str

    @property
    def label(self) -> str:
        """The column of the number, a label that is present in every row."""
        return f"{self.name}_id"

    @property
    def media_id(self) -> str | None:
        """The column of the name of its image or recording; None for a vector, of which every row has its own."""
        return None if self.kind == "vector" else f"{self.name}_media_id"

    @property
    def modality(self) -> Modality:
        """The modality as the dataset's schema declares it."""
        columns = (self.name,) if self.media_id is None else (self.name, self.media_id)
        return Modality(name=self.name, kind=self.kind, column=self.name, null_columns=columns, id_column=self.media_id)


KEYS = {
    key.name: key
    for key in (
        Key(name="symbol", kind="image", most_values=10, meaning="a drawing of a digit, JPEG"),
        Key(name="tone", kind="audio", most_values=12, meaning="a tone, FLAC: a higher value has a higher pitch"),
        Key(name="code", kind="vector", most_values=64, meaning="a one-hot code with noise below 0.4"),
    )
}


def check_keys(names: Sequence[str]) -> None:
    """Check the names of the keys beside the language of the audio.

    Raises:
        UsageError: a name is unknown or occurs twice, or there are too many.
    """
    unknown = [name for name in names if name not in KEYS]
    if unknown:
        raise UsageError("unknown key in `keys`", got=repr(unknown[0]), do=f"choose among {', '.join(KEYS)}")
    if len(set(names)) < len(names):
        raise UsageError("`keys` names a key twice", got=",".join(names), do="name each key once")
    if len(names) > MOST_KEYS:
        raise UsageError(
            f"a dataset has at most {MOST_KEYS} keys beside the language of the audio, which makes five modalities",
            got=",".join(names),
            do=f"name at most {MOST_KEYS} in `keys`",
        )


def parse_keys(text: str) -> tuple[str, ...]:
    """Parse names of keys with commas between; the result has the order of `KEYS`.

    Raises:
        UsageError: a name is unknown or occurs twice, or there are too many.

    >>> parse_keys("tone, symbol")
    ('symbol', 'tone')
    """
    names = [name.strip() for name in text.split(",")]
    check_keys(names)
    return tuple(name for name in KEYS if name in names)


def keys_of_spec(spec: Mapping[str, Any]) -> tuple[Key, ...]:
    """Return the keys of a dataset, from the settings in its manifest."""
    return tuple(KEYS[name] for name in spec.get("keys", ()))


def keys_among(names: Iterable[str]) -> tuple[Key, ...]:
    """Return the keys whose label columns are among some columns.

    >>> [key.name for key in keys_among(["lang", "tone_id", "target_lang"])]
    ['tone']
    """
    there = set(names)
    return tuple(key for key in KEYS.values() if key.label in there) if TARGET_LANGUAGE in there else ()


def target_language(keys: Sequence[IntArray], values: int) -> npt.NDArray[np.int64]:
    """Compute the place of the target language from all keys.

    Args:
        keys: K arrays (N,) of numbers from 0 to W - 1, the language of the audio among them.
        values: W.

    Returns:
        (N,) int64, from 0 to W - 1.

    >>> target_language([np.array([4, 1]), np.array([3, 0])], 5).tolist()
    [2, 1]
    """
    total = np.sum(np.stack([np.asarray(key, dtype=np.int64) for key in keys]), axis=0)
    return np.asarray(total % values, dtype=np.int64)
