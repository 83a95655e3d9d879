"""`SymileModule`: encoders, missing-value embeddings, layer norms, logit scale and loss for any dataset of ours, in
Lightning.

A batch is what the loaders give: a dict with one entry per modality, `missing` (B, M) bool and label columns.
Validation collects the embeddings of the whole split and measures zero-shot retrieval
(`symile_data.evaluation.retrieval`).

Legend: B rows, M modalities, D embedding size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from symile_data.encoders import FeatureEncoder, make_encoder
from symile_data.errors import UsageError
from symile_data.evaluation.retrieval import Embedded, retrieval_accuracy
from symile_data.losses import ClipLoss, SymileLoss
from symile_data.schema import Modality
from symile_data.training.config import TrainConfig
from symile_data.training.pretrain import feature_function

_WARM_UP = 0.1  # share of the steps in which the learning rate rises

_RNG = "rng_state"  # key in a checkpoint

Batch = Mapping[str, Any]


class SymileModule(lightning.LightningModule):
    """One encoder per modality and a contrastive loss over all of them.

    Args:
        config: Of the run.
        modalities: Of the dataset, in the order of the loaders' `missing`.
        vocabularies: Words of each text modality, from the training split.
        pretrained: Modality name -> weights of its pretrained encoder. These encoders are frozen, and batches hold
            their features instead of decoded media; only their heads are trained.

    Raises:
        UsageError: the dataset lacks the modality to retrieve, or has too few.
    """

    def __init__(
        self,
        config: TrainConfig,
        modalities: Sequence[Modality],
        vocabularies: Mapping[str, Sequence[str]],
        pretrained: Mapping[str, Mapping[str, Tensor]] | None = None,
    ) -> None:
        super().__init__()
        self.names = [modality.name for modality in modalities]
        if len(self.names) < 2:
            raise UsageError("a contrastive loss needs at least two modalities", got=", ".join(self.names))
        if config.target not in self.names:
            raise UsageError(
                "the dataset lacks the modality that the config retrieves",
                got=config.target,
                do=f"it has {', '.join(self.names)}",
            )
        self.config = config
        encoders, norms = {}, {}
        for modality in modalities:
            settings = dict(config.encoders.get(modality.kind, {}))
            if modality.name in vocabularies:
                settings["vocabulary"] = vocabularies[modality.name]
            encoders[modality.name] = make_encoder(modality.kind, config.dim, settings)
            norms[modality.name] = nn.Identity() if config.normalise else nn.LayerNorm(config.dim)
        self.encoders, self.norms = nn.ModuleDict(encoders), nn.ModuleDict(norms)
        self.frozen = frozenset(pretrained or {})
        for name, weights in (pretrained or {}).items():
            self._freeze(name, weights)
        # What stands in for the features of a missing value.
        self.missing = nn.Parameter(torch.zeros(len(self.names), config.dim))
        self.logit_scale = nn.Parameter(torch.tensor(float(config.logit_scale_init)))
        self.loss: nn.Module = (
            SymileLoss(config.negatives, shuffles=config.shuffles, seed=config.seed, gather=True)
            if config.loss == "symile"
            else ClipLoss(gather=True)
        )
        self._validation: list[Embedded] = []

    def embed(self, batch: Batch) -> list[Tensor]:
        """Embeddings of a batch: M tensors (B, D), float32."""
        embeddings = []
        for position, name in enumerate(self.names):
            encoder = self.encoders[name]
            if name in self.frozen and isinstance(encoder, FeatureEncoder):
                features = encoder.embed_features(batch[name]).float()
            else:
                features = encoder(batch[name]).float()
            absent = batch["missing"][:, position, None]
            if absent.any():
                features = torch.where(absent, self.missing[position], features)
            embedding = self.norms[name](features)
            embeddings.append(F.normalize(embedding, dim=1) if self.config.normalise else embedding)
        return embeddings

    def frozen_features(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """For each frozen encoder the function that makes features of decoded media, for the loaders."""
        encoders = {name: self.encoders[name] for name in sorted(self.frozen)}
        return {
            name: feature_function(encoder) for name, encoder in encoders.items() if isinstance(encoder, FeatureEncoder)
        }

    def _freeze(self, name: str, weights: Mapping[str, Tensor]) -> None:
        """Load a pretrained encoder, start its head anew, and let nothing but the head learn."""
        encoder = self.encoders[name]
        head = {key: value for key, value in encoder.state_dict().items() if key.startswith("head.")}
        encoder.load_state_dict({**weights, **head})
        for key, parameter in encoder.named_parameters():
            parameter.requires_grad = key.startswith("head.")

    def embedded(self, batch: Batch) -> Embedded:
        """Embeddings and labels of the rows of a batch that have every modality."""
        return self._complete(batch, self.embed(batch))

    def _complete(self, batch: Batch, embeddings: Sequence[Tensor]) -> Embedded:
        rows = ~batch["missing"].any(dim=1) & ~batch["padding"]
        values = {name: value[rows] for name, value in zip(self.names, embeddings, strict=True)}
        return Embedded(values, batch[self.config.label][rows])

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """The loss of one batch."""
        loss: Tensor = self.loss(self.embed(batch), self.logit_scale.exp())
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch["missing"]))
        return loss

    def validation_step(self, batch: Batch, _index: int) -> None:
        """Embed one batch of the validation split."""
        embeddings = self.embed(batch)
        loss = self.loss(embeddings, self.logit_scale.exp())
        self.log("val_loss", loss, on_epoch=True, batch_size=len(batch["missing"]))
        self._validation.append(self._complete(batch, embeddings))

    def on_validation_epoch_end(self) -> None:
        """Measure retrieval among all complete validation rows."""
        embedded, self._validation = Embedded.join(self._validation), []
        accuracy = retrieval_accuracy(embedded, self.config.target, self.config.loss)
        self.log("val_accuracy", accuracy, prog_bar=True)
        self.log("logit_scale", self.logit_scale.exp())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the state of torch's generator, from which dropout draws."""
        checkpoint[_RNG] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let a continued run draw the dropout that an undisturbed one would have drawn."""
        torch.set_rng_state(checkpoint[_RNG].cpu())

    def configure_optimizers(self) -> Any:
        """AdamW; no weight decay on the logit scale."""
        config = self.config
        others = [
            parameter
            for name, parameter in self.named_parameters()
            if name != "logit_scale" and parameter.requires_grad
        ]
        groups = [
            {"params": others, "lr": config.lr},
            {"params": [self.logit_scale], "lr": config.lr, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        if config.schedule == "constant":
            return optimizer
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=config.lr,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=_WARM_UP,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
