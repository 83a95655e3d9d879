"""Small text encoder: a vector for each word, averaged. Made for texts that are lists of words joined by '_', as in
Symile-M3. The paper's is `xlm_roberta`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat

import torch
from torch import Tensor, nn

from symile_data.datasets.m3.names import SEPARATOR

from .base import DataDescription

_UNKNOWN, _MISSING = 0, 1  # indices of words that the vocabulary does not hold, and of the token of a missing text


class WordEncoder(nn.Module):
    """Mean of learned word vectors. Word order carries nothing in a bag of class names, so none is modelled.

    Args:
        dim: Embedding size D.
        description: `vocabulary` has the words it knows; others share one vector.
        init_std: Spread of the vectors at the start. A layer norm follows, so a small spread is no weak signal but a
            fast start: the first steps turn the vectors towards the media they go with.
    """

    def __init__(self, dim: int, description: DataDescription, init_std: float = 0.01) -> None:
        super().__init__()
        self._index = {word: index for index, word in enumerate(description.vocabulary, start=_MISSING + 1)}
        self.words = nn.EmbeddingBag(len(self._index) + 2, dim, mode="mean")
        nn.init.normal_(self.words.weight, std=init_std)

    def forward(self, texts: Sequence[str | None], _missing: Tensor | None = None) -> Tensor:
        """Average the word vectors of each text.

        Args:
            texts: B strings; None where missing, which encodes as a token of its own.

        Returns:
            (B, D).
        """
        flat: list[int] = []
        starts = []
        for text in texts:
            starts.append(len(flat))
            flat.extend([_MISSING] if text is None else map(self._index.get, text.split(SEPARATOR), repeat(_UNKNOWN)))
        device = self.words.weight.device
        tokens = torch.tensor(flat, dtype=torch.long, device=device)
        embedding: Tensor = self.words(tokens, torch.tensor(starts, device=device))
        return embedding


def vocabulary_of(texts: Iterable[str | None]) -> list[str]:
    """The different words of some texts, sorted.

    >>> vocabulary_of(["lion_λεμόνι", None, "lion_bee"])
    ['bee', 'lion', 'λεμόνι']
    """
    return sorted({word for text in texts if text is not None for word in text.split(SEPARATOR)})
