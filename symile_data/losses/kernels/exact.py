"""The exact loss: every one of the N^M combinations of rows, from one tensor shared by all anchors, a tile at a time.

With logits T[i1..iM] = s sum_d prod_m E_m[i_m, d], negatives-only sums neg_m(i) = log sum exp T over all combinations
that have i_m = i except the positive T[i..i], and lse_m(i) = log(exp neg_m(i) + exp T[i..i]):

    L        = mean over m and i of  lse_m(i) - T[i..i]
    dL/dT    = G / (M N),  G[i1..iM] = sum_m exp(T - lse_m(i_m))  off the positives,
    dL/dT_ii = -(1 / (M N)) sum_m exp(neg_m(i) - lse_m(i))        on them (never 1 - p, so a loss near zero keeps its
    digits) s dL/ds  = <E_m, dL/dE_m> for any m (T and s enter only as a product), so the scale's gradient needs no pass
    of its own.

The tensor is seen as (X', Y, Z): Z the last modality, Y the one before, X' the products of the rows of all leading ones
(N^(M-2) rows; a single row of ones for M = 2, which is CLIP). A tile is A = X'_I * Y_J against all of Z. Two passes
over the tiles:

    1. A Z' -> sums of exp over k, over j, over i                                    2 N^M D operations
    2. A Z' again (or from the cache) -> G;  dZ += G' A;  H = G Z;
       dY_J += sum_I H * X'_I;  dX'_I = sum_J H * Y_J  (H serves both)               6 N^M D, 4 where cached

One exponential serves all M anchors: P = exp(T - ref), G = P (u_i + v_j + w_k) with u_i = exp(ref - lse_X(i)) and so
on. It is exact to rounding while every |lse - ref| stays below 60 (float32; 600 in float64); otherwise, which LayerNorm
embeddings do reach, each anchor has one of its own against its own lse and nothing can overflow or vanish.

Shapes: N rows, D width, M modalities, I x J x N a tile with R = I J rows.
Memory: R (D + 2 N) numbers, the cache, M N D gradients (and N x N booleans a modality where there are groups).
"""

from __future__ import annotations

import torch
from torch import Tensor

from symile_data.losses.inputs import LossInputs, LossResult

from .budget import Options, check_options
from .powers import LOG2_E, SAFE_RANGE, log2sumexp2
from .products import add_matmul, matmul, product_of_all, products_of_others
from .tiles import Tile, Tiles

# From this many numbers per row of X', in-place operations row by row beat one operation with a temporary.
_LOOP_ELEMENTS = 1 << 15


def solve_exact(inputs: LossInputs, wanted: bool, options: Options) -> LossResult:
    """Compute value and gradients over all combinations.

    Args:
        inputs: The batch of all ranks; the work is split over ranks by rows of X' (of Y for M = 2).
        wanted: Also compute gradients.
        options: Tile, cache, budget, precision.

    Raises:
        UsageError: more work than `options.max_flops`, or an option that is out of range.
    """
    check_options(inputs, options)
    return _Exact(inputs, options).solve(wanted)


class _Exact:
    """One evaluation of the loss: two passes over the tiles."""

    def __init__(self, inputs: LossInputs, options: Options) -> None:
        self.shard, self.scale, self.embeddings = inputs.shard, inputs.scale, inputs.embeddings
        *self.leads, self.y, self.z = inputs.embeddings
        self.n, self.width = self.z.shape
        self.tiles = Tiles(inputs, options)
        self.same, self.gemm_dtype = self.tiles.same, options.gemm_dtype
        self.positives = product_of_all(self.embeddings).sum(dim=1)
        # From here on logits and logarithms of sums are to base 2.
        self.scale2 = self.tiles.scale2
        self.logits = self.positives * self.scale2
        # The level exponents are taken relative to: the middle of the positives, the same on every rank.
        self.ref = (self.logits.max() + self.logits.min()) / 2

    def solve(self, wanted: bool) -> LossResult:
        if not wanted:
            self.tiles.cached_rows = 0
        local = self._negatives_fast()
        safe = local is None
        if local is None:
            local = self._negatives_safe()
        negatives = self.shard.log2sumexp2(local)
        lse = torch.logaddexp2(negatives, self.logits)
        # All ranks read the same numbers here and take the same turn, so their collectives stay in step.
        if not self._within_range(lse):
            if not safe:
                safe, local = True, self._negatives_safe()
            negatives = self.shard.log2sumexp2(local)
            lse = torch.logaddexp2(negatives, self.logits)
        value = torch.logaddexp2(negatives - self.logits, torch.zeros_like(self.logits)).mean() / LOG2_E
        if not wanted:
            return LossResult(value, [], torch.zeros_like(self.scale))
        partial, scale_gradient = self._gradients(lse, safe)
        gradients = self.shard.own(partial)
        positive_gradient = (negatives - lse).exp2().sum(dim=0) / -lse.numel()
        scale_gradient = self.shard.sum(scale_gradient) + (positive_gradient * self.positives).sum()
        mine = slice(self.shard.start, self.shard.stop)
        weight = (positive_gradient[mine] * (self.scale * self.shard.world))[:, None]
        others = products_of_others([embedding[mine] for embedding in self.embeddings])
        gradients = [gradient + weight * other for gradient, other in zip(gradients, others, strict=True)]
        return LossResult(value, gradients, scale_gradient)

    def _within_range(self, lse: Tensor) -> bool:
        """Whether one exp relative to `ref` serves these anchors (False also for NaN and infinities)."""
        return bool(((lse - self.ref).abs() <= SAFE_RANGE[lse.dtype]).all())

    # First pass: the sums over negatives.

    def _exponentials(self, tile: Tile, a: Tensor) -> Tensor:
        """P = exp2(T - ref), (R, N), zero at the positives."""
        return self.tiles.logits(tile, a).sub_(self.ref).exp2_()

    def _negatives_fast(self) -> Tensor | None:
        """log2 of the sum over negatives, (M, N), from one exp2 an entry; None once the range proves too wide."""
        self.tiles.cache.clear()
        x_sums = self.z.new_zeros((max(len(self.leads), 1), self.tiles.x_rows))
        y_sums, z_sums = self.z.new_zeros(self.n), self.z.new_zeros(self.n)
        for tile in self.tiles.plan:
            a = self.tiles.products(tile, product_of_all(self.tiles.lead_rows(tile)) * self.scale2)
            p = self._exponentials(tile, a).view(tile.b - tile.a, -1, self.n)
            if self.same is None:
                over_k = p.sum(dim=2)
                x_sums[:, tile.a : tile.b] += over_k.sum(dim=1)
                y_sums[tile.j0 : tile.j1] += over_k.sum(dim=0)
                z_sums += p.sum(dim=(0, 1))
            else:
                *kept_x, kept_y, kept_z = [p.masked_fill(drop, 0.0) for drop in self.tiles.dropped(tile, self.same)]
                for sums, kept in zip(x_sums, kept_x, strict=False):
                    sums[tile.a : tile.b] += kept.sum(dim=(1, 2))
                y_sums[tile.j0 : tile.j1] += kept_y.sum(dim=(0, 2))
                z_sums += kept_z.sum(dim=(0, 1))
            if tile is self.tiles.plan[0] and len(self.leads) == 1 and tile.j1 - tile.j0 == self.n:
                # These anchors are complete: a look at them spares wide batches most of a pass in vain.
                rows = slice(tile.a, tile.b)
                if not self._within_range(torch.logaddexp2(x_sums[0, rows].log2() + self.ref, self.logits[rows])):
                    return None
        x_logs, y_logs, z_logs = (sums.log2() + self.ref for sums in (x_sums, y_sums, z_sums))
        return self._per_modality(x_logs, y_logs, z_logs)

    def _negatives_safe(self) -> Tensor:
        """The same sums for logits of any range: each is taken relative to the anchor's own highest entry."""
        self.tiles.cache.clear()
        x_logs = self.z.new_full((max(len(self.leads), 1), self.tiles.x_rows), -torch.inf)
        y_logs, z_logs = (
            self.z.new_full((self.n,), -torch.inf),
            self.z.new_full((self.n,), -torch.inf),
        )
        for tile in self.tiles.plan:
            a = self.tiles.products(tile, product_of_all(self.tiles.lead_rows(tile)) * self.scale2)
            t = self.tiles.logits(tile, a).view(tile.b - tile.a, -1, self.n)
            if self.same is None:
                over_k = log2sumexp2(t, dim=2)
                x_new = log2sumexp2(over_k, dim=1).expand(len(x_logs), -1)
                y_new, z_new = log2sumexp2(over_k, dim=0), log2sumexp2(t, dim=(0, 1))
            else:
                *kept_x, kept_y, kept_z = [
                    t.masked_fill(drop, -torch.inf) for drop in self.tiles.dropped(tile, self.same)
                ]
                x_new = torch.stack([log2sumexp2(kept, dim=(1, 2)) for kept in kept_x or [kept_y]])
                y_new, z_new = log2sumexp2(kept_y, dim=(0, 2)), log2sumexp2(kept_z, dim=(0, 1))
            for logs, new in ((x_logs[:, tile.a : tile.b], x_new), (y_logs[tile.j0 : tile.j1], y_new), (z_logs, z_new)):
                torch.logaddexp2(logs, new, out=logs)
        return self._per_modality(x_logs, y_logs, z_logs)

    def _per_modality(self, x_logs: Tensor, y_logs: Tensor, z_logs: Tensor) -> Tensor:
        """Reduce sums per row of X' to sums per row of each leading modality; returns (M, N) with those of Y and Z."""
        rows = []
        for m in range(len(self.leads)):
            grid = x_logs[m].view((self.n,) * len(self.leads)).movedim(m, 0)
            rows.append(log2sumexp2(grid.reshape(self.n, -1), dim=1))
        return torch.stack([*rows, y_logs, z_logs])

    # Second pass: the gradients.

    def _gradients(self, lse: Tensor, safe: bool) -> tuple[list[Tensor], Tensor]:
        """Compute this rank's part of dL/dE_m, M tensors (N, D), and of dL/ds, without the positives."""
        gradients = [torch.zeros_like(embedding) for embedding in self.embeddings]
        *lead_gradients, y_gradient, z_gradient = gradients
        scale_gradient = torch.zeros_like(self.scale)
        factors = (self.ref - lse).exp2()
        weights = torch.empty_like(self.tiles.t_buffer) if self.same is None else self.tiles.t_buffer
        for tile in self.tiles.plan:
            lead_rows = self.tiles.lead_rows(tile)
            x = product_of_all(lead_rows)
            a = self.tiles.products(tile, x * self.scale2)
            entries = self.tiles.cache.pop(tile, None)
            if entries is None and safe:
                entries = self.tiles.logits(tile, a)
            elif entries is None:
                entries = self._exponentials(tile, a)
            if safe:
                g = self._entry_gradients_safe(tile, entries, lse)
            else:
                g = self._entry_gradients_fast(tile, entries, factors, weights)
            add_matmul(z_gradient, g.t(), a, self.gemm_dtype)
            h = matmul(g, self.tiles.low_z, self.gemm_dtype, self.tiles.h_buffer[: tile.rows]).view(
                len(x), -1, self.width
            )
            x_part = _contract(h, x * self.scale2, self.y[tile.j0 : tile.j1], y_gradient[tile.j0 : tile.j1])
            scale_gradient += (x_part * x).sum()
            if len(self.leads) == 1:
                lead_gradients[0][tile.a : tile.b].addcmul_(x_part, self.scale2)
            elif self.leads:
                parts = zip(lead_gradients, self.tiles.lead_indices(tile), products_of_others(lead_rows), strict=True)
                for gradient, index, others in parts:
                    gradient.index_add_(0, index, x_part * others * self.scale2)
        for gradient in gradients:
            gradient.div_(lse.numel() * LOG2_E)
        return gradients, scale_gradient / lse.numel()

    def _entry_gradients_fast(self, tile: Tile, p: Tensor, factors: Tensor, weights: Tensor) -> Tensor:
        """G = sum_m P factor_m, (R, N), in the place of P."""
        views = self.tiles.along_anchor(tile, factors)
        if self.same is None:
            rows = sum(views[1:-1], views[0])
            out = weights[: tile.rows].view(tile.b - tile.a, -1, self.n)
            return p.mul_(torch.add(rows, views[-1], out=out).view(tile.rows, self.n))
        p3 = p.view(tile.b - tile.a, -1, self.n)
        kept = [
            p3.masked_fill(drop, 0.0).mul_(f)
            for drop, f in zip(self.tiles.dropped(tile, self.same), views, strict=True)
        ]
        return sum(kept[1:], kept[0]).view(tile.rows, self.n)

    def _entry_gradients_safe(self, tile: Tile, t: Tensor, lse: Tensor) -> Tensor:
        """G = sum_m exp2(T - lse_m), (R, N)."""
        t3 = t.view(tile.b - tile.a, -1, self.n)
        total = torch.zeros_like(t3)
        dropped = None if self.same is None else self.tiles.dropped(tile, self.same)
        for m, view in enumerate(self.tiles.along_anchor(tile, lse)):
            term = (t3 - view).exp2_()
            total += term if dropped is None else term.masked_fill_(dropped[m], 0.0)
        return total.view(tile.rows, self.n)


def _contract(h: Tensor, x_scaled: Tensor, y: Tensor, y_gradient: Tensor) -> Tensor:
    """Adds sum_I H * sX'_I to `y_gradient` (J, D) and returns sum_J H * Y_J, (I, D). Overwrites H, (I, J, D)."""
    if h.device.type == "cpu" and y.numel() >= _LOOP_ELEMENTS:
        x_part = torch.empty_like(x_scaled)
        for i, h_i in enumerate(h):
            y_gradient.addcmul_(h_i, x_scaled[i])
            torch.sum(h_i.mul_(y), dim=0, out=x_part[i])
        return x_part
    x_part = (h * y).sum(dim=1)
    y_gradient += h.mul_(x_scaled[:, None]).sum(dim=0)
    return x_part
