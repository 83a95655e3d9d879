"""A stand-in of the public Symile-MIMIC model: torchvision's residual networks by their names, and its other layers."""

from __future__ import annotations

from pathlib import PosixPath
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Three convolutions around a bottleneck, or two where `narrow` is None, beside a shortcut."""

    def __init__(self, channels: int, out: int, stride: int, narrow: int | None) -> None:
        super().__init__()
        shapes = (
            [(channels, out, 3, stride), (out, out, 3, 1)]
            if narrow is None
            else [(channels, narrow, 1, 1), (narrow, narrow, 3, stride), (narrow, out, 1, 1)]
        )
        self.count = len(shapes)
        for number, (before, after, side, step) in enumerate(shapes, start=1):
            convolution = nn.Conv2d(before, after, side, stride=step, padding=side // 2, bias=False)
            setattr(self, f"conv{number}", convolution)
            setattr(self, f"bn{number}", nn.BatchNorm2d(after))
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = F.relu(y) if number < self.count else y
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    """ResNet-18 or ResNet-50 with a linear layer to D numbers."""

    def __init__(self, depth: int, channels: int, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        before = 64
        for stage, layers in enumerate({18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth], start=1):
            width = 64 * 2 ** (stage - 1)
            out, narrow = (width, None) if depth == 18 else (4 * width, width)
            blocks = []
            for layer in range(layers):
                blocks.append(Block(before, out, 2 if stage > 1 and layer == 0 else 1, narrow))
                before = out
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        found: Tensor = self.fc(x.mean(dim=(2, 3)))
        return found


class Pictures(nn.Module):
    """A residual network and a layer norm."""

    def __init__(self, depth: int, channels: int, dim: int) -> None:
        super().__init__()
        self.resnet, self.layer_norm = ResNet(depth, channels, dim), nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer_norm(self.resnet(x))
        return found


class Labs(nn.Module):
    """Three linear layers with GELU between, and a layer norm."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(100, 256), nn.Linear(256, 1024), nn.Linear(1024, dim)
        self.layer_norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer_norm(self.fc3(F.gelu(self.fc2(F.gelu(self.fc1(x))))))
        return found


class PublishedModel(nn.Module):
    """The three encoders and the logit scale, with statistics of batch norms as after a training."""

    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.logit_scale = nn.Parameter(torch.tensor(-7.0))
        self.ecg_encoder, self.cxr_encoder, self.labs_encoder = Pictures(18, 1, dim), Pictures(50, 3, dim), Labs(dim)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean = torch.randn(module.num_features) / 10
                module.running_var = torch.rand(module.num_features) + 0.5
                nn.init.uniform_(module.weight, 0.5, 1.0)
            if isinstance(module, nn.LayerNorm):
                nn.init.normal_(module.weight, 1.0, 0.2)
                nn.init.normal_(module.bias, 0.0, 0.2)
        self.eval()


def checkpoint(model: nn.Module, **arguments: Any) -> dict[str, Any]:
    """What Lightning saves of a training: weights, loops, the optimiser, and the authors' arguments with a path."""
    told = {"loss_fn": "symile", "negative_sampling": "n_squared", "lr": 0.1, "weight_decay": 0.2, "epochs": 80,
            "batch_sz_train": 280, "d": 16, "seed": 0, "logit_scale_init": -7.0, "pretrained": False,
            "data_dir": PosixPath("somewhere/data")}  # fmt: skip
    return {
        "epoch": 20,
        "global_step": 756,
        "state_dict": model.state_dict(),
        "loops": {"fit_loop": {"state_dict": {}}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}],
        "hyper_parameters": told | arguments,
    }
