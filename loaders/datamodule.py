"""A dataset directory as a Lightning data module: training, validation and test loaders with ranks from the trainer.

Lightning saves and restores the training loader's state with its checkpoints, so a resumed run continues after the
last batch, also with another number of devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning

from .dataset import open_split
from .loader import BatchLoader


class DataModule(lightning.LightningDataModule):
    """Loaders of one dataset.

    Give the trainer `use_distributed_sampler=False`: ranks are divided here.

    Args:
        location: The dataset's directory.
        batch_size: Rows of each rank.
        train: Further arguments of the training `BatchLoader` (`seed`, `cache`, `redraw_words`, `augment`, ...).
        evaluation: Those of validation and test, which keep file order and every row.
    """

    def __init__(
        self,
        location: str | Path,
        batch_size: int,
        *,
        train: Mapping[str, Any] | None = None,
        evaluation: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._location, self._batch_size = location, batch_size
        self._train, self._evaluation = dict(train or {}), {"shuffle": False, **(evaluation or {})}

    def train_dataloader(self) -> BatchLoader:
        """Shuffled batches of the training split."""
        return self._loader("train", self._train)

    def val_dataloader(self) -> BatchLoader:
        """All rows of the validation split."""
        return self._loader("validation", self._evaluation)

    def test_dataloader(self) -> BatchLoader:
        """All rows of the test split."""
        return self._loader("test", self._evaluation)

    def _loader(self, split: str, settings: Mapping[str, Any]) -> BatchLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        opened = open_split(self._location, split)
        return BatchLoader(opened, self._batch_size, rank=rank, world_size=world_size, **settings)
