"""A `BatchLoader` as torch's `IterableDataset`, for code that wants a DataLoader or torchdata's StatefulDataLoader.

    StatefulDataLoader(BatchDataset(loader), batch_size=None)

The batches are made already (`batch_size=None`), in threads of this process: worker processes would only add copying.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from symile_data.arguments import check_argument
from symile_data.errors import UsageError
from symile_data.extras import needs_extra

from .loader import Batch, BatchLoader

with needs_extra("train", "loading batches"):
    from torch.utils.data import IterableDataset, get_worker_info


class BatchDataset(IterableDataset[Batch]):
    """The batches of a loader, with the state of the loader.

    Args:
        loader: Decides batch size, rank and seed.
    """

    def __init__(self, loader: BatchLoader) -> None:
        super().__init__()
        check_argument("loader", loader, BatchLoader)
        self.loader = loader

    def __len__(self) -> int:
        """Number of batches of one epoch."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        """Run the rest of the epoch.

        Raises:
            UsageError: inside a worker process, where each worker would repeat the whole epoch.
        """
        if get_worker_info() is not None:
            raise UsageError(
                "this dataset decodes in threads of its own and takes no worker processes",
                do="pass num_workers=0, and give the loader more threads with resources=Resources(threads=...)",
            )
        return iter(self.loader)

    def state_dict(self) -> dict[str, Any]:
        """Return the loader's state, see `BatchLoader.state_dict`."""
        return self.loader.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration continue from a state.

        Raises:
            UsageError: the state is of another split or other settings.
        """
        self.loader.load_state_dict(state)
