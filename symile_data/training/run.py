"""Write and read a run directory: its record (`run_record`), its pretrained encoders and its weights.

The directory has `run.json`, `last.ckpt`, `best.ckpt` (by validation accuracy), `best-loss.ckpt` (by validation loss),
logs in `log/` and, when done, `metrics.json`, `curves.png`. `pretrained.pt` is in it or beside the runs that share it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning

from symile_data.errors import DamageError, OutputError
from symile_data.files import canonical_json, digest, pretty_json, write_errors, write_text
from symile_data.format.manifest import check_outside
from symile_data.format.typed_json import differences

from .callbacks import Curves
from .checkpoints import KEPT, damaged, is_state, load_file, save_file, state_of
from .config import TrainConfig
from .encoding import EncodingModule, module_key
from .ranks import is_main_process, main_process_first
from .run_record import RUN_FILE, RunInfo, Weights, read_run

LAST, PRETRAINED = "last.ckpt", "pretrained.pt"
IMPORTED = "imported.json"  # of a run whose weights were trained elsewhere: their file and its checksum
_ANEW = "remove the run's directory and train it again"
BEST = {"val_accuracy": "best.ckpt", "val_loss": "best-loss.ckpt"}  # file by the figure that chooses its weights


def claim(directory: Path, info: RunInfo) -> None:
    """Write run.json, or check that the existing run is this one. A run without saved weights may be replaced.

    Raises:
        OutputError: the directory has another run, or cannot be written.
    """
    with main_process_first():
        _check_same(directory, info.config, info.fingerprint)
        if is_main_process() and not _has_weights(directory):
            with write_errors(directory, KEPT):
                directory.mkdir(parents=True, exist_ok=True)
            write_text(directory / RUN_FILE, pretty_json(info.to_json()), KEPT)


def check_run(directory: Path, config: TrainConfig, fingerprint: str | None = None) -> None:
    """Check that a directory is free for a run, or has it already; to be called before anything is trained.

    Args:
        directory: Directory of the run, which need not exist.
        config: Config of the run, for any modalities.
        fingerprint: Of the run's dataset; None leaves it unchecked.

    Raises:
        UsageError: the directory is that of a dataset, or inside one.
        OutputError: the directory has another run, or weights that were trained elsewhere; or the path is a file.
    """
    there = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    if not there.is_dir():
        raise OutputError("a run needs a directory, and this is a file", where=there, do="choose another `out`")
    if (directory / IMPORTED).exists():
        raise OutputError(
            "the run directory has imported weights, which a training would replace",
            where=directory,
            do="choose another `out`",
        )
    _check_same(directory, config, fingerprint)


def _check_same(directory: Path, config: TrainConfig, fingerprint: str | None) -> None:
    check_outside(directory / RUN_FILE, "the run")
    if not _has_weights(directory):
        return
    there = read_run(directory)
    mine = json.loads(canonical_json(config.fitted([modality.name for modality in there.modalities]).to_json()))
    found = differences(mine, json.loads(canonical_json(there.config.to_json())))
    other_data = fingerprint not in (None, there.fingerprint)
    if other_data or found:
        raise OutputError(
            f"the run directory has a run with another {'dataset' if other_data else 'config'}",
            where=directory,
            got=None if other_data else f"{'; '.join(found[:4])} (yours, not that of the run)",
            do="choose another `out`, or remove the directory",
        )


def _has_weights(directory: Path) -> bool:
    return any((directory / name).exists() for name in (LAST, *BEST.values()))


def pretrained_weights(info: RunInfo, directory: Path, make: Callable[[], Weights]) -> Weights:
    """Return the pretrained encoders of a run, which are made once and kept in `directory`.

    Args:
        info: Record of the run; the weights belong to its dataset, encoders, pretraining and seed.
        directory: Directory of `pretrained.pt`, which several runs may share.
        make: Pretrains the encoders. Only the main process calls it; the others wait for its file.

    Raises:
        DamageError: the file cannot be read, or has other contents.
        OutputError: the file cannot be written.
    """
    config = info.config
    if config.pretrain is None:
        return {}
    settings = config.to_json()
    key = digest([info.fingerprint, *(settings[name] for name in ("pretrain", "encoders", "inputs", "seed", "dim"))])
    path = directory / PRETRAINED
    with main_process_first():
        if path.is_file():
            saved = load_file(path)
            weights = saved.get("weights")
            if not isinstance(saved.get("key"), str) or not isinstance(weights, dict):
                raise damaged(path, "no pretrained encoders")
            if saved["key"] == key:
                if set(weights) != set(config.pretrain.labels) or not all(map(is_state, weights.values())):
                    raise damaged(path, "other encoders than those of the config")
                return weights
        made = make()
        save_file({"key": key, "weights": dict(made)}, path)
    return made


def load_module(directory: Path, select: str | None = None) -> EncodingModule:
    """Load the trained module of a run, in evaluation mode.

    Args:
        directory: Directory of the run.
        select: Figure that chose the weights, "val_accuracy" or "val_loss"; None takes the config's choice.

    Raises:
        DamageError: there is no checkpoint, or it cannot be read.
    """
    info = read_run(directory)
    path = directory / BEST[select or info.config.select]
    if not path.is_file():
        advice = f"let the training finish; where it has, {_ANEW}"
        raise DamageError("the run has no finished checkpoint yet", where=path, do=advice)
    state = state_of(load_file(path, _ANEW), path)
    names = [] if info.config.pretrain is None else list(info.config.pretrain.labels)
    pretrained = {name: _encoder_weights(state, name) for name in names}
    try:
        module = info.make_module({name: weights for name, weights in pretrained.items() if weights})
        module.load_state_dict(state, strict=module.strict_loading)
    except (RuntimeError, TypeError, DamageError):
        raise not_of_this_run(path) from None
    if not module.is_finite():
        raise damaged(path, "weights that are not finite")
    return module.eval()


def check_last(directory: Path, module: EncodingModule, data: lightning.LightningDataModule) -> None:
    """Check that the checkpoint to continue from, where there is one, belongs to this run and is whole.

    Raises:
        DamageError: the checkpoint cannot be read, its weights belong to other data or another config, or it lacks a
            part without which the run would not continue exactly.
    """
    path = directory / LAST
    if not path.is_file():
        return
    saved = load_file(path)
    there = {name: value.shape for name, value in state_of(saved, path).items()}
    if there != {name: value.shape for name, value in module.state_dict().items()}:
        raise not_of_this_run(path)
    schedules = 0 if module.config.schedule == "constant" else 1
    for part, length in {"optimizer_states": 1, "lr_schedulers": schedules}.items():
        if not isinstance(saved.get(part), list) or len(saved[part]) != length:
            raise damaged(path, f"no {part} of this run")
    parts = {"loops": "fit_loop", "callbacks": Curves.__qualname__}
    if type(data).state_dict is not lightning.LightningDataModule.state_dict:
        parts[type(data).__qualname__] = ""
    for part, inner in parts.items():
        if not isinstance(saved.get(part), dict) or not (saved[part].get(inner) if inner else saved[part]):
            raise damaged(path, f"no {part} of this run")


def not_of_this_run(path: Path) -> DamageError:
    """Return the error for weights that do not fit the run's model."""
    return DamageError(
        "the checkpoint belongs to another dataset or config than the run directory that contains it",
        where=path,
        do="put the run's checkpoint back, or remove the run and train it again",
    )


def _encoder_weights(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    prefix = f"encoders.{module_key(name)}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
