"""Turn the published checkpoint of Symile-MIMIC, symile_mimic_model.ckpt, into a run directory for `evaluate`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any

from symile_data.errors import DamageError, OutputError, SourceError, UsageError
from symile_data.files import file_sha256, pretty_json, write_text

from ..training_data import TrainingData
from .names import published_names

if TYPE_CHECKING:
    from torch import Tensor

    from symile_data.training.config import TrainConfig
    from symile_data.training.encoding import EncodingModule

CONFIG = "paper-mimic"
LABS = "labs"

# The authors' arguments, kept with the weights, name paths. Python 3.13 has moved the class.
_HARMLESS = ((PosixPath, "pathlib.PosixPath"), (PosixPath, "pathlib._local.PosixPath"))
_SHOWN = 3  # keys of a kind that an error names


def import_checkpoint(file: Path, data: TrainingData, run: Path, objective: str | None = None) -> TrainConfig:
    """Write a run directory with the weights of a checkpoint of the public Symile-MIMIC model.

    The run has the config `paper-mimic`, with what the checkpoint says of its training, and belongs to the dataset, so
    that `evaluate` follows the paper's protocol there. The mean percentiles that replace laboratory values which were
    not measured are those of the dataset's training split, as in the public pipeline.

    Args:
        file: The checkpoint. Nothing in it is executed.
        data: A dataset of Symile-MIMIC, such as the imported release.
        run: Directory of the run; an import of the same file there is repeated.
        objective: "symile" or "clip", by whose scores candidates are ranked; None takes what the file says, else
            Symile.

    Returns:
        The config of the run.

    Raises:
        SourceError: the file cannot be read, holds objects other than tensors, plain values and paths, or lacks a
            weight of the model, has other ones or other shapes.
        UsageError: the dataset has other modalities, or the objective is another one.
        OutputError: the directory has another run, or cannot be written.
    """
    from symile_data.training.checkpoints import save_file
    from symile_data.training.run import BEST, IMPORTED, claim

    _check_modalities(data)
    sha256 = _checksum(file)
    saved = _load(file)
    state = _weights(saved, file)
    config = _config(saved, state, data, objective)
    info = data.run_info(config)
    module = info.make_module()
    _fill(module, state, file, data)
    _check_place(run, sha256)
    claim(run, info)
    told = {"file": file.name, "sha256": sha256, "epoch": saved.get("epoch"), "step": saved.get("global_step")}
    write_text(run / IMPORTED, pretty_json(told))
    save_file({"state_dict": module.state_dict()}, run / BEST[config.select])
    return config


def _check_modalities(data: TrainingData) -> None:
    found = {modality.name: modality.kind for modality in data.manifest.modalities}
    if found != {"cxr": "image", "ecg": "ecg", LABS: "labs"}:
        raise UsageError(
            "the checkpoint is of Symile-MIMIC, and the dataset has other modalities",
            where=data.directory,
            got=", ".join(f"{name} ({kind})" for name, kind in found.items()),
            do="give the imported release, or a build of Symile-MIMIC, with `data`",
        )


def _checksum(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError as error:
        raise SourceError("the checkpoint cannot be opened", where=file, got=error.strerror or error) from None


def _load(file: Path) -> dict[str, Any]:
    """Read the file without executing anything from it."""
    from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

    from symile_data.training.checkpoints import load_file

    with safe_globals(list(_HARMLESS)):
        try:
            return load_file(file)
        except DamageError as error:
            try:
                objects = get_unsafe_globals_in_checkpoint(file)
            except Exception:  # on arbitrary bytes torch's reader raises errors of many classes
                objects = []
            if not objects:
                raise SourceError(
                    "the checkpoint cannot be read", where=file, got=error.got, do="download it again"
                ) from None
            raise SourceError(
                "the checkpoint holds objects that are no tensors, and reading these would execute code",
                where=file,
                got=", ".join(objects[:_SHOWN]),
                do="where you trust it, save its state_dict alone, with torch, and import that file",
            ) from None


def _weights(saved: Mapping[str, Any], file: Path) -> Mapping[str, Tensor]:
    from symile_data.training.checkpoints import is_state

    state = saved.get("state_dict", saved)
    if not is_state(state) or not state:
        raise SourceError("the checkpoint has no state_dict of tensors", where=file, do="download it again")
    weights: Mapping[str, Tensor] = state
    broken = [name for name, value in weights.items() if not value.isfinite().all()]
    if broken:
        raise SourceError("a weight of the checkpoint is not finite", where=file, got=broken[0])
    return weights


def _config(
    saved: Mapping[str, Any], state: Mapping[str, Tensor], data: TrainingData, objective: str | None
) -> TrainConfig:
    """Return the paper's config with the size of the embeddings, and what the file says of its training."""
    from symile_data.losses.compat import NEGATIVE_SAMPLING
    from symile_data.training.config import read_config

    told = saved.get("hyper_parameters")
    told = told if isinstance(told, Mapping) else {}
    chosen = objective or told.get("loss_fn") or "symile"
    if chosen not in ("symile", "clip"):
        raise UsageError(
            "the public model was trained with Symile or CLIP", got=repr(chosen), do="choose symile or clip"
        )
    last = state.get("labs_encoder.fc3.weight")
    numbers = {
        "dim": last.shape[0] if last is not None and last.dim() == 2 else None,
        **{ours: told.get(theirs) for ours, theirs in _THEIR_SETTINGS.items()},
    }
    settings: dict[str, Any] = {name: value for name, value in numbers.items() if _is_number(value)}
    negatives = NEGATIVE_SAMPLING.get(str(told.get("negative_sampling")))
    if chosen == "symile" and negatives:
        settings["negatives"] = negatives
    sets = data.manifest.identity.spec.get("candidates")
    if sets:
        settings["candidates"] = sets  # 10 in the release
    return read_config(CONFIG, {**settings, "objective": chosen})


_THEIR_SETTINGS = {
    "lr": "lr",
    "weight_decay": "weight_decay",
    "epochs": "epochs",
    "batch_size": "batch_sz_train",
    "logit_scale_init": "logit_scale_init",
    "seed": "seed",
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _fill(module: EncodingModule, state: Mapping[str, Tensor], file: Path, data: TrainingData) -> None:
    """Load the weights into the module, and the means of the laboratory values.

    Raises:
        SourceError: the file lacks a weight, has one that the model has not, or one of another shape.
    """
    import torch

    from symile_data.loaders import mean_percentiles

    ours = module.state_dict()
    names = published_names(ours)
    theirs = {published: tuple(ours[name].shape) for name, published in names.items()}
    shapes = {name: f"{tuple(state[name].shape)}, not {shape}" for name, shape in theirs.items() if name in state}
    wrong = [f"{name} of {told}" for name, told in shapes.items() if tuple(state[name].shape) != theirs[name]]
    differences = (
        ("it lacks", sorted(theirs.keys() - state.keys())),
        ("it has", sorted(state.keys() - theirs.keys())),
        ("it has", wrong),
    )
    if told := [f"{verb} {_some(keys)}" for verb, keys in differences if keys]:
        raise SourceError(
            "the weights of the checkpoint are not those of the public Symile-MIMIC model",
            where=file,
            got="; ".join(told),
            do="give symile_mimic_model.ckpt of the release, or a checkpoint of the same model",
        )
    module.load_state_dict({**ours, **{name: state[published] for name, published in names.items()}})
    module.fill_means({LABS: torch.tensor(mean_percentiles(data.split("train")))})


def _some(keys: list[str]) -> str:
    more = len(keys) - _SHOWN
    return ", ".join(keys[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _check_place(run: Path, sha256: str) -> None:
    """Refuse a directory that has weights of a training, or of another file.

    Raises:
        OutputError: it has.
    """
    from symile_data.format.typed_json import read_json
    from symile_data.training.run import BEST, IMPORTED, LAST

    try:
        there = read_json(run / IMPORTED).get("sha256")
    except (OSError, ValueError, AttributeError):
        there = None
    if there != sha256 and any((run / name).exists() for name in (LAST, *BEST.values())):
        raise OutputError("the run directory has other weights", where=run, do="choose another `out`, or remove it")
