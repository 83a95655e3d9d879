"""The contrast of all rows with all, from one exponential a pair: the fast form of `contrast`.

With logits T to base 2 and one reference for all of them, P = exp2(T - ref) serves the softmax by rows and the one by
columns, so that a pair costs one exponential where two calls of cross_entropy need four:

    dL/dT_ij = P_ij (u_i + v_j),     u_i = k exp2(ref - lse_i),  v_j likewise of the column,  k = ln 2 share / N

and on the positives the negatives' shares, as in `contrast`. It is exact to rounding while every lse stays within a
range about the reference. Where one does not, as with wide logits, nothing is returned, and `contrast` takes the
references of each row and column.

Inner products need no graph: their gradients are two matrix products. By columns a second pass is needed once all sums
are known; exponentials are kept for it where there is one block and, of inner products, while they fit a budget.

Shapes: N rows, B rows of a block.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .comparison import Comparison, inner_products
from .powers import LOG2_E, SAFE_RANGE

Block = tuple[int, int]

_KEPT_BYTES = 64 << 20
_LN_2 = 1 / LOG2_E


def contrast_by_one_reference(asked: Comparison, blocks: Sequence[Block]) -> tuple[Tensor, list[Tensor]] | None:
    """Return the loss and its gradients by `asked.wanted`; None where the range of the logits is too wide.

    Args:
        asked: What is compared.
        blocks: First row of each block, and one past its last.
    """
    contrast = _Contrast(asked)
    # By rows every block is complete by itself.
    parts = [[block] for block in blocks] if asked.direction == "rows" else [list(blocks)]
    if not all(contrast.add(part) for part in parts):
        return None
    return contrast.value, contrast.gradients


class _Contrast:
    """The sums, the value and the gradients so far."""

    def __init__(self, asked: Comparison) -> None:
        self.asked, self.rows, self.inner = asked, asked.rows, asked.similarity is inner_products
        self.wanted = asked.wanted
        scale = asked.scale.detach()
        self.scale2 = scale * LOG2_E
        self.value = torch.zeros_like(scale)
        self.gradients: list[Tensor] = []
        self.reference: Tensor | None = None

    def add(self, blocks: Sequence[Block]) -> bool:
        """Add the loss and the gradients of blocks that follow each other; False where a sum is out of range."""
        alone = len(blocks) == 1
        keep = alone or (self.inner and self.rows**2 * self.scale2.element_size() <= _KEPT_BYTES)
        kept, positives, by_row, by_column = [], [], [], []
        for block in blocks:
            logits = self._logits(block, graph=alone)
            positives.append(logits.detach()[:, slice(*block)].diagonal().clone())
            if self.asked.smoothing:
                mean = logits.detach().sum() / self.rows
                self.value += _LN_2 * self.asked.smoothing / self.rows * (positives[-1].sum() - mean)
            reference = positives[-1].mean() if self.reference is None else self.reference
            self.reference = reference
            p = self._exponentials(logits, block, reference)
            if self.asked.direction != "columns":
                by_row.append(p.sum(dim=1))
            if self.asked.direction != "rows":
                by_column.append(p.sum(dim=0))
            kept.append((logits, p) if keep else None)
        sums = [by_row[0] if alone else torch.cat(by_row)] if by_row else []
        sums += [by_column[0] if alone else torch.stack(by_column).sum(dim=0)] if by_column else []
        joined = positives[0] if alone else torch.cat(positives)
        factors = self._weights(torch.stack(sums), joined, reference)
        if factors is None:
            return False
        for block, one in zip(blocks, kept, strict=True) if self.wanted else ():
            self._add_gradients(block, blocks[0][0], factors, one)
        return True

    def _logits(self, block: Block, *, graph: bool) -> Tensor:
        """Return the (B, N) logits of a block, to base 2."""
        if self.inner:
            left, right = self.asked.left[0].detach(), self.asked.right[0].detach()
            return (left[slice(*block)] * self.scale2) @ right.t()
        with torch.set_grad_enabled(graph and bool(self.wanted)):
            cut = [tensor[slice(*block)] for tensor in self.asked.left]
            return (self.asked.scale * LOG2_E) * self.asked.similarity(cut, self.asked.right, self.asked.shared)

    @staticmethod
    def _exponentials(logits: Tensor, block: Block, reference: Tensor) -> Tensor:
        """Return P, (B, N), zero at the positives, in the place of the logits.

        The last operation of their graph is a multiplication, whose gradient does not need its result.
        """
        p = logits.detach()
        p[:, slice(*block)].diagonal().fill_(-torch.inf)
        return p.sub_(reference).exp2_()

    def _weights(self, sums: Tensor, positives: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
        """Add the loss of some anchors, and return what their exponentials are multiplied by, or None.

        Args:
            sums: (1, A) or (2, A) sums of exponentials over all but the positive, by rows before columns.
            positives: (A,) logits of the positives, to base 2.
            reference: () tensor that the exponentials are relative to.

        Returns:
            The factors, of the shape of `sums`, the gradients by the positives, (A,), and the reference.
        """
        negatives = sums.log2().add_(reference)
        below = reference - torch.logaddexp2(negatives, positives)
        if not bool((below.abs() <= SAFE_RANGE[below.dtype]).all()):
            return None
        weight = _LN_2 / self.rows
        self.value += torch.logaddexp2(negatives - positives, torch.zeros_like(positives)).sum() * (weight / len(sums))
        own = (negatives - reference + below).exp2_().mean(dim=0).neg_()
        factors = below.exp2_().mul_(weight / len(sums))
        if self.asked.smoothing:
            own += self.asked.smoothing * (1 - 1 / self.rows)
        return factors, own.mul_(weight), reference

    def _add_gradients(
        self, block: Block, first: int, weights: tuple[Tensor, Tensor, Tensor], kept: tuple[Tensor, Tensor] | None
    ) -> None:
        factors, own, reference = weights
        if kept is None:
            logits = self._logits(block, graph=True)
            p = self._exponentials(logits, block, reference)
        else:
            logits, p = kept
        rows = slice(block[0] - first, block[1] - first)
        if self.asked.direction == "rows":
            p *= factors[0, rows, None]
        elif self.asked.direction == "columns":
            p *= factors[0]
        else:
            p *= factors[0, rows, None] + factors[1]
        if self.asked.smoothing:
            p -= _LN_2 * self.asked.smoothing / self.rows**2
        p[:, slice(*block)].diagonal().copy_(own[rows])
        if self.inner:
            self._add_products(p, block)
            return
        found = torch.autograd.grad(logits, self.wanted, p, allow_unused=True)
        self._add_up(
            [torch.zeros_like(leaf) if one is None else one for leaf, one in zip(self.wanted, found, strict=True)]
        )

    def _add_products(self, p: Tensor, block: Block) -> None:
        """Add the gradients of inner products, given dL/dT of a block, (B, N)."""
        (left,), (right,), scale = self.asked.left, self.asked.right, self.asked.scale
        own = left.detach()[slice(*block)]
        found: list[Tensor] = []
        if left.requires_grad or scale.requires_grad:
            by_own = p @ right.detach()
        if left.requires_grad:
            scaled = by_own * self.scale2
            if len(own) < self.rows:
                found.append(torch.zeros_like(left.detach()))
                found[0][slice(*block)] = scaled
            else:
                found.append(scaled)
        if right.requires_grad:
            found.append(p.t() @ (own * self.scale2))
        if scale.requires_grad:
            found.append((by_own * own).sum() * LOG2_E)
        self._add_up(found)

    def _add_up(self, found: Sequence[Tensor]) -> None:
        if not self.gradients:
            self.gradients = list(found)
            return
        for total, one in zip(self.gradients, found, strict=True):
            total += one
