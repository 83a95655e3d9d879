"""`SupervisedModule`: classifier heads on the encoders of a config, as a Lightning module.

Every fusion has the same head: a hidden layer of D units with GELU, then the logits of all classes of all labels.

- unimodal: the head on the embedding of one modality. Rows that lack it have no loss.
- early: the head on the concatenated embeddings, in which something learned stands for a missing modality.
- late: a head for each modality, which learns from the loss of its own logits alone; the logits of a row are the mean
  over the modalities that it has.

The loss is the cross-entropy, averaged over all pairs of a row and a label that it has. The figures of the validation
are this loss of the fused logits, and the mean over labels of the accuracy.

Legend: B rows, L labels, C classes of all labels together, D embedding size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from symile_data.errors import UsageError
from symile_data.format.schema import Modality
from symile_data.training.config import TrainConfig
from symile_data.training.encoding import Batch, EncodingModule, NamedModules
from symile_data.training.ranks import sum_of_all_ranks

from .config import EARLY, SupervisedConfig
from .targets import NO_CLASS, Targets

_FUSED = "fused"  # the key of the head of early fusion


class SupervisedModule(EncodingModule):
    """The encoders that a baseline sees, with its heads; the other arguments are those of `EncodingModule`.

    Args:
        classes: Label -> its classes, in the order of `config.supervised.labels`.

    Raises:
        UsageError: the config is of no supervised baseline, or the dataset lacks its modality.
    """

    def __init__(
        self,
        config: TrainConfig,
        modalities: Sequence[Modality],
        vocabularies: Mapping[str, Sequence[str]],
        pretrained: Mapping[str, Mapping[str, Tensor]] | None = None,
        sizes: Mapping[str, int] | None = None,
        *,
        classes: Mapping[str, Sequence[str]],
    ) -> None:
        if config.supervised is None or list(classes) != list(config.supervised.labels):
            raise UsageError("the config names no supervised baseline of these labels", got=", ".join(classes))
        self.baseline: SupervisedConfig = config.supervised
        used = self.baseline.modalities([modality.name for modality in modalities])
        super().__init__(config, modalities, vocabularies, pretrained, sizes, used)
        self.finish_encoders(normalise=bool(config.normalise))
        self.sizes = [len(values) for values in classes.values()]
        keys = [_FUSED] if self.baseline.fusion == EARLY else self.names
        width = config.dim * (len(self.names) if self.baseline.fusion == EARLY else 1)
        self.heads = NamedModules({key: _head(width, config.dim, sum(self.sizes)) for key in keys})
        self.targets: Targets | None = None  # of the rows to train and validate on; the workflow sets it
        self._validation = torch.zeros(len(self.sizes), 3, dtype=torch.float64)  # sums of loss, hits and rows by label

    def logits(self, batch: Batch) -> tuple[list[Tensor], Tensor]:
        """Compute logits (B, C) of each head, and which rows each head may judge, (B, heads) bool."""
        embeddings, absent = self.embed(batch), self.absent(batch)
        if self.baseline.fusion == EARLY:
            logits = self.heads[_FUSED](torch.cat(embeddings, dim=1))
            return [logits], torch.ones_like(absent[:, :1])
        return [self.heads[name](value) for name, value in zip(self.names, embeddings, strict=True)], ~absent

    def fused(self, logits: Sequence[Tensor], judged: Tensor) -> Tensor:
        """Average the logits of the heads that may judge a row, (B, C); zeros where none may."""
        weights = judged.to(logits[0].dtype)
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1.0)
        return torch.stack([one * weight[:, None] for one, weight in zip(logits, weights.T, strict=True)]).sum(dim=0)

    def probabilities(self, batch: Batch) -> list[Tensor]:
        """Predict the rows of a batch: for each label (B, its classes) float64, on the CPU."""
        fused = self.fused(*self.logits(batch))
        return [one.double().softmax(dim=1).cpu() for one in self._by_label(fused)]

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """Return the loss of one batch, over the rows of all ranks."""
        logits, judged = self.logits(batch)
        known = self._known(batch)
        sums = torch.stack(
            [self._losses(one, _only(rows, known)).sum(dim=0) for one, rows in zip(logits, judged.T, strict=True)]
        ).sum(dim=0)
        own = torch.stack([sums[0].detach(), sums[2].detach(), torch.ones_like(sums[2])])
        total, pairs, ranks = sum_of_all_ranks(own.double())
        self.add_training_loss(total / pairs.clamp(min=1.0))
        # DDP takes the mean of the ranks' gradients.
        loss: Tensor = sums[0] * (ranks / pairs.clamp(min=1.0)).to(sums.dtype)
        return loss

    def validation_step(self, batch: Batch, _index: int) -> None:
        """Add up the losses and hits of one batch of the validation split."""
        logits, judged = self.logits(batch)
        known = _only(judged.any(dim=1), self._known(batch))
        self._validation += self._losses(self.fused(logits, judged), known).double().cpu()

    def on_validation_epoch_end(self) -> None:
        """Log the mean loss and the mean over labels of the accuracy."""
        sums = sum_of_all_ranks(self._validation.to(self.device)).cpu()
        self._validation = torch.zeros_like(self._validation)
        rows = sums[:, 2]
        self.log("val_loss", (sums[:, 0].sum() / rows.sum().clamp(min=1.0)).float())
        self.log("val_accuracy", (sums[:, 1][rows > 0] / rows[rows > 0]).mean().nan_to_num(0.0).float())

    def _known(self, batch: Batch) -> Tensor:
        if self.targets is None:
            raise UsageError("a baseline is trained without the classes of its rows", do="set its targets first")
        return _only(~batch["padding"], self.targets.of_batch(batch["sample_id"]))

    def _by_label(self, logits: Tensor) -> list[Tensor]:
        """Part logits (B, C) into those of each label, (B, its classes)."""
        ends = list(accumulate(self.sizes))
        return [logits[:, end - size : end] for end, size in zip(ends, self.sizes, strict=True)]

    def _losses(self, logits: Tensor, known: Tensor) -> Tensor:
        """Sum over rows: for each label its cross-entropies, right predictions and rows, (L, 3)."""
        sums = []
        for column, part in enumerate(self._by_label(logits)):
            labels = known[:, column]
            rows = labels != NO_CLASS
            loss = F.cross_entropy(part, labels, ignore_index=NO_CLASS, reduction="sum")
            hits = (part.argmax(dim=1) == labels)[rows].sum()
            sums.append(torch.stack([loss, hits.to(loss.dtype), rows.sum().to(loss.dtype)]))
        return torch.stack(sums)


def _head(width: int, hidden: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, classes))


def _only(rows: Tensor, known: Tensor) -> Tensor:
    """Take the classes (B, L) away from all but the chosen rows (B,)."""
    return known.masked_fill(~rows[:, None], NO_CLASS)
