"""Train heads on features of frozen encoders: each unique image and audio clip is encoded once, not once for each row.

The encoders here are two small computations; put any frozen network in their place. In a dataset that
`symile-data embed` wrote, the features are there already and are used as they are. Run it:
python examples/finetune_from_features.py build/symile-m3-10
"""

import sys

import torch
from torch import nn
from torch.nn import functional as F

from symile_data.encoders.base import DataDescription
from symile_data.encoders.text import WordEncoder, vocabulary_of
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, Variation, open_split
from symile_data.losses import SymileLoss

WIDTH = 64  # of the embeddings


class Patches:
    """Encode images (U, 64, 64, 3) uint8 as (U, 192): the colours of 8 x 8 patches."""

    key = "patches of 8, version 1"  # names the features in a cache; change it with the encoder

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Encode a chunk of decoded values to features, one row each."""
        planes = images.permute(0, 3, 1, 2).float() / 255
        return F.adaptive_avg_pool2d(planes, 8).flatten(1)


class Bands:
    """Encode log-mel audio (U, 80, T) as (U, 160): the mean and spread of each band over time."""

    key = "bands, version 1"

    def __call__(self, audio: torch.Tensor) -> torch.Tensor:
        """Encode a chunk of decoded values to features, one row each."""
        return torch.cat([audio.mean(dim=2), audio.std(dim=2)], dim=1)


class Heads(nn.Module):
    """One small head for each modality: the part that is trained."""

    def __init__(self, vocabulary: list[str]) -> None:
        super().__init__()
        self.image, self.audio = nn.LazyLinear(WIDTH), nn.LazyLinear(WIDTH)
        self.text = WordEncoder(WIDTH, DataDescription(vocabulary=vocabulary))
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(3)])

    def forward(self, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Map features to three (B, WIDTH) embeddings."""
        embeddings = [self.image(batch["image"]), self.audio(batch["audio"]), self.text(batch["text"])]
        return [norm(embedding) for norm, embedding in zip(self.norms, embeddings, strict=True)]


def main(directory: str, epochs: int = 20, batch_size: int = 256) -> list[float]:
    """Train the heads, and return the mean loss of each epoch."""
    torch.manual_seed(0)
    split = open_split(directory, "train")
    media = {modality.name for modality in split.modalities if modality.kind != "features"}
    transforms = {"image": ImageSettings(size=64), "audio": AudioSettings(seconds=3.0, n_mels=80)}
    encoders: dict[str, Patches | Bands] = {"image": Patches(), "audio": Bands()}
    batches = BatchLoader(
        split,
        min(batch_size, split.rows),
        seed=0,
        transforms={name: transforms[name] for name in media & transforms.keys()},
        cache=True,  # or a directory, which keeps the decoded media for the next run
        encoders={name: encoders[name] for name in media & encoders.keys()},
        variation=Variation(redraw_words=True),  # a small fixed M3 is memorised, not learned
    )
    heads = Heads(vocabulary_of(split.read_all(["text"])["text"].to_pylist()))
    logit_scale = nn.Parameter(torch.tensor(-3.0))
    heads(next(iter(batches)))  # lets the lazy layers see their input
    optimiser = torch.optim.AdamW([*heads.parameters(), logit_scale], lr=3e-3)
    loss = SymileLoss(negatives="n", seed=0)
    history = []
    for _ in range(epochs):
        values = []
        for batch in batches:
            complete = ~batch["missing"].any(dim=1)  # missing modalities: see missing_modalities.py
            embeddings = [embedding[complete] for embedding in heads(batch)]
            value = loss(embeddings, logit_scale.exp())
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            values.append(value.item())
        history.append(sum(values) / len(values))
    print(f"loss {history[0]:.3f} in the first epoch, {history[-1]:.3f} in the last")
    return history


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "build/symile-m3-10")
