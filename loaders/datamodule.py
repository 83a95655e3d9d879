"""A dataset directory as a Lightning data module: training, validation and test loaders with ranks from the trainer.

The module's state is that of the training loader, so that a resumed run continues after the last batch, also with
another number of devices. (Lightning itself saves the states of loaders, but does not restore them from a checkpoint
of an epoch's end.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from symile_data.arguments import check_call
from symile_data.errors import UsageError
from symile_data.extras import needs_extra

from .arguments import Distribution
from .loader import BatchLoader
from .split import Split, open_split

with needs_extra("train", "loading batches"):
    import lightning


class DataModule(lightning.LightningDataModule):
    """The training, validation and test loaders of one dataset.

    Give the trainer `use_distributed_sampler=False`: this module divides the rows among the ranks.

    Args:
        location: The dataset's directory or URL, whose splits are opened when their loaders are made; or a function
            that returns the split of a given name, for splits that are open already.
        batch_size: Rows of all ranks together, so that a batch is the same for any number of devices.
        train: Further arguments of the training `BatchLoader` (`seed`, `cache`, `variation`, ...).
        evaluation: The same for validation and test, which keep file order and every row.
    """

    def __init__(
        self,
        location: str | Path | Callable[[str], Split],
        batch_size: int,
        *,
        train: Mapping[str, Any] | None = None,
        evaluation: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_call(DataModule.__init__, locals())
        self._location, self._batch_size = location, batch_size
        self._train, self._evaluation = dict(train or {}), {"shuffle": False, **(evaluation or {})}
        self._training: BatchLoader | None = None
        self._restored: dict[str, Any] = {}

    def train_dataloader(self) -> BatchLoader:
        """Make the loader of the training split; a second call continues where the previous loader was."""
        state = self.state_dict()
        self._training, self._restored = self._loader("train", self._train), {}
        if state:
            self._training.load_state_dict(state)
        return self._training

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the training loader; empty before there is one."""
        return self._restored or (self._training.state_dict() if self._training else {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next training loader continue from this state.

        A state of another split or of other settings is refused when that loader is made.
        """
        self._restored = state_dict

    def val_dataloader(self) -> BatchLoader:
        """Make a loader of all rows of the validation split, in file order."""
        return self._loader("validation", self._evaluation)

    def test_dataloader(self) -> BatchLoader:
        """Make a loader of all rows of the test split, in file order."""
        return self._loader("test", self._evaluation)

    def _loader(self, split: str, settings: Mapping[str, Any]) -> BatchLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        if self._batch_size % world_size:
            raise UsageError(
                "a batch cannot be divided equally among the devices",
                got=f"{self._batch_size} rows for {world_size} devices",
                do="choose a batch_size that is a multiple of the devices",
            )
        opened = self._location(split) if callable(self._location) else open_split(self._location, split)
        share = self._batch_size // world_size
        return BatchLoader(opened, share, distribution=Distribution(rank=rank, world_size=world_size), **settings)
