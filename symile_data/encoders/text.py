"""Text encoder: a vector for each word, averaged. Made for texts that are lists of words joined by '_', as in
Symile-M3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

SEPARATOR = "_"
_UNKNOWN = 0  # index of words that the vocabulary does not hold


class WordEncoder(nn.Module):
    """Mean of learned word vectors. Word order carries nothing in a bag of class names, so none is modelled.

    Args:
        dim: Embedding size D.
        vocabulary: The words it knows; others share one vector.
        init_std: Spread of the vectors at the start. A layer norm follows, so a small spread is no weak signal but a
            fast start: the first steps turn the vectors towards the media they go with.
    """

    def __init__(self, dim: int, vocabulary: Sequence[str], init_std: float = 0.01) -> None:
        super().__init__()
        self.vocabulary = list(vocabulary)
        self._index = {word: index for index, word in enumerate(self.vocabulary, start=_UNKNOWN + 1)}
        self.words = nn.EmbeddingBag(len(self.vocabulary) + 1, dim, mode="mean")
        nn.init.normal_(self.words.weight, std=init_std)

    def forward(self, texts: Sequence[str | None]) -> Tensor:
        """Encode texts.

        Args:
            texts: B strings; None (missing) encodes as no words at all, a zero vector.

        Returns:
            (B, D).
        """
        bags = [[] if text is None else text.split(SEPARATOR) for text in texts]
        flat = [self._index.get(word, _UNKNOWN) for words in bags for word in words]
        starts = [0]
        for words in bags[:-1]:
            starts.append(starts[-1] + len(words))
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
