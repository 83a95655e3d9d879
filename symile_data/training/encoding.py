"""`EncodingModule`: encoders, stand-ins for missing values and layer norms, as a Lightning module without a loss.

A batch is a dict from the loaders with one entry per modality, `missing` (B, M) bool and label columns.

Legend: B rows, M modalities of the dataset, D embedding size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR

from symile_data.encoders import ClassifiedEncoder, DataDescription, FeatureEncoder, LabsEncoder, make_encoder
from symile_data.errors import DamageError, UsageError
from symile_data.format.schema import Modality
from symile_data.losses import NeutralVectors

from .config import TrainConfig
from .features import FeatureFunction

_WARM_UP = 0.1  # fraction of the steps in which the learning rate rises

_CLASSIFIER = "classifier.weight"  # key of the weights of a `ClassifiedEncoder`

_RNG, _CUDA_RNG, _TRAINING = "rng_state", "cuda_rng_state", "training_loss"  # keys in a checkpoint

Batch = Mapping[str, Any]


def module_key(name: str) -> str:
    """Return the key of a module of this name, which is the name itself unless torch refuses it: a key has no dots, is
    not empty, and is no attribute of a ModuleDict.

    >>> [module_key(name) for name in ("image", "v.w", "keys", "100%")]
    ['image', 'v%2Ew', '%keys', '100%25']
    """
    key = name.replace("%", "%25").replace(".", "%2E")
    return f"%{key}" if not key or hasattr(_EMPTY, key) else key


_EMPTY = nn.ModuleDict()


class NamedModules(nn.ModuleDict):
    """Modules by the names of modalities, which may be any text; see `module_key`."""

    def __getitem__(self, name: str) -> nn.Module:
        """Return the module of this name."""
        return super().__getitem__(module_key(name))

    def __setitem__(self, name: str, module: nn.Module) -> None:
        """Add the module, or put it in the place of the one of this name."""
        super().__setitem__(module_key(name), module)


class EncodingModule(lightning.LightningModule):
    """One encoder for each of some modalities; a subclass adds the loss.

    A subclass calls `finish_encoders` once, after the encoders are made.

    Args:
        config: Config of the run.
        modalities: Modalities of the dataset, in the order of the loaders' `missing`.
        vocabularies: Words of each text modality, from the training split.
        pretrained: Modality name -> weights of its pretrained encoder. These encoders are frozen, as are those whose
            weights come from elsewhere. Batches have their features instead of decoded values, and only their heads are
            trained.
        sizes: Modality name -> length of its vectors, for modalities of vectors.
        used: Names of the modalities that are encoded, in the dataset's order; None for all of them.

    Raises:
        UsageError: `missing` is "input" for an encoder in training, whose features have no fixed mean.
    """

    def __init__(
        self,
        config: TrainConfig,
        modalities: Sequence[Modality],
        vocabularies: Mapping[str, Sequence[str]],
        pretrained: Mapping[str, Mapping[str, Tensor]] | None = None,
        sizes: Mapping[str, int] | None = None,
        used: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.modalities = [modality.name for modality in modalities]
        self.names = [name for name in self.modalities if used is None or name in used]
        self.config = config
        self.encoders = NamedModules()
        for modality in modalities:
            if modality.name not in self.names:
                continue
            description = DataDescription(
                size=(sizes or {}).get(modality.name, 0),
                vocabulary=vocabularies.get(modality.name, ()),
                imputed=config.missing == "input",
            )
            settings = config.encoders.get(modality.kind, {})
            self.encoders[modality.name] = make_encoder(modality.kind, config.dim, settings, description)
        self._pretrained = {name: weights for name, weights in (pretrained or {}).items() if name in self.names}
        self._training_loss = torch.zeros(2, dtype=torch.float64)  # sum over the epoch's batches, and their number

    def finish_encoders(self, *, normalise: bool) -> None:
        """Add what goes with the encoders: norms, frozen weights, and what stands for missing values.

        Args:
            normalise: L2-normalise embeddings in place of the layer norm.
        """
        config, self.normalise = self.config, normalise
        self.norms = NamedModules(
            {name: nn.Identity() if self.normalise else nn.LayerNorm(config.dim) for name in self.names}
        )
        self.external = [name for name in self.names if getattr(self.encoders[name], "external", False)]
        self.strict_loading = not self.external
        self.register_state_dict_post_hook(_without_external)  # type: ignore[no-untyped-call]
        self.frozen: frozenset[str] = frozenset({*self._pretrained, *self.external})
        for name, weights in self._pretrained.items():
            self._freeze(name, weights)
        self._pretrained = {}
        self._check_imputation()
        width = (len(self.names), config.dim)
        self.missing = nn.Parameter(self._stand_ins(width)) if config.missing == "embedding" else None
        self.neutral = NeutralVectors(*width) if config.missing == "neutral" else None

    def absent(self, batch: Batch) -> Tensor:
        """Select the columns of `missing` that belong to the encoded modalities: (B, len(names)) bool."""
        missing: Tensor = batch["missing"]
        if self.names == self.modalities:
            return missing
        return missing[:, [self.modalities.index(name) for name in self.names]]

    def embed(self, batch: Batch) -> list[Tensor]:
        """Embed a batch: one tensor (B, D) float32 for each of `names`."""
        embeddings, missing = [], self.absent(batch)
        complete = self.missing is None or not bool(missing.any())
        for position, name in enumerate(self.names):
            encoder, absent = self.encoders[name], missing[:, position]
            if name in self.frozen and isinstance(encoder, FeatureEncoder):
                features = encoder.embed_features(batch[name], absent).float()
            else:
                features = encoder(batch[name], absent).float()
            if self.missing is not None and not complete:
                features = torch.where(absent[:, None], self.missing[position], features)
            elif self.missing is not None and not position:
                # In every batch, so that all ranks have the same gradients to average.
                features = features + 0.0 * self.missing.sum()
            embedding = self.norms[name](features)
            embeddings.append(F.normalize(embedding, dim=1) if self.normalise else embedding)
        return embeddings if self.neutral is None else self.neutral(embeddings, missing)

    def is_finite(self) -> bool:
        """Whether all trained parameters are finite."""
        flags = [parameter.detach().isfinite().all() for parameter in self.parameters() if parameter.requires_grad]
        return bool(torch.stack(flags).all())

    def frozen_features(self) -> dict[str, FeatureFunction]:
        """For each frozen encoder, return the function by which the loaders compute its features."""
        encoders = {name: self.encoders[name] for name in sorted(self.frozen)}
        return {
            name: FeatureFunction(encoder) for name, encoder in encoders.items() if isinstance(encoder, FeatureEncoder)
        }

    def means_wanted(self) -> list[str]:
        """Return the modalities whose encoders replace missing values by a mean of the data; see `fill_means`."""
        return [name for name in self.names if _mean_of(self.encoders[name]) is not None]

    def fixed_features(self, name: str, values: Tensor) -> Tensor:
        """Return the (B, F) features of a modality's values, where only the head of its encoder is trained.

        Args:
            name: Name of the modality.
            values: (B, K) values. For a frozen encoder they already are features (K is F); laboratory values stay
                unchanged.
        """
        encoder = self.encoders[name]
        if name in self.frozen or not isinstance(encoder, FeatureEncoder):
            return values
        features: Tensor = encoder.features(values)
        return features

    def fill_means(self, means: Mapping[str, Tensor]) -> None:
        """Set the means of the training split: modality name -> mean (F,) of its features or of its vectors."""
        for name, mean in means.items():
            buffer = _mean_of(self.encoders[name])
            if buffer is not None:
                buffer.copy_(mean)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move the tensors of a batch to a device. Lightning would also look into every text and label of it."""
        return on_device(batch, device)

    def add_training_loss(self, loss: Tensor) -> None:
        """Count the loss of a batch in the epoch's mean."""
        self._training_loss = self._training_loss.to(loss.device)
        self._training_loss[0] += loss.detach()
        self._training_loss[1] += 1

    def mean_training_loss(self) -> float:
        """Return the mean loss of the epoch's batches so far, those before an interruption included."""
        total, batches = self._training_loss.tolist()
        return float(total / max(batches, 1.0))

    def on_train_epoch_end(self) -> None:
        """Log the mean training loss of the epoch, then reset it."""
        self.log("train_loss", self.mean_training_loss())
        self._training_loss.zero_()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the state of torch's generators, from which dropout draws, and of the epoch's mean loss."""
        checkpoint[_RNG] = torch.get_rng_state()
        checkpoint[_CUDA_RNG] = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        checkpoint[_TRAINING] = self._training_loss.cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the generators, so that a continued run draws the same dropout as an uninterrupted one."""
        torch.set_rng_state(checkpoint[_RNG].cpu())
        if checkpoint[_CUDA_RNG] and len(checkpoint[_CUDA_RNG]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([state.cpu() for state in checkpoint[_CUDA_RNG]])
        self._training_loss.copy_(checkpoint[_TRAINING])

    def configure_optimizers(self) -> Any:
        """Return AdamW, without weight decay on the logit scale and other scalars, and the learning rate's schedule."""
        config = self.config
        learned = [parameter for parameter in self.parameters() if parameter.requires_grad]
        scalars = [parameter for parameter in learned if not parameter.dim()]
        groups = [
            {"params": [parameter for parameter in learned if parameter.dim()], "lr": config.lr},
            {"params": scalars, "lr": config.lr, "weight_decay": 0.0},
        ]
        # One pass over the weights in place of ten. A fused step would undo the scaling of float16's gradients itself.
        fused = config.precision != "16-mixed"
        optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=fused)
        if config.schedule == "constant":
            return optimizer
        schedule = one_cycle(optimizer, config.lr, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _freeze(self, name: str, weights: Mapping[str, Tensor]) -> None:
        """Load a pretrained encoder, keep the fresh weights of its head, and train only the head."""
        encoder = self.encoders[name]
        if _CLASSIFIER in weights and isinstance(encoder, FeatureEncoder):
            description = DataDescription(imputed=self.config.missing == "input")
            encoder = ClassifiedEncoder(encoder, len(weights[_CLASSIFIER]), self.config.dim, description)
            self.encoders[name] = encoder
        new = {key: value for key, value in encoder.state_dict().items() if key.startswith(("head.", "imputation."))}
        try:
            encoder.load_state_dict({**weights, **new})
        except RuntimeError:
            raise DamageError(
                "the weights of a pretrained encoder do not fit it",
                got=name,
                do="remove pretrained.pt beside the run: it is made again",
            ) from None
        for key, parameter in encoder.named_parameters():
            parameter.requires_grad = parameter.requires_grad and key in new

    def _stand_ins(self, width: tuple[int, int]) -> Tensor:
        """Return what the learned vectors of missing values start from, (M, D): zeros, or unit vectors."""
        if not self.normalise:
            return torch.zeros(width)
        # Zeros have no direction, so that they cannot be normalised.
        return F.normalize(torch.randn(width, generator=torch.Generator().manual_seed(self.config.seed)), dim=1)

    def _check_imputation(self) -> None:
        for name in self.names:
            encoder = self.encoders[name]
            if not isinstance(encoder, FeatureEncoder) or encoder.imputation is None:
                continue
            if name not in self.frozen and not encoder.fixed:
                raise UsageError(
                    "missing values cannot be filled in with the mean of features that are still being learned",
                    got=f"{name} with an encoder in training",
                    do='set missing = "embedding" or "neutral", or take a frozen encoder',
                )


def on_device(batch: Batch, device: torch.device) -> dict[str, Any]:
    """Return a batch with its tensors on a device."""
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}


def _without_external(module: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    """Remove frozen weights that come from elsewhere from a state."""
    if isinstance(module, EncodingModule):
        outside = tuple(f"{prefix}encoders.{module_key(name)}.backbone." for name in module.external)
        for key in [key for key in state if outside and key.startswith(outside)]:
            del state[key]


def _mean_of(encoder: nn.Module) -> Tensor | None:
    """Return the buffer of an encoder that has a mean of the data; None where it has none."""
    if isinstance(encoder, LabsEncoder):
        return encoder.mean
    if isinstance(encoder, FeatureEncoder) and encoder.imputation is not None:
        return encoder.imputation.mean
    return None


def one_cycle(optimizer: torch.optim.Optimizer, peak: float, steps: int) -> OneCycleLR:
    """Return torch's one-cycle schedule: the learning rate rises for a tenth of the steps, then falls to nearly zero.

    Args:
        optimizer: Whose learning rates are set, and Adam's first beta with them.
        peak: The largest learning rate.
        steps: Number of steps; of ten or fewer, the first one has the peak.
    """
    share = _WARM_UP
    if share * steps == 1:  # torch divides by the length of the rise, which would be zero
        share = math.nextafter(share, 0)
    return OneCycleLR(optimizer, peak, total_steps=steps, pct_start=share)
