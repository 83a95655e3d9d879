"""The paper's image encoder for Symile-M3: a frozen CLIP vision transformer's pooled output and a linear head.

Its features are those of `CLIPVisionModel.pooler_output` (Symile, section 5.2: openai/clip-vit-large-patch14, 1024
numbers). The loader's decoder must be given the model's image size: see `inputs`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..base import DataDescription, FeatureEncoder
from .loading import load_model

# Mean and deviation of CLIP's training images, red, green, blue in [0, 1] (its preprocessor_config.json).
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


class ClipVisionEncoder(FeatureEncoder):
    """A frozen vision transformer and a linear head.

    Args:
        dim: Embedding size D.
        description: Of the data.
        name: Model id or folder.

    Raises:
        SourceError: the model cannot be loaded.
    """

    external = True
    mean: Tensor
    std: Tensor

    def __init__(self, dim: int, description: DataDescription, name: str = "openai/clip-vit-large-patch14") -> None:
        backbone = load_model("CLIPVisionModel", name)
        super().__init__(backbone.config.hidden_size, dim, description)
        self.backbone = backbone.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(STD), persistent=False)

    @property
    def inputs(self) -> dict[str, Any]:
        """Settings with which the loaders' decoder gives images as the model expects them."""
        return {"size": self.backbone.config.image_size}

    def features(self, media: Tensor) -> Tensor:
        """Map (B, S, S, 3) uint8 images to (B, hidden size) features."""
        pixels = (media.to(torch.float32) / 255 - self.mean) / self.std
        pooled: Tensor = self.backbone(pixel_values=pixels.permute(0, 3, 1, 2)).pooler_output
        return pooled
