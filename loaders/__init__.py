"""Open a dataset, shuffle it, decode it and deliver batches, in an order that can be continued exactly.

    split = open_split("build/symile-m3-2", "train")
    loader = BatchLoader(split, batch_size=256, seed=0, transforms={"image": ImageSettings(size=224)})
    for batch in loader:
        ...

`BatchLoader` and `MediaCache` need torch and are imported when they are first asked for; opening a split does not need
it. Adapters for torch's DataLoader and for Lightning are `symile_data.loaders.torch_dataset` and
`symile_data.loaders.datamodule`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symile_data.format.remote_cache import RemoteCache

from .arguments import Distribution, Resources, Variation
from .decoders import StoredSettings, TextSettings, VectorSettings
from .decoders.audio import AudioSettings
from .decoders.augment import ImageAugment, ImageCrop, ImageJitter
from .decoders.ecg import EcgSettings
from .decoders.image import ImageSettings
from .decoders.labs import LabsSettings, mean_percentiles
from .mixing import Mix, mix
from .split import Split, open_split

if TYPE_CHECKING:
    from .cache.media_cache import MediaCache
    from .loader import BatchLoader

__all__ = [
    "AudioSettings",
    "BatchLoader",
    "Distribution",
    "EcgSettings",
    "ImageAugment",
    "ImageCrop",
    "ImageJitter",
    "ImageSettings",
    "LabsSettings",
    "MediaCache",
    "Mix",
    "RemoteCache",
    "Resources",
    "Split",
    "StoredSettings",
    "TextSettings",
    "Variation",
    "VectorSettings",
    "mean_percentiles",
    "mix",
    "open_split",
]


def __getattr__(name: str) -> Any:
    if name == "BatchLoader":
        from .loader import BatchLoader

        return BatchLoader
    if name == "MediaCache":
        from .cache.media_cache import MediaCache

        return MediaCache
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
