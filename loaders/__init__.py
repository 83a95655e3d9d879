"""Loaders: open a dataset, order it, decode it, batch it, continue it.

    split = open_split("build/symile-m3-2", "train")
    loader = BatchLoader(split, batch_size=256, seed=0, transforms={"image": ImageSettings(size=224)})
    for batch in loader:
        ...

`BatchLoader` and `MediaCache` need torch and are imported when first asked for; opening a split does not. Views for
torch's DataLoader and for Lightning are `symile_data.loaders.torch_view` and `symile_data.loaders.datamodule`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .audio import AudioSettings
from .augment import ImageAugment, ImageCrop, ImageJitter
from .dataset import Split, open_split
from .decode import StoredSettings, TextSettings, VectorSettings
from .ecg import EcgSettings
from .image import ImageSettings
from .labs import LabsSettings, mean_percentiles

if TYPE_CHECKING:
    from .cache import MediaCache
    from .loader import BatchLoader

__all__ = [
    "AudioSettings",
    "BatchLoader",
    "EcgSettings",
    "ImageAugment",
    "ImageCrop",
    "ImageJitter",
    "ImageSettings",
    "LabsSettings",
    "MediaCache",
    "Split",
    "StoredSettings",
    "TextSettings",
    "VectorSettings",
    "mean_percentiles",
    "open_split",
]


def __getattr__(name: str) -> Any:
    if name == "BatchLoader":
        from .loader import BatchLoader

        return BatchLoader
    if name == "MediaCache":
        from .cache import MediaCache

        return MediaCache
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
