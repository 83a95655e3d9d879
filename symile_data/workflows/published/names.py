"""The names of weights in the published Symile-MIMIC model, whose residual networks are torchvision's, beside ours.

Ours are those of transformers' ResNet, which computes the same: the stride of a bottleneck is in its 3 x 3 convolution,
and a shortcut has a convolution where the number of channels or the side changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Module of ours within a residual block -> torchvision's.
_IN_BLOCK = {
    **{f"layer.{number}.convolution": f"conv{number + 1}" for number in range(3)},
    **{f"layer.{number}.normalization": f"bn{number + 1}" for number in range(3)},
    "shortcut.convolution": "downsample.0",
    "shortcut.normalization": "downsample.1",
}
# Module of ours within an encoder, but outside of residual blocks -> the published one.
_ELSEWHERE = {
    "backbone.embedder.embedder.convolution": "resnet.conv1",
    "backbone.embedder.embedder.normalization": "resnet.bn1",
    "head.1": "resnet.fc",
    "network.0": "fc1",
    "network.2": "fc2",
    "network.5": "fc3",  # a dropout stands before it, which has no weights
}
_BLOCK = re.compile(r"backbone\.encoder\.stages\.(\d+)\.layers\.(\d+)\.(.+)")


def published_names(ours: Iterable[str]) -> dict[str, str]:
    """Return the published name of each of our names, for those that the published model has.

    It has no vectors that stand for missing modalities (`missing`), and no means of laboratory values, which are part
    of its data.

    >>> published_names(["norms.cxr.weight", "missing", "encoders.labs.network.5.bias"])
    {'norms.cxr.weight': 'cxr_encoder.layer_norm.weight', 'encoders.labs.network.5.bias': 'labs_encoder.fc3.bias'}
    >>> published_names(["encoders.ecg.backbone.encoder.stages.1.layers.0.layer.1.convolution.weight"]).values()
    dict_values(['ecg_encoder.resnet.layer2.0.conv2.weight'])
    """
    found = {name: _published(name) for name in ours}
    return {name: published for name, published in found.items() if published is not None}


def _published(name: str) -> str | None:
    if name == "logit_scale":
        return name
    part, _, inside = name.partition(".")
    modality, _, module_and_leaf = inside.partition(".")
    if part == "norms":
        return f"{modality}_encoder.layer_norm.{module_and_leaf}"
    module, _, leaf = module_and_leaf.rpartition(".")
    theirs = _ELSEWHERE.get(module)
    if match := _BLOCK.fullmatch(module):
        theirs = f"resnet.layer{int(match[1]) + 1}.{match[2]}.{_IN_BLOCK[match[3]]}"
    return None if part != "encoders" or theirs is None else f"{modality}_encoder.{theirs}.{leaf}"
