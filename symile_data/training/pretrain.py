"""Pretrain small encoders on the training split's labels, as a replacement for the paper's pretrained ones.

The paper trains heads on frozen features of Whisper and CLIP. Where no pretrained weights are available, the small
image and audio encoders are first trained to predict labels of the training split (the image's class, the audio's
language), then frozen; the contrastive training that follows uses only their features, as in the paper. Symile and CLIP
start from the same features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from symile_data.encoders import ClassifiedEncoder, DataDescription, FeatureEncoder, make_encoder
from symile_data.errors import UsageError
from symile_data.format.schema import Modality
from symile_data.progress import stage

from .config import PretrainConfig, TrainConfig
from .encoding import one_cycle
from .features import REDUCED, fast_precision
from .finite import diverged

_LABEL_SMOOTHING = 0.1  # keeps features of one class together


def pretrain(
    config: TrainConfig,
    settings: PretrainConfig,
    modalities: Sequence[Modality],
    batches: Any,
    label_values: Mapping[str, Sequence[Any]],
) -> dict[str, dict[str, Tensor]]:
    """Train encoders to predict their labels, all on the same batches or some on every few of them.

    Args:
        config: Config of the run, of which `encoders`, `dim` and `seed` are used.
        settings: Settings of the pretraining.
        modalities: Modalities of the dataset.
        batches: Iterable with a length that gives one epoch each time, with the modalities and their label columns.
        label_values: Modality name -> the distinct values of its label column.

    Returns:
        Modality name -> weights of its encoder, or of a `ClassifiedEncoder`, whose classifier they include, where the
        settings ask for probabilities.

    Raises:
        SymileDataError: the loss is not finite.
        UsageError: a kind of modality has no encoder that can be pretrained.
    """
    lightning.seed_everything(config.seed, verbose=False)
    kinds = {modality.name: modality.kind for modality in modalities}
    encoders = {name: _backbone(config, kinds[name]) for name in settings.labels}
    positions = [modality.name for modality in modalities]
    labels = {name: {value: i for i, value in enumerate(values)} for name, values in label_values.items()}
    classifiers = {name: nn.Linear(encoder.feature_size, len(labels[name])) for name, encoder in encoders.items()}
    networks = nn.ModuleList([*encoders.values(), *classifiers.values()])
    optimizer = torch.optim.AdamW(networks.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    steps = settings.epochs * len(batches)
    schedule = one_cycle(optimizer, settings.lr, steps)
    reduced = REDUCED[fast_precision(torch.device("cpu"))]
    with stage("pretraining encoders", settings.epochs, "epochs") as advance:
        for _ in range(settings.epochs):
            for number, batch in enumerate(batches):
                loss = torch.zeros(())
                for name, column in settings.labels.items():
                    if number % settings.intervals.get(name, 1):
                        continue
                    present = ~batch["missing"][:, positions.index(name)]
                    target = torch.tensor([labels[name][value] for value in _values(batch[column])])[present]
                    with torch.autocast("cpu", reduced, enabled=reduced != torch.float32):
                        features = encoders[name].features(batch[name][present])
                    guess = classifiers[name](features.float())
                    loss = loss + F.cross_entropy(guess, target, label_smoothing=_LABEL_SMOOTHING)
                if not loss.isfinite():
                    step, rate = schedule.last_epoch + 1, float(schedule.get_last_lr()[0])
                    raise diverged("loss of the pretraining", step, rate, loss.item(), "lower lr in [pretrain]")
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
            advance()
    if settings.features == "backbone":
        return {name: encoder.state_dict() for name, encoder in encoders.items()}
    return {name: _classified(encoder, classifiers[name]) for name, encoder in encoders.items()}


def _classified(encoder: FeatureEncoder, classifier: nn.Linear) -> dict[str, Tensor]:
    whole = ClassifiedEncoder(encoder, classifier.out_features, 1, DataDescription())
    whole.classifier = classifier
    return {key: value for key, value in whole.state_dict().items() if not key.startswith("head.")}


def _backbone(config: TrainConfig, kind: str) -> FeatureEncoder:
    encoder = make_encoder(kind, config.dim, config.encoders.get(kind, {}))
    if not isinstance(encoder, FeatureEncoder):
        raise UsageError("this kind of modality has no encoder that can be pretrained", got=kind)
    return encoder


def _values(column: Tensor | list[Any]) -> list[Any]:
    return column.tolist() if isinstance(column, Tensor) else column
