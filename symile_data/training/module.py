"""`SymileModule`: the encoders of all modalities with logit scale and contrastive loss, as a Lightning module.

Validation collects the embeddings of the whole split, from all ranks, and measures zero-shot retrieval
(`symile_data.evaluation.retrieval`).

Legend: B rows, M modalities, D embedding size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from symile_data.errors import UsageError
from symile_data.evaluation.embeddings import Embeddings, candidate_sets, label_numbers
from symile_data.evaluation.retrieval import Retrieval, retrieval_accuracy
from symile_data.format.schema import Modality, joined_names
from symile_data.losses import missing_groups

from .config import TrainConfig
from .encoding import Batch, EncodingModule
from .objective import config_objective
from .ranks import gathered, rows_of_all_ranks

CANDIDATES = "candidates"  # column with the labels of the rows among which a row retrieves


class SymileModule(EncodingModule):
    """One encoder per modality and a contrastive loss over all of them; the arguments are those of `EncodingModule`.

    Raises:
        UsageError: the dataset lacks the modality to retrieve or has too few modalities; or `missing` is "input" for
            an encoder in training, whose features have no fixed mean.
    """

    def __init__(
        self,
        config: TrainConfig,
        modalities: Sequence[Modality],
        vocabularies: Mapping[str, Sequence[str]],
        pretrained: Mapping[str, Mapping[str, Tensor]] | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        check_modalities([modality.name for modality in modalities], config)
        super().__init__(config, modalities, vocabularies, pretrained, sizes)
        loss, normalise = config_objective(config, len(self.names))
        self.finish_encoders(normalise=normalise)
        start = config.logit_scale_init
        if start is None:
            start = math.log(loss.start_scale(len(self.names), config.dim, self.normalise))
        self.logit_scale = nn.Parameter(torch.tensor(float(start)), requires_grad=loss.learns_scale)
        self.loss = loss
        self._validation: list[Embeddings] = []
        self._validation_loss: list[tuple[float, int]] = []  # loss of each batch, and its rows on all ranks

    @property
    def retrieval(self) -> Retrieval:
        """The retrieval protocol of the validation accuracy."""
        config = self.config
        return Retrieval(target=config.target, objective=self.loss, candidates=config.candidates)

    def scale(self) -> Tensor:
        """Return the factor of the logits, a () tensor."""
        scale = self.logit_scale.exp()
        return scale.clamp(max=self.config.logit_scale_max) if self.config.logit_scale_max else scale

    def embedded(self, batch: Batch, label: str | None = None) -> Embeddings:
        """Embed the rows of a batch that have every modality, with their labels.

        Args:
            batch: Batch from a loader.
            label: Column of the labels, or a modality's name for its values; the config's where not given.
        """
        return self._complete(batch, self.embed(batch), label or self.config.label)

    def _complete(self, batch: Batch, embeddings: Sequence[Tensor], label: str) -> Embeddings:
        rows = (~batch["missing"].any(dim=1) & ~batch["padding"]).cpu()
        values = {name: value.detach().cpu()[rows] for name, value in zip(self.names, embeddings, strict=True)}
        sets = candidate_sets(batch[CANDIDATES], self.config.candidates) if CANDIDATES in batch else None
        labels = label_numbers(batch[label]).cpu()
        return Embeddings(values, labels[rows], None if sets is None else sets[rows])

    def _loss(self, embeddings: Sequence[Tensor], missing: Tensor) -> Tensor:
        groups = missing_groups(missing) if self.config.group_missing else None
        mask = missing if self.loss.takes_missing else None
        loss: Tensor = self.loss(embeddings, self.scale(), groups, missing=mask)
        return loss

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """Return the loss of one batch, over the rows of all ranks."""
        loss = self._loss(self.embed(batch), batch["missing"])
        self.add_training_loss(loss)
        return loss

    def validation_step(self, batch: Batch, _index: int) -> None:
        """Embed one batch of the validation split."""
        embeddings = self.embed(batch)
        real = ~batch["padding"]
        loss = self._loss([embedding[real] for embedding in embeddings], batch["missing"][real])
        self._validation_loss.append((loss.item(), rows_of_all_ranks(int(real.sum()), self.device)))
        self._validation.append(self._complete(batch, embeddings, self.config.label))

    def on_validation_epoch_end(self) -> None:
        """Measure retrieval among all complete validation rows."""
        embedded, self._validation = gathered(Embeddings.join(self._validation), self.device), []
        losses, self._validation_loss = self._validation_loss, []
        self.log("val_loss", sum(loss * rows for loss, rows in losses) / sum(rows for _, rows in losses))
        self.log("val_accuracy", retrieval_accuracy(embedded, self.retrieval))
        self.log("logit_scale", self.scale().detach())


def check_modalities(names: Sequence[str], config: TrainConfig) -> None:
    """Check that a dataset with these modalities can be trained on.

    Raises:
        UsageError: the dataset has too few, or lacks one that the config retrieves, pretrains or redraws.
    """
    if len(names) < 2:
        raise UsageError("a contrastive loss needs at least two modalities", got=", ".join(names))
    pretrained = () if config.pretrain is None else config.pretrain.labels
    for verb, wanted in (
        ("retrieves", [config.target]),
        ("pretrains", pretrained),
        ("redraws", [part for name in config.resample_within_class for part in joined_names(name)]),
    ):
        for name in wanted:
            if name not in names:
                raise UsageError(
                    f"the dataset lacks the modality that the config {verb}", got=name, do=f"it has {', '.join(names)}"
                )
