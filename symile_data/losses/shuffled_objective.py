"""The base of objectives that draw shuffles: a seeded source of them, which is part of the module's state."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from .objective import BatchShape, ProductObjective


class ShuffledObjective(ProductObjective):
    """An objective of multilinear inner products whose negatives are shuffled rows.

    In training mode each call draws fresh shuffles, and `state_dict` carries the generator, so that a resumed run draws
    what the interrupted one would have drawn. In evaluation mode every call draws the same shuffles, those of the seed,
    and leaves the state alone: a validation loss is then comparable between epochs.

    Args:
        seed: Seed of the shuffles; the same on every rank.
        gather: Take negatives from the rows of all ranks.
    """

    def __init__(self, *, seed: int = 0, gather: bool = False) -> None:
        super().__init__(gather=gather)
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)

    @classmethod
    def for_batch(cls, shape: BatchShape, **settings: Any) -> Self:
        """Make the loss with the shape's seed of shuffles; see `Objective`."""
        return cls(seed=shape.seed, **settings)

    def generator_of_call(self) -> torch.Generator:
        """Return the source of the next call's shuffles."""
        return self.generator if self.training else torch.Generator().manual_seed(self.seed)

    def get_extra_state(self) -> Tensor:
        """Return the generator's state, a uint8 tensor."""
        return self.generator.get_state()

    def set_extra_state(self, state: Any) -> None:
        """Continue from a state that `get_extra_state` returned."""
        self.generator.set_state(state.cpu())
