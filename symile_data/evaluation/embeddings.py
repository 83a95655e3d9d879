"""The embeddings, labels and candidates of the rows of a split, collected batch by batch.

Legend: N rows, D embedding size, K candidates of a row.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

NO_SET = torch.iinfo(torch.int64).min  # in the place of the candidates of a row that is no query
IN_MEMORY = 2 << 30  # bytes of embeddings above which they are kept in a file that is mapped into memory


@dataclass(frozen=True)
class Embeddings:
    """The embeddings and labels of some rows.

    Args:
        values: Modality name -> (N, D) float32.
        labels: (N,) int64.
        candidates: (N, K) labels of the rows among which each row retrieves, including itself; None where all rows
            are candidates or the sets are drawn. A row that is only a candidate of others and no query has `NO_SET`
            everywhere.
    """

    values: Mapping[str, Tensor]
    labels: Tensor
    candidates: Tensor | None = None

    @classmethod
    def join(cls, parts: Iterable[Embeddings], rows: int | None = None) -> Embeddings:
        """Concatenate the rows of several batches, in order.

        Args:
            parts: Embeddings with the same modalities.
            rows: N or a larger number, where it is known beforehand. The embeddings are then written once, to memory
                or, above `IN_MEMORY`, to an unnamed file.
        """
        kept = list(parts) if rows is None else parts
        total = sum(len(part.labels) for part in kept) if isinstance(kept, list) else rows or 0
        labels: list[Tensor] = []
        candidates: list[Tensor] = []
        values: dict[str, Tensor] = {}
        filled = 0
        for part in kept:
            for name, value in part.values.items():
                if name not in values:
                    values[name] = _room(total, value, len(part.values))
                values[name][filled : filled + len(value)] = value
            filled += len(part.labels)
            labels.append(part.labels)
            candidates += [] if part.candidates is None else [part.candidates]
        return cls(
            {name: value[:filled] for name, value in values.items()},
            torch.cat(labels) if labels else torch.empty(0, dtype=torch.long),
            _joined_sets(candidates) if candidates else None,
        )

    @property
    def queries(self) -> Tensor:
        """(Q,) rows that retrieve among their candidates: all rows, unless some have no set."""
        if self.candidates is None:
            return torch.arange(len(self.labels))
        return (self.candidates != NO_SET).any(dim=1).nonzero()[:, 0]

    def shuffled(self, modality: str, generator: torch.Generator) -> Embeddings:
        """Return the same rows with the values of one modality permuted among them."""
        order = torch.randperm(len(self.labels), generator=generator)
        return replace(self, values={**self.values, modality: self.values[modality][order]})


def candidate_sets(column: Sequence[Sequence[int] | None], size: int) -> Tensor:
    """Turn a batch's column of sets of candidates into numbers.

    Args:
        column: B sets of K labels, None for a row that is no query.
        size: K, where no row of the batch has a set.

    Returns:
        (B, K) int64, `NO_SET` for None.
    """
    empty = [NO_SET] * next((len(found) for found in column if found is not None), size)
    return torch.tensor([empty if found is None else list(found) for found in column])


def label_numbers(column: Tensor | Sequence[Any]) -> Tensor:
    """Turn a batch's label column into numbers: integers stay, vectors and other values become a hash of 64 bits.

    Args:
        column: (B,) or (B, K) tensor, or B Python values.

    Returns:
        (B,) int64, equal for equal values.

    >>> a, b, c = label_numbers(["el", "en", "el"])
    >>> bool(a == c), bool(a == b)
    (True, False)
    """
    if isinstance(column, Tensor) and column.dim() == 1:
        return column.long()
    if isinstance(column, Tensor):
        values = [row.tobytes() for row in column.cpu().numpy()]
    else:
        values = [repr(value).encode() for value in column]
    hashes = [hashlib.blake2b(value, digest_size=8).digest() for value in values]
    return torch.tensor([int.from_bytes(value, "little", signed=True) for value in hashes], dtype=torch.int64)


def _joined_sets(parts: Sequence[Tensor]) -> Tensor:
    """Concatenate sets of candidates; a batch without queries may not know their size."""
    size = max(part.shape[1] for part in parts)
    return torch.cat([functional.pad(part, (0, size - part.shape[1]), value=NO_SET) for part in parts])


def _room(rows: int, like: Tensor, modalities: int) -> Tensor:
    """Return an uninitialised tensor for the embeddings of one modality, in memory or mapped from a file."""
    shape = (rows, *like.shape[1:])
    elements = rows * like[0].numel() if len(like) else 0
    if elements * like.element_size() * modalities <= IN_MEMORY:
        return torch.empty(shape, dtype=like.dtype)
    with tempfile.TemporaryDirectory() as folder:  # the mapping outlives the name
        path = Path(folder) / "embeddings"
        return torch.from_file(str(path), shared=True, size=elements, dtype=like.dtype).view(shape)
