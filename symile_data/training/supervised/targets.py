"""The classes of the rows of some labels, looked up by sample id while a supervised baseline is trained.

Legend: N rows, L labels, B rows of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NO_CLASS = -1


@dataclass(frozen=True)
class Targets:
    """The classes of all rows of some splits.

    Args:
        ids: (N,) int64 sample ids, ascending.
        classes: (N, L) int64 class numbers, `NO_CLASS` for a row without this label.
    """

    ids: Tensor
    classes: Tensor

    @classmethod
    def of(cls, ids: Tensor, classes: Tensor) -> Targets:
        """Sort rows by their ids."""
        order = torch.argsort(ids)
        return cls(ids[order], classes[order])

    def of_batch(self, sample_ids: Tensor) -> Tensor:
        """Return the classes (B, L) of the rows with these ids (B,), on their device."""
        places = torch.searchsorted(self.ids, sample_ids.cpu()).clamp(max=len(self.ids) - 1)
        found = self.classes[places].masked_fill((self.ids[places] != sample_ids.cpu())[:, None], NO_CLASS)
        return found.to(sample_ids.device)
