"""The tensor of logits as the exact loss walks through it: a plan of tiles, their buffers, cache and masks.

See `exact` for the shapes and the meaning of X', Y and Z.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symile_data.losses.inputs import LossInputs

from .budget import Options, defaults
from .powers import LOG2_E
from .products import matmul

_TILE_ROWS = (64, 1 << 14)


@dataclass(frozen=True)
class Tile:
    """Rows `a` to `b` of X', `j0` to `j1` of Y, all of Z; `offset` counts the (i, j) pairs of the tiles before it."""

    a: int
    b: int
    j0: int
    j1: int
    offset: int

    @property
    def rows(self) -> int:
        """R, the number of (i, j) pairs."""
        return (self.b - self.a) * (self.j1 - self.j0)


class Tiles:
    """The tiles of one batch that this rank works on.

    Args:
        inputs: The batch of all ranks; the work is split over ranks by rows of X' (of Y for M = 2).
        options: Tile, cache and precision.
    """

    def __init__(self, inputs: LossInputs, options: Options) -> None:
        self.shard = inputs.shard
        *self.leads, self.y, self.z = inputs.embeddings
        self.n, self.width = self.z.shape
        self.gemm_dtype = options.gemm_dtype
        self.low_z = self.z.to(options.gemm_dtype or self.z.dtype)
        # Logits and logarithms of sums are to base 2.
        self.scale2 = inputs.scale * LOG2_E
        self.same = None if inputs.groups is None else [ids[:, None] == ids[None] for ids in inputs.groups]
        # Rows of X' that belong to positives lie this far apart: 0 for M = 2, 1 for M = 3, N + 1 for M = 4, ...
        self.diagonal = sum(self.n**power for power in range(len(self.leads)))
        self.x_rows = self.n ** len(self.leads)
        self.plan = self._plan(options.tile_rows)
        most = max((tile.rows for tile in self.plan), default=0)
        self.a_buffer = self.z.new_empty((most, self.width), dtype=self.low_z.dtype)
        # In full precision H takes the place of A, which is no longer needed when H is made.
        self.h_buffer = self.a_buffer if options.gemm_dtype is None else self.z.new_empty((most, self.width))
        self.t_buffer = self.z.new_empty((most, self.n))
        self.cache: dict[Tile, Tensor] = {}
        cache_bytes = defaults(self.z).cache_bytes if options.cache_bytes is None else options.cache_bytes
        self.cached_rows = cache_bytes // (self.n * self.z.element_size())

    def _plan(self, tile_rows: int | None) -> list[Tile]:
        """Tiles of this rank: whole rows of X' where R holds all of Y, else one row of X' and an even part of Y."""
        x_range, y_range = (0, self.x_rows), (0, self.n)
        if self.leads:
            x_range = self.shard.part(self.x_rows)
        else:
            y_range = self.shard.part(self.n)
        if tile_rows is None:
            elements = defaults(self.z).tile_elements
            tile_rows = min(max(elements // max(self.n, self.width), _TILE_ROWS[0]), _TILE_ROWS[1])
        y_count = y_range[1] - y_range[0]
        x_step = max(1, tile_rows // max(y_count, 1))
        y_step = -(-y_count // -(-y_count // tile_rows)) if y_count else 1
        tiles = []
        offset = 0
        for a in range(*x_range, x_step):
            for j0 in range(*y_range, y_step):
                tile = Tile(a, min(a + x_step, x_range[1]), j0, min(j0 + y_step, y_range[1]), offset)
                offset += tile.rows
                tiles.append(tile)
        return tiles

    def lead_indices(self, tile: Tile) -> list[Tensor]:
        """Per leading modality the (I,) rows that the tile's rows of X' are made of."""
        numbers = torch.arange(tile.a, tile.b, device=self.z.device)
        return [numbers // self.n**power % self.n for power in reversed(range(len(self.leads)))]

    def lead_rows(self, tile: Tile) -> list[Tensor]:
        """The factors of the tile's rows of X': one (I, D) tensor a leading modality."""
        if not self.leads:
            return [self.z.new_ones((1, self.width))]
        if len(self.leads) == 1:
            return [self.leads[0][tile.a : tile.b]]
        return [lead[index] for lead, index in zip(self.leads, self.lead_indices(tile), strict=True)]

    def products(self, tile: Tile, x_scaled: Tensor) -> Tensor:
        """A = s X'_I * Y_J, (R, D), in the A buffer."""
        a = self.a_buffer[: tile.rows]
        torch.mul(x_scaled[:, None], self.y[None, tile.j0 : tile.j1], out=a.view(len(x_scaled), -1, self.width))
        return a

    def logits(self, tile: Tile, a: Tensor) -> Tensor:
        """T = A Z', (R, N), -inf at the positives; it stays in the cache while there is room."""
        keep = tile.offset + tile.rows <= self.cached_rows
        out = self.t_buffer[: tile.rows]
        logits = matmul(a, self.low_z.t(), self.gemm_dtype, torch.empty_like(out) if keep else out)
        if keep:
            self.cache[tile] = logits
        # Row l of the batch is entry (l * diagonal, l, l); the entries of consecutive rows are equally far apart.
        first, last = tile.j0, tile.j1
        if self.diagonal:
            first, last = max(first, -(-tile.a // self.diagonal)), min(last, -(-tile.b // self.diagonal))
        if first < last:
            j_count = tile.j1 - tile.j0
            start = ((first * self.diagonal - tile.a) * j_count + first - tile.j0) * self.n + first
            step = (self.diagonal * j_count + 1) * self.n + 1
            logits.view(-1)[start : start + (last - first - 1) * step + 1 : step] = -torch.inf
        return logits

    def dropped(self, tile: Tile, same: list[Tensor]) -> list[Tensor]:
        """Per anchor the entries whose other modalities all equal the anchor's own, as M (I, J, N) bool tensors."""
        *lead_same, y_same, z_same = same
        indices = self.lead_indices(tile)
        rows_j = slice(tile.j0, tile.j1)
        dropped = []
        for m, anchor in enumerate(indices):
            leads_agree = torch.ones_like(anchor, dtype=torch.bool)
            for other, index in enumerate(indices):
                if other != m:
                    leads_agree &= lead_same[other][index, anchor]
            dropped.append((y_same[anchor, rows_j] & leads_agree[:, None])[:, :, None] & z_same[anchor][:, None, :])
        leads_like = torch.ones((tile.b - tile.a, self.n), dtype=torch.bool, device=self.z.device)
        for lead, index in zip(lead_same, indices, strict=True):
            leads_like &= lead[index]
        dropped.append(leads_like[:, rows_j, None] & z_same[None, rows_j])
        dropped.append(leads_like[:, None, :] & y_same[None, rows_j])
        return dropped

    def along_anchor(self, tile: Tile, values: Tensor) -> list[Tensor]:
        """The (M, N) values of anchors, each viewed so that it broadcasts over the (I, J, N) tile."""
        views = [row[index][:, None, None] for row, index in zip(values, self.lead_indices(tile), strict=False)]
        return [*views, values[-2, None, tile.j0 : tile.j1, None], values[-1, None, None, :]]
