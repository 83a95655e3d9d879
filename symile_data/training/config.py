"""Named training configs: TOML files beside this module, read into one checked dataclass and saved whole with each
run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from symile_data.errors import UsageError
from symile_data.records import read_text, record

Loss = Literal["symile", "clip"]
_MOST_BYTES = 1 << 20
LOSSES: tuple[str, ...] = get_args(Loss)
Schedule = Literal["cosine", "constant"]
SCHEDULES: tuple[str, ...] = get_args(Schedule)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """How small encoders are pretrained on labels of the training split, then frozen; see `pretrain`.

    Args:
        labels: Modality name -> label column.
        epochs: Passes over the training split.
        batch_size: Rows in a step.
        lr: Peak learning rate.
        weight_decay: Of AdamW.
        jitter: Random shift (share of the side) of pictures, with mirror images; 0 for none.
    """

    labels: Mapping[str, str]
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float = 0.0
    jitter: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides a run, apart from the data.

    Args:
        loss: "symile", or "clip" for the sum of pairwise CLIP losses.
        epochs: Passes over the training split.
        batch_size: Rows in a step.
        dim: D, size of the embeddings.
        lr: Peak learning rate of AdamW; it rises over the first tenth of the steps and falls to zero along a cosine
            where `schedule` is "cosine".
        schedule: "cosine" or "constant".
        weight_decay: Of AdamW.
        clip_gradient: Largest gradient norm; 0 for none.
        logit_scale_init: Logarithm of the logit scale at the start; it is learned.
        normalise: L2-normalise embeddings (the paper's XOR experiment), instead of the layer norm alone.
        negatives: "n" or "exact"; see `symile_data.losses`.
        shuffles: Sets of negatives per anchor in mode "n".
        target: Modality that is retrieved.
        label: Column by which a retrieved candidate counts as right.
        redraw_words: Draw the distractor words of a training row anew in each epoch. An augmentation that small M3 data
            needs (docs/m3.md); off in the paper's configs.
        redraw_media: Modality -> label column: in each epoch a training row gets the medium of another row with the
            same label (another picture of the class, another clip of the language), so that pairs cannot be
            memorised. As `redraw_words`.
        pretrain: Pretrain and freeze some encoders first; None trains all from nothing.
        precision: Of Lightning: "32-true" or "bf16-mixed".
        val_every: Epochs between validations.
        seed: Decides everything random.
        encoders: Settings of the encoder of each kind.
        inputs: Settings of the decoder of each kind (picture size, mel bands, ...).
    """

    loss: Loss = "symile"
    epochs: int
    batch_size: int
    dim: int
    lr: float
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    clip_gradient: float = 0.0
    logit_scale_init: float
    normalise: bool = False
    negatives: Literal["n", "exact"] = "n"
    shuffles: int = 1
    target: str
    label: str
    redraw_words: bool = False
    redraw_media: Mapping[str, str] = field(default_factory=dict)
    pretrain: PretrainConfig | None = None
    precision: str = "32-true"
    val_every: int = 1
    seed: int = 0
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise UsageError("unknown loss", got=repr(self.loss), do=f"choose among {', '.join(LOSSES)}")
        if self.schedule not in SCHEDULES:
            raise UsageError("unknown schedule", got=repr(self.schedule), do=f"choose among {', '.join(SCHEDULES)}")
        for name in ("epochs", "batch_size", "dim", "val_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1", got=getattr(self, name))

    def to_json(self) -> dict[str, Any]:
        """As saved with a run."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str = "config") -> TrainConfig:
        """The inverse of `to_json`.

        Raises:
            UsageError: an unknown or a missing setting.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(value) - known)
        if unknown:
            raise UsageError("the config has an unknown setting", where=where, got=unknown[0])
        try:
            return record(cls, {**value, "pretrain": value.get("pretrain") or None})
        except TypeError as error:
            raise UsageError("the config lacks or misnames a setting", where=where, got=error) from None


def named_configs() -> list[str]:
    """Names of the bundled configs."""
    folder = resources.files("symile_data.training") / "configs"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_config(name: str, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """A bundled config by name, or a TOML file by path, with some settings replaced.

    Raises:
        UsageError: there is no such config, or it does not parse.
    """
    if name in named_configs():
        text = (resources.files("symile_data.training") / "configs" / f"{name}.toml").read_text(encoding="utf-8")
    elif _is_file(name):
        text = _read(Path(name))
    else:
        raise UsageError(
            "there is no such config", got=repr(name), do=f"choose among {', '.join(named_configs())}, or give a file"
        )
    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, lists in lists without end
        raise UsageError("the config is not readable TOML", where=name, got=error) from None
    return TrainConfig.from_json({**value, **(overrides or {})}, where=name)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # no possible file name
        return False


def _read(path: Path) -> str:
    try:
        return read_text(path, _MOST_BYTES)
    except OSError as error:
        raise UsageError("the config cannot be opened", where=path, got=error.strerror) from error
    except ValueError as error:
        raise UsageError("the config is not UTF-8 text of a usual size", where=path, got=error) from None


def default_config(dataset: str) -> str:
    """Name of the config that suits a dataset of ours on a CPU.

    Raises:
        UsageError: there is none.
    """
    defaults = {"symile-m3": "m3-small"}
    if dataset not in defaults:
        raise UsageError("there is no default config for this dataset", got=dataset, do="name one with --config")
    return defaults[dataset]
