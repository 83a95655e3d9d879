"""What the processes of a distributed run tell each other beside the loss: rows for retrieval, and counts."""

from __future__ import annotations

import torch
import torch.distributed as dist

from symile_data.evaluation.embedded import Embedded
from symile_data.losses.gather import share_of


def rows_of_all_ranks(rows: int, device: torch.device) -> int:
    """The sum over ranks of each one's number of rows; one of them at least has rows."""
    return share_of(rows, device, gather=True).total


def gathered(embedded: Embedded, device: torch.device) -> Embedded:
    """The rows of all ranks, in rank order, on the CPU of each.

    Args:
        embedded: This rank's.
        device: On which ranks talk to each other.
    """
    if not dist.is_available() or not dist.is_initialized():
        return embedded
    share = share_of(len(embedded.labels), device, gather=True)
    values = share.gather([value.to(device) for value in embedded.values.values()])
    (labels,) = share.gather([embedded.labels.to(device)])
    sets = None if embedded.candidates is None else share.gather([embedded.candidates.to(device)])[0].cpu()
    return Embedded(
        {name: value.cpu() for name, value in zip(embedded.values, values, strict=True)}, labels.cpu(), sets
    )
