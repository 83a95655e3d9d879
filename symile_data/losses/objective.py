"""`Objective`: a contrastive loss together with the score by which retrieval ranks candidates under it.

An objective is a module that maps M tensors (N, D), row i of each from the same sample, and the scale of the logits to
a () tensor. It owns whatever else it learns: fusion networks, gates, a bias. A new one states `formula` in plain torch
and its score; this class brings the rows of all ranks together, computes in float32 or better also under autocast, and
gives each rank the gradients of its own rows.

Shapes: N rows, D width, M modalities, Q queries, C candidates, K candidates of each query.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from symile_data.errors import UsageError

from .inputs import LossInputs, LossResult, differentiable_loss, differentiate
from .kernels.products import product_of_all, sum_of_all
from .similarity import combined_scores

# The similarity of unit vectors starts with a standard deviation of about this many logits.
_START_SPREAD = 0.5
_CHUNK = 1 << 22  # numbers of one modality's candidates that are scored at a time
_UNIT_TOLERANCE = 0.02  # bfloat16 keeps about two digits
CLIP_SCALE = 1 / 0.07  # the start of CLIP (Radford et al. 2021, section 2.5), for cosines and volumes


@dataclass(frozen=True, kw_only=True)
class BatchShape:
    """What an objective with parameters of its own must know beforehand.

    Args:
        modalities: M.
        dim: D.
        rows: Rows of a batch, on all ranks together.
        seed: Seed of the objective's initial weights and of its shuffles.
    """

    modalities: int
    dim: int
    rows: int
    seed: int = 0


class Objective(nn.Module):
    """Base class of the objectives; subclasses implement `formula`, `tuple_score` and, faster, `scores`.

    Class attributes:
        least, most: Numbers of modalities for which it is defined; `most` is None where there is no limit.
        unit: Whether it is defined for L2-normalised embeddings only.
        learns_scale: Whether it uses the learned scale; otherwise its temperatures are settings.
        takes_missing: Whether it takes the mask of missing modalities and has a policy for them. Other objectives
            compare all rows, with whatever stands in for a missing value.
        takes_groups: Whether it takes group ids of equal values; see `symile_loss`.

    Args:
        gather: Take negatives from the rows of all ranks, where torch.distributed runs; every rank must then call.
    """

    least: ClassVar[int] = 2
    most: ClassVar[int | None] = None
    unit: ClassVar[bool] = False
    learns_scale: ClassVar[bool] = True
    takes_missing: ClassVar[bool] = False
    takes_groups: ClassVar[bool] = False

    def __init__(self, *, gather: bool = False) -> None:
        super().__init__()
        self.gather = gather
        self._unit_checked = False

    @classmethod
    def for_batch(cls, shape: BatchShape, **settings: Any) -> Self:
        """Make the objective for batches of a shape; a subclass with parameters of its own overrides this.

        Args:
            shape: Modalities, width, rows and seed.
            settings: Keyword arguments of the class.

        Raises:
            UsageError: the objective is not defined for so many modalities.
        """
        return cls(**settings)

    def start_scale(self, modalities: int, dim: int, unit: bool) -> float:
        """Return the scale of the logits that training should start with.

        Args:
            modalities: M.
            dim: D.
            unit: Whether embeddings are L2-normalised; otherwise they are layer-normalised, of length sqrt(D).
        """
        return CLIP_SCALE if unit else CLIP_SCALE / dim

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        """Return the loss of the rows of all ranks, differentiable by embeddings, scale and the module's parameters.

        Args:
            embeddings: M tensors (N, D), float32 or float64.
            scale: () tensor of that dtype.
            missing: (N, M) bool, True where absent, or None; only where `takes_missing`.

        Returns:
            () tensor.
        """
        raise NotImplementedError

    def tuple_score(self, embeddings: Sequence[Tensor], target: int) -> Tensor:
        """Return the score of R candidates, each for the query in its own row; a higher score is a better match.

        Args:
            embeddings: M tensors (R, D); that of the target holds the candidates, the others the queries.
            target: Index of the modality that is retrieved.

        Returns:
            (R,).
        """
        raise NotImplementedError

    def scores(self, queries: Mapping[int, Tensor], candidates: Tensor, target: int) -> Tensor:
        """Return the score of every candidate for every query.

        Args:
            queries: Index of each modality but the target -> (Q, D).
            candidates: (C, D).
            target: Index of the modality that is retrieved.

        Returns:
            (Q, C), float32 or better.
        """
        (count, width), rows = candidates.shape, next(iter(queries.values())).shape[0]
        step = max(1, _CHUNK // max(count * width, 1))
        parts = []
        for start in range(0, max(rows, 1), step):
            asked = {m: query[start : start + step] for m, query in queries.items()}
            sets = candidates.expand(min(step, rows - start), count, width)
            parts.append(self.set_scores(asked, sets, target))
        return torch.cat(parts)

    def set_scores(self, queries: Mapping[int, Tensor], candidates: Tensor, target: int) -> Tensor:
        """Return the scores of each query's own candidates.

        Args:
            queries: Index of each modality but the target -> (Q, D).
            candidates: (Q, K, D).
            target: Index of the modality that is retrieved.

        Returns:
            (Q, K), float32 or better.
        """
        rows, count, width = candidates.shape
        wide = torch.promote_types(candidates.dtype, torch.float32)
        every = {m: query.to(wide).repeat_interleave(count, dim=0) for m, query in queries.items()}
        every[target] = candidates.to(wide).reshape(-1, width)
        with self.outside_autocast(candidates):
            return self.tuple_score([every[m] for m in sorted(every)], target).view(rows, count)

    @contextmanager
    def outside_autocast(self, like: Tensor) -> Iterator[None]:
        """Turn autocast off, on the devices of a tensor and of the parameters.

        Args:
            like: Gives one device.
        """
        devices = {"cpu", like.device.type, *(parameter.device.type for parameter in self.parameters())}
        with ExitStack() as stack:
            for device in devices:
                stack.enter_context(torch.autocast(device, enabled=False))
            yield

    def forward(
        self,
        embeddings: Sequence[Tensor],
        logit_scale: Tensor | float,
        groups: Sequence[Tensor | None] | None = None,
        *,
        missing: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of a batch.

        Args:
            embeddings: M tensors (n, D), this rank's rows.
            logit_scale: Scalar that multiplies the similarities.
            groups: Per modality (n,) int64 ids of equal values, or None; only where `takes_groups`.
            missing: (n, M) bool, True where a row lacks a modality, or None; only where `takes_missing`.

        Returns:
            () tensor, float64 for float64 embeddings, else float32. Under `gather` it is the loss of all ranks' rows.

        Raises:
            UsageError: arguments that do not fit, or too few or too many modalities.
        """
        self.check_modalities(len(embeddings))
        if groups is not None and not self.takes_groups:
            raise UsageError(f"{type(self).__name__} takes no groups of equal values", do="leave groups out")
        self.check_mask(missing)
        self._check_unit(embeddings, missing)
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]

        def solve(inputs: LossInputs, wanted: bool) -> LossResult:
            return self._solve(inputs, wanted, parameters, (embeddings, logit_scale))

        return differentiable_loss(
            embeddings,
            logit_scale,
            solve,
            groups=None,
            factor=1.0,
            gather=self.gather,
            missing=missing,
            parameters=parameters,
        )

    def check_mask(self, missing: Tensor | None) -> None:
        """Refuse a mask of missing modalities where the objective has no policy for them, with a `UsageError`."""
        if missing is not None and not self.takes_missing:
            raise UsageError(f"{type(self).__name__} takes no mask of missing modalities", do="leave missing out")

    def _check_unit(self, embeddings: Sequence[Tensor], missing: Tensor | None) -> None:
        """Check once, on the first batch with rows, that the embeddings are L2-normalised where they must be."""
        if not self.unit or self._unit_checked or not embeddings[0].numel():
            return
        self._unit_checked = True
        for m, embedding in enumerate(embeddings):
            lengths = embedding.detach().float().norm(dim=1)
            present = lengths if missing is None else lengths[~missing[:, m]]
            if present.numel() and (present - 1).abs().max() > _UNIT_TOLERANCE:
                raise UsageError(
                    f"{type(self).__name__} is defined for L2-normalised embeddings",
                    got=f"lengths from {present.min():.3g} to {present.max():.3g}",
                    do="normalise each row, with torch.nn.functional.normalize or normalise = true in the config",
                )

    def check_modalities(self, modalities: int) -> None:
        """Check that the objective is defined for so many modalities.

        Raises:
            UsageError: it is not.
        """
        if modalities < self.least or (self.most is not None and modalities > self.most):
            span = f"{self.least}" if self.most == self.least else f"{self.least} to {self.most}"
            wanted = f"{self.least} or more" if self.most is None else span
            raise UsageError(f"{type(self).__name__} is defined for {wanted} modalities", got=modalities)

    def closed_form(self, inputs: LossInputs, wanted: bool) -> LossResult | None:
        """Return value and gradients of one process's rows without autograd, or None to differentiate `formula`.

        `wanted` asks for gradients, too. A small batch spends as much time on autograd's graph as on its numbers. A
        subclass that states another formula does not inherit the closed form.
        """
        return None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "formula" in vars(cls) and "closed_form" not in vars(cls):
            cls.closed_form = Objective.closed_form  # type: ignore[method-assign]

    def _solve(
        self,
        inputs: LossInputs,
        wanted: bool,
        parameters: Sequence[Tensor],
        sources: tuple[Sequence[Tensor], Tensor | float],
    ) -> LossResult:
        """Return the closed form, or differentiate the formula.

        One process alone leaves the formula in the graph of its `sources`, the embeddings and the scale as they came:
        gradients that are computed now, those of own networks among them, are copied once more in the backward pass.
        """
        closed = self.closed_form(inputs, wanted) if inputs.shard.world == 1 else None
        if closed is not None and (not wanted or len(closed.parameter_gradients) == len(parameters)):
            return closed
        if wanted and inputs.shard.world > 1:
            return differentiate(self.formula, inputs, parameters)
        with torch.set_grad_enabled(wanted):
            given = [one.to(inputs.scale.dtype).contiguous() for one in sources[0]] if wanted else inputs.embeddings
            scale = torch.as_tensor(sources[1]).reshape(()).to(inputs.scale) if wanted else inputs.scale
            value = self.formula(given, scale, inputs.missing)
        if wanted and not value.requires_grad:  # no row takes part
            return differentiate(self.formula, inputs, parameters)
        return LossResult(value, [], torch.zeros_like(inputs.scale))


class InnerProductObjective(Objective):
    """An objective whose score is the inner product of a candidate with a vector into which its query is combined."""

    def combine(self, queries: Mapping[int, Tensor], target: int) -> Tensor:
        """Combine the embeddings of queries into one vector each.

        Args:
            queries: Index of each modality but the target -> (Q, D).
            target: Index of the modality that is retrieved.

        Returns:
            (Q, D).
        """
        raise NotImplementedError

    def tuple_score(self, embeddings: Sequence[Tensor], target: int) -> Tensor:
        """Return the inner products of candidates with the combined queries in their rows; see `Objective`."""
        queries = {m: embedding for m, embedding in enumerate(embeddings) if m != target}
        score: Tensor = torch.linalg.vecdot(self.combine(queries, target), embeddings[target])
        return score

    def scores(self, queries: Mapping[int, Tensor], candidates: Tensor, target: int) -> Tensor:
        """Return the inner products of all candidates with all combined queries; see `Objective`."""
        others = sorted(queries)

        def combine(tensors: Sequence[Tensor]) -> Tensor:
            return self.combine(dict(zip(others, tensors, strict=True)), target)

        with self.outside_autocast(candidates):
            return combined_scores([queries[m] for m in others], candidates, combine)

    def set_scores(self, queries: Mapping[int, Tensor], candidates: Tensor, target: int) -> Tensor:
        """Return the inner products of each query's own candidates with it; see `Objective`."""
        wide = torch.promote_types(candidates.dtype, torch.float32)
        with self.outside_autocast(candidates):
            combined = self.combine({m: query.to(wide) for m, query in queries.items()}, target)
            return torch.einsum("qd,qkd->qk", combined, candidates.to(wide))


class ProductObjective(InnerProductObjective):
    """An objective that scores by the multilinear inner product, as Symile does."""

    def start_scale(self, modalities: int, dim: int, unit: bool) -> float:
        """Return the scale at which products of random embeddings have a standard deviation of half a logit.

        Of unit vectors it is D^((M-1)/2) / 2, of layer-normalised ones D^(-1/2) / 2.
        """
        return _START_SPREAD * math.pow(dim, (modalities - 1) / 2 if unit else -0.5)

    def combine(self, queries: Mapping[int, Tensor], target: int) -> Tensor:
        """Return the elementwise product of the queries' embeddings, (Q, D)."""
        return product_of_all([queries[m] for m in sorted(queries)])


class PairwiseObjective(InnerProductObjective):
    """An objective that scores by the sum of pairwise inner products, as CLIP does."""

    def combine(self, queries: Mapping[int, Tensor], target: int) -> Tensor:
        """Return the sum of the queries' embeddings, (Q, D)."""
        return sum_of_all([queries[m] for m in sorted(queries)])
