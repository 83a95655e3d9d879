"""Named training configs: TOML files in `configs/`, read into one checked dataclass and saved whole with each run."""

from __future__ import annotations

import math
import tomllib
import warnings
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from symile_data.errors import UsageError, choose_similar
from symile_data.format.schema import joined_names
from symile_data.format.typed_json import RecordError, read_text, record, with_part
from symile_data.losses.objectives import all_objectives, find_objective
from symile_data.missingness import check_rates

from .supervised.config import VAL_LOSS, SupervisedConfig

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")

Schedule = Literal["cosine", "constant"]
Missing = Literal["embedding", "input", "neutral"]
Selection = Literal["val_accuracy", "val_loss"]
Features = Literal["backbone", "probabilities"]
Value = TypeVar("Value")

_MOST_BYTES = 1 << 20  # largest config file
_JITTER = 0.5  # of the side, with which an image would be shifted out of sight
# The seed is one of numpy's generator, which Lightning seeds too. The scale of the logits is a float32 number.
_MOST = {"seed": 2**32 - 1, "logit_scale_init": 80, "logit_scale_max": 1e30}
_CHOICES: dict[str, tuple[str, ...]] = {
    "schedule": get_args(Schedule),
    "missing": get_args(Missing),
    "select": get_args(Selection),
    "precision": PRECISIONS,
}


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Settings of the pretraining of small encoders on labels of the training split; see `pretrain`.

    Args:
        labels: Modality name -> label column.
        epochs: Passes over the training split.
        batch_size: Rows in a step.
        lr: Peak learning rate.
        weight_decay: Weight decay of AdamW.
        jitter: Largest random shift of images, as a fraction of the side, with random mirroring except of the keys of
            Symile-M3, whose digits have a right and a left; 0 for neither.
        intervals: Modality name -> its encoder is trained on one batch of so many, on every batch where it is not
            given. An encoder of few different values needs few steps. At least one modality has every batch.
        features: Features of the frozen encoders: "backbone", what its last layer before the classifier says, or
            "probabilities", what the classifier says of each class; see `symile_data.encoders.ClassifiedEncoder`.
    """

    labels: Mapping[str, str]
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float = 0.0
    jitter: float = 0.0
    intervals: Mapping[str, int] = field(default_factory=dict)
    features: Features = "backbone"

    def __post_init__(self) -> None:
        _check_numbers(self, {"epochs": 1, "batch_size": 1, "lr": 0, "weight_decay": 0, "jitter": 0}, " of [pretrain]")
        if self.jitter >= _JITTER:
            raise UsageError(f"jitter of [pretrain] must be below {_JITTER}", got=self.jitter)
        for name, interval in self.intervals.items():
            if name not in self.labels:
                raise UsageError("intervals of [pretrain] names a modality that its labels do not name", got=name)
            if not isinstance(interval, int) or isinstance(interval, bool) or interval < 1:
                raise UsageError(f"intervals of [pretrain] has a whole number from 1 for {name}", got=repr(interval))
        if self.features not in get_args(Features):
            known = ", ".join(get_args(Features))
            raise UsageError("unknown features of [pretrain]", got=repr(self.features), do=f"choose among {known}")
        if self.intervals and not any(self.intervals.get(name, 1) == 1 for name in self.labels):
            raise UsageError("intervals of [pretrain] leaves batches on which nothing is trained", do="leave one out")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All settings that decide a run, apart from the data.

    Args:
        objective: Name of the objective; see `symile_data.losses.objectives`.
        settings: Keyword arguments of the objective's class, such as {"negatives": "exact"} for Symile.
        epochs: Passes over the training split.
        batch_size: Rows of a batch, on all devices together.
        accumulate: Batches whose gradients are added up to one step; negatives come from the same batch only.
        dim: D, size of the embeddings.
        lr: Peak learning rate of AdamW; it rises over the first tenth of the steps and falls to zero along a cosine
            where `schedule` is "cosine".
        schedule: "cosine" or "constant".
        weight_decay: Weight decay of AdamW.
        clip_gradient: Largest gradient norm; 0 for none.
        logit_scale_init: Logarithm of the logit scale at the start; None takes the objective's own start.
        logit_scale_max: Upper limit of the logit scale; 0 sets none, as in the paper.
        normalise: L2-normalise embeddings (the paper's XOR experiment) in place of the layer norm; None does so for
            objectives that are defined for unit vectors only.
        missing: Replacement of a missing value. "embedding": a learned vector replaces the encoder's output, before
            the layer norm. "input", as in the paper: the training split's mean with an indicator replaces features or
            vectors, and the token [MISSING] a text. "neutral": a learned vector, initially ones, replaces the
            embedding, so that products are those of the modalities that are present.
        group_missing: Rows that lack the same modality are not negatives of each other (see `missing_groups`).
        missingness: Rate at which each modality is made missing in training and validation rows at load.
        missingness_in_validation: Whether this applies to validation rows, as in the paper. If not, they stay as
            stored, and the weights are chosen by retrieval on all of them instead of the few complete ones.
        target: Modality that is retrieved.
        candidates: Number of candidates among which a row retrieves: itself and others, listed in the dataset's column
            `candidates` or drawn; 0 means all rows of the split.
        label: Column by which a retrieved candidate counts as right; the name of a vector modality means its value.
        redraw_words: Draw the distractor words of a training row anew in each epoch. An augmentation that small M3 data
            needs (docs/m3.md); off in the paper's configs.
        resample_within_class: Modality -> label column: in each epoch a training row gets the image or audio of another
            row with the same label (another image of the class, another audio of the language), so that pairs cannot
            be memorised. Names joined by "+" are taken together from one other row: with "audio+symbol" by the column
            `target_lang`, a row of Symile-M3 gets other keys of the same sum. Like `redraw_words`, it is off in the
            paper's configs.
        pretrain: Pretrain and freeze some encoders first; None trains all from scratch. In its labels and intervals and
            in `resample_within_class`, "?" after a name marks a modality that a dataset may lack; see `fitted`.
        precision: Precision of Lightning: "32-true", "bf16-mixed" or "16-mixed".
        val_every: Epochs between validations.
        select: Validation figure by which the weights are chosen, "val_accuracy" or "val_loss".
        supervised: Train this supervised baseline in place of an objective; None trains the objective. Of the settings
            above, those of the objective, its logit scale and the retrieval then have no effect.
        seed: Seed of all random draws.
        encoders: Settings of the encoder of each kind.
        inputs: Settings of the decoder of each kind (image size, mel bands, ...).
    """

    objective: str = "symile"
    settings: Mapping[str, Any] = field(default_factory=dict)
    epochs: int
    batch_size: int
    accumulate: int = 1
    dim: int
    lr: float
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    clip_gradient: float = 0.0
    logit_scale_init: float | None = None
    logit_scale_max: float = 0.0
    normalise: bool | None = None
    missing: Missing = "embedding"
    group_missing: bool = False
    missingness: float = 0.0
    missingness_in_validation: bool = True
    target: str
    label: str
    candidates: int = 0
    redraw_words: bool = False
    resample_within_class: Mapping[str, str] = field(default_factory=dict)
    pretrain: PretrainConfig | None = None
    precision: str = "32-true"
    val_every: int = 1
    select: Selection = "val_accuracy"
    supervised: SupervisedConfig | None = None
    seed: int = 0
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        find_objective(self.objective)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"unknown {name}", got=repr(getattr(self, name)), do=f"choose among {', '.join(choices)}"
                )
        _check_numbers(self, _LEAST)
        for name, most in _MOST.items():
            if (value := getattr(self, name)) is not None and value > most:
                raise UsageError(f"{name} must be at most {most}", got=value)
        if self.missingness == 1:
            raise UsageError("missingness must be below 1, as no row would have any modality", got=self.missingness)
        if self.candidates == 1:
            raise UsageError("one candidate leaves nothing to choose", got="candidates = 1", do="take 0 for all rows")
        check_rates({"every modality": self.missingness})

    @property
    def method(self) -> str:
        """Return what is trained: the name of the objective, or the fusion of a supervised baseline."""
        return self.objective if self.supervised is None else self.supervised.fusion

    def fitted(self, modalities: Collection[str]) -> TrainConfig:
        """Return the config for a dataset with these modalities: without the optional ones, marked by "?", that it
        lacks, and without the marks of the others.
        """
        redrawn = _without_absent(self.resample_within_class, modalities)
        if self.pretrain is None:
            return replace(self, resample_within_class=redrawn)
        labels = _without_absent(self.pretrain.labels, modalities)
        intervals = _without_absent(self.pretrain.intervals, modalities)
        pretrained = replace(self.pretrain, labels=labels, intervals=intervals)
        return replace(self, resample_within_class=redrawn, pretrain=pretrained)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as they are saved with a run."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str = "config") -> TrainConfig:
        """Read what `to_json` returned.

        Raises:
            UsageError: a setting is unknown, missing, or given by both its older and its present name.

        Warns:
            DeprecationWarning: a setting is given by its older name, as in runs of older versions.
        """
        value = with_present_names(value, where)
        try:
            return record(cls, {**value, **{name: value.get(name) or None for name in ("pretrain", _SUPERVISED)}})
        except RecordError as error:
            raise error.of_config(where) from None


def _without_absent(table: Mapping[str, Value], modalities: Collection[str]) -> dict[str, Value]:
    """Remove the optional names of a table that are no modalities, and the marks of the others.

    >>> _without_absent({"audio+symbol?+tone?": "target_lang", "code?": "code_id"}, ["audio", "tone"])
    {'audio+tone': 'target_lang'}
    """
    kept = {}
    for names, label in table.items():
        parts = [name for name in joined_names(names) if not name.endswith("?") or name[:-1] in modalities]
        if parts:
            kept["+".join(name.removesuffix("?") for name in parts)] = label
    return kept


_SUPERVISED = "supervised"  # the setting, and the table of a config with what differs for supervised baselines
_OLD_NAMES = {
    "loss": "objective",
    "redraw_media": "resample_within_class",
}  # names of settings that configs of older versions hold


def _renamed(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Give settings their present names."""
    for old in _OLD_NAMES.keys() & set(value):
        new = _OLD_NAMES[old]
        if new in value:
            raise UsageError("the config has one setting by two names", where=where, got=f"{old} and {new}")
        warnings.warn(f"the setting {old} is now {new}; write {new}", DeprecationWarning, stacklevel=3)
    return {_OLD_NAMES.get(name, name): part for name, part in value.items()}


# Settings of the objective "symile" that configs of earlier versions hold beside all others, with their defaults.
_SYMILE_SETTINGS = {"negatives": "n", "shuffles": 1, "mip_scale": "none"}

# A batch of one row has no negatives.
_LEAST = {
    **{"epochs": 1, "batch_size": 2, "accumulate": 1, "dim": 1, "val_every": 1, "candidates": 0, "seed": 0},
    **dict.fromkeys(("lr", "weight_decay", "clip_gradient", "logit_scale_max"), 0),
    "logit_scale_init": -80,
}


def _check_numbers(settings: TrainConfig | PretrainConfig, least: Mapping[str, int], where: str = "") -> None:
    """Check that numbers are finite and not below their lower limits."""
    for item in fields(settings):
        value = getattr(settings, item.name)
        if value is None:
            continue
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{item.name}{where} must be a finite number", got=value)
        if item.name in least and value < least[item.name]:
            raise UsageError(f"{item.name}{where} must be at least {least[item.name]}", got=value)


def named_configs() -> list[str]:
    """Return the names of the bundled configs, sorted."""
    folder = resources.files("symile_data.training") / "configs"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_config(name: str, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """Read a bundled config by name, or a TOML file by path, with some settings replaced.

    A table of the file that is named after an objective, such as [symile] or [gram], has the settings that differ for
    it, and the table [supervised] those that differ for supervised baselines, whose weights are selected by the loss.

    Args:
        name: Name of the config or path of the file.
        overrides: Setting, or TABLE.SETTING of a table such as [pretrain], -> value, which takes precedence over both.

    Raises:
        UsageError: there is no such config, or it does not parse.
    """
    if name in named_configs():
        text = (resources.files("symile_data.training") / "configs" / f"{name}.toml").read_text(encoding="utf-8")
    elif _is_file(name):
        text = _read(Path(name))
    else:
        do = f"{choose_similar(name, named_configs())}, or give a file"
        raise UsageError("there is no such config", got=repr(name), do=do)
    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # e.g. numbers with thousands of digits, deeply nested lists
        raise UsageError("the config is not readable TOML", where=name, got=error) from None
    keys = (*all_objectives(), _SUPERVISED)
    tables = {key: value.pop(key) for key in keys if isinstance(value.get(key), dict)}
    common, given = _renamed(value, name), _renamed(overrides or {}, name)
    chosen = given.get("objective", common.get("objective", TrainConfig.objective))
    if given.get(_SUPERVISED):
        chosen, common = _SUPERVISED, {**common, "select": VAL_LOSS}
    layers = (common, _renamed(tables.get(chosen, {}), name), given)
    for layer in layers:
        if not isinstance(layer.get("settings", {}), Mapping):
            raise UsageError("settings is a table of an objective's settings", where=name, got=repr(layer["settings"]))
    settings = {key: one for layer in layers for key, one in layer.get("settings", {}).items()}
    merged = layers[0] | layers[1] | {key: one for key, one in given.items() if "." not in key}
    for key in set(given) - set(merged):  # such as pretrain.epochs
        merged = with_part(merged, key.split("."), given[key])
    return TrainConfig.from_json(merged | ({"settings": settings} if settings else {}), where=name)


def with_present_names(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Give the settings of a config of an older version their present names and places.

    Those of Symile, which stood beside all others until version 0.2, become the objective's own. They are left out
    where they say what the class does anyway, and for an objective that has no such setting.
    """
    value = _renamed(value, where)
    moved = {key: value.pop(key) for key in _SYMILE_SETTINGS if key in value}
    given = {key: one for key, one in moved.items() if one != _SYMILE_SETTINGS[key]}
    if given and value.get("objective", TrainConfig.objective) == "symile":
        value["settings"] = {**given, **value.get("settings", {})}
    return value


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # not a possible file name
        return False


def _read(path: Path) -> str:
    try:
        return read_text(path, _MOST_BYTES)
    except OSError as error:
        raise UsageError("the config cannot be opened", where=path, got=error.strerror) from error
    except ValueError as error:
        raise UsageError("the config is not UTF-8 text of a usual size", where=path, got=error) from None
