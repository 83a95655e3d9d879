"""Any vision model of transformers as a frozen image encoder with a linear head: DINOv2, SigLIP, ViT, ConvNeXt, ...

Its features are the model's own pooled output, else the mean of its last hidden states over all tokens or all places of
the map. Images are prepared as the model's preprocessor_config.json says: its centre square at that size, rescaled and
normalised. `clip` is the paper's model of this kind.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from symile_data.errors import SourceError

from ..base import DataDescription, FeatureEncoder
from .loading import load_model
from .preparation import image_preparation

_USUAL_SIZE = 224  # for models that take images of any size


class VisionEncoder(FeatureEncoder):
    """A frozen vision model and a linear head.

    The constructor passes two equal images through the model: their features give the width, and show whether the model
    is of any use here.

    Args:
        dim: Embedding size D.
        description: Of the data.
        name: Model id or folder.

    Raises:
        SourceError: the model cannot be loaded, is no model of images, or gives no features for an image alone, or
            others each time.
    """

    external = True
    mean: Tensor
    std: Tensor

    def __init__(self, dim: int, description: DataDescription, name: str = "facebook/dinov2-base") -> None:
        whole = load_model("AutoModel", name)
        backbone = getattr(whole, "vision_model", whole)  # the image half of a model of images and texts
        if getattr(backbone, "main_input_name", "pixel_values") != "pixel_values":
            raise SourceError("the pretrained model is no model of images", where=name, got=whole.config.model_type)
        prepared = image_preparation(name)
        expected = getattr(backbone.config, "image_size", None)
        size = prepared.size or (expected if isinstance(expected, int) else _USUAL_SIZE)
        super().__init__(_width(backbone, size, name), dim, description)
        self.backbone = backbone.requires_grad_(False)
        self._size, self._flipped = size, prepared.flipped
        self.register_buffer("mean", torch.tensor(prepared.mean), persistent=False)
        self.register_buffer("std", torch.tensor(prepared.std), persistent=False)

    @property
    def inputs(self) -> dict[str, Any]:
        """Settings with which the loaders' decoder gives images as the model expects them."""
        return {"size": self._size}

    def features(self, media: Tensor) -> Tensor:
        """Map (B, S, S, 3) uint8 images to (B, width) features."""
        pixels = (media.to(torch.float32) / 255 - self.mean) / self.std
        pixels = pixels.flip(3) if self._flipped else pixels
        pooled: Tensor = _pooled(self.backbone(pixel_values=pixels.permute(0, 3, 1, 2)))
        return pooled


def _pooled(output: Any) -> Any:
    """Return (B, F) features from a model's output; anything else where it has none that can be pooled."""
    found = getattr(output, "pooler_output", None)
    if found is None:
        found = getattr(output, "last_hidden_state", None)
    if not isinstance(found, Tensor):
        return None
    if found.dim() == 4:  # (B, F, height, width), one place in the pooled output of residual networks
        return found.mean(dim=(2, 3))
    return found.mean(dim=1) if found.dim() == 3 else found  # (B, tokens, F)


def _width(backbone: Any, size: int, name: str) -> int:
    """Return the number of features, from two equal images of `size` pixels that grow lighter from top to bottom."""
    said = None
    image = torch.linspace(-1, 1, size * size).view(size, size)
    try:
        with torch.inference_mode():
            output = backbone.eval()(pixel_values=image.expand(2, 3, size, size))
        features = _pooled(output)
    except Exception as error:  # a model that wants more than an image, or another size: errors of a dozen families
        said = f"{type(error).__name__}: {str(error).strip().split(chr(10))[0]}"
    else:
        if features is None:
            said = f"the outputs {', '.join(output)}" if hasattr(output, "keys") else type(output).__name__
        elif features.dim() != 2 or len(features) != 2:
            said = f"features of shape {tuple(features.shape)} for 2 images"
        elif not features.isfinite().all():
            said = "numbers that are not finite"
        elif not torch.allclose(features[0], features[1], rtol=1e-3, atol=1e-4):
            said = "different features for two equal images"
    if said is not None:
        raise SourceError(
            f"the pretrained model gives no usable features for a test image of {size} x {size} pixels",
            where=name,
            got=said,
            do="choose a model that maps an image alone to pooler_output or last_hidden_state",
        )
    return int(cast(Tensor, features).shape[1])
