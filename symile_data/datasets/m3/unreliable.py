"""Bayes accuracy of finding the image of Symile-M3 by its class where modalities are misaligned."""

from __future__ import annotations

import math
from collections.abc import Sequence

from symile_data.errors import UsageError


def misaligned_accuracy(words: int, classes: int, image: float, text: float, keys: Sequence[float]) -> float:
    """Compute the best possible accuracy of naming the class of the image that a row shows, in `disjoint` mode.

    With b the probability that image and text belong together and k that of all keys, it is
    b (k + (1 - k) / W) + (1 - b) / C, whether or not the reader knows which modalities are misaligned. The number of
    words W is the number of languages.

    Args:
        words: W.
        classes: C, the classes among which the image is found.
        image: Rate at which images are misaligned.
        text: Rate at which texts are misaligned.
        keys: Rate at which each key is misaligned; the audio is the only key of the paper's data.

    Raises:
        UsageError: a number is less than 1, or a rate is not a probability.

    >>> misaligned_accuracy(5, 1000, 0.0, 0.0, [0.0]), round(misaligned_accuracy(5, 1000, 0.0, 0.0, [0.5]), 9)
    (1.0, 0.6)
    """
    if min(words, classes) < 1:
        raise UsageError("words and classes are at least 1", got=min(words, classes))
    for rate in (image, text, *keys):
        if not 0.0 <= rate <= 1.0:
            raise UsageError("a rate is a probability", got=rate)
    together, told = (1 - image) * (1 - text), math.prod(1 - rate for rate in keys)
    return together * (told + (1 - told) / words) + (1 - together) / classes
