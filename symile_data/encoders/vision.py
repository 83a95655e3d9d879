"""Any vision model of transformers as a frozen image encoder with a linear head: DINOv2, SigLIP, ViT, ResNet, ...

Its features are the model's own pooled output, else the mean over its last hidden states. Pictures are normalised as
the model's preprocessor_config.json says. `clip` is the paper's model of this kind.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symile_data.errors import SourceError

from .base import DataDescription, FeatureEncoder
from .pretrained import load_model, transformers_class

_USUAL_SIZE = 224  # for models that take images of any size


class VisionEncoder(FeatureEncoder):
    """A frozen vision model and a linear head.

    Args:
        dim: Embedding size D.
        description: Of the data.
        name: Model id or folder.

    Raises:
        SourceError: the model cannot be loaded, or is no model of images.
    """

    external = True
    mean: Tensor
    std: Tensor

    def __init__(self, dim: int, description: DataDescription, name: str = "facebook/dinov2-base") -> None:
        whole = load_model("AutoModel", name)
        backbone = getattr(whole, "vision_model", whole)  # the image half of a model of images and texts
        if backbone.main_input_name != "pixel_values":
            raise SourceError("the pretrained model is no model of images", where=name, got=backbone.config.model_type)
        super().__init__(_width(backbone.config), dim, description)
        self.backbone = backbone.requires_grad_(False)
        prepared = _preparation(name)
        self.register_buffer("mean", torch.tensor(prepared["image_mean"]), persistent=False)
        self.register_buffer("std", torch.tensor(prepared["image_std"]), persistent=False)

    @property
    def inputs(self) -> dict[str, Any]:
        """Settings with which the loaders' decoder gives images as the model expects them."""
        size = getattr(self.backbone.config, "image_size", None)
        return {"size": size if isinstance(size, int) else _USUAL_SIZE}

    def features(self, media: Tensor) -> Tensor:
        """Map (B, S, S, 3) uint8 images to (B, width) features."""
        pixels = (media.to(torch.float32) / 255 - self.mean) / self.std
        output = self.backbone(pixel_values=pixels.permute(0, 3, 1, 2))
        pooled: Tensor | None = getattr(output, "pooler_output", None)
        return output.last_hidden_state.mean(dim=1) if pooled is None else pooled.flatten(1)


def _width(settings: Any) -> int:
    sizes = getattr(settings, "hidden_sizes", None)
    return int(sizes[-1] if sizes else settings.hidden_size)


def _preparation(name: str) -> dict[str, Any]:
    try:
        values: dict[str, Any] = transformers_class("ImageProcessingMixin").get_image_processor_dict(name)[0]
        return {key: [float(number) for number in values[key]] for key in ("image_mean", "image_std")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            "the pretrained model does not say how its images are normalised",
            where=name,
            got=str(error).strip().split("\n")[0],
            do="add image_mean and image_std to preprocessor_config.json in its folder",
        ) from None
