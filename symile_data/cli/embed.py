"""`symile-data embed`: replace media by features of frozen encoders."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symile_data.cores import MOST_WORKERS
from symile_data.progress.amounts import size

from .choices import Device, Pool, Precision
from .common import Directory, ExecutorName, Format, at_most, command_line, report
from .output import say

if TYPE_CHECKING:
    from symile_data.builders.features.spec import FrozenModel
    from symile_data.format.manifest import Manifest

_HUB = "id on the Hugging Face Hub, or a folder that holds a copy."


def embed(
    directory: Directory,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the dataset of features; an interrupted build there is finished.")
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(help="Instead of --out: write only the features, under this name in the dataset's own directory."),
    ] = None,
    image_model: Annotated[str | None, typer.Option(help=f"CLIP, or any vision model of transformers: {_HUB}")] = None,
    audio_model: Annotated[str | None, typer.Option(help=f"Whisper: {_HUB}")] = None,
    text_model: Annotated[
        str | None, typer.Option(help=f"XLM-RoBERTa, or another text encoder of BERT's kind: {_HUB}")
    ] = None,
    pool: Annotated[
        Pool, typer.Option(help="Mean over the audio's and text's own positions (observed), or over all, as the paper.")
    ] = "observed",
    audio_seconds: Annotated[
        float | None,
        typer.Option(help="Window of the audio model; default: its own (30). Longer audio than asked for is refused."),
    ] = None,
    text_layers: Annotated[
        int | None,
        typer.Option(min=0, help="First layers of the text model; default: 1 of XLM-RoBERTa (the paper's), else all."),
    ] = None,
    text_tokens: Annotated[int, typer.Option(min=3, help="Tokens to which texts are padded.")] = 128,
    precision: Annotated[Precision, typer.Option(help="Of the models' numbers.")] = "32-true",
    batch_size: Annotated[int, typer.Option(min=1, help="Images, audio or texts in a forward pass.")] = 64,
    device: Annotated[Device, typer.Option(help="What encodes; on another kind the last bits differ.")] = "auto",
    workers: Annotated[
        int,
        typer.Option(min=0, callback=at_most(MOST_WORKERS), help="Processes (0: one for each GPU, or one on a CPU)."),
    ] = 0,
    executor: ExecutorName = "local",
    shard_format: Format = "parquet",
) -> None:
    """Encode each distinct image, recording and text once; ids, masks, labels and splits stay.

    The same command continues an interrupted run.

    Examples:

        symile-data embed build/symile-m3-10 --out build/m3-10-features --image-model openai/clip-vit-large-patch14
        --audio-model openai/whisper-large-v3 --precision bf16-mixed

        symile-data embed build/symile-m3-2 --out build/m3-2-features --image-model models/dinov2
        --audio-model models/whisper --audio-seconds 5

        symile-data embed build/symile-m3-2 --beside clip-l --image-model openai/clip-vit-large-patch14
    """
    from symile_data.builders.features.beside import build_beside
    from symile_data.builders.features.build import build_features
    from symile_data.builders.features.spec import FeatureSpec
    from symile_data.cards import write_card
    from symile_data.format import manifest as manifests
    from symile_data.format.feature_sets import check_name
    from symile_data.workflows.embed import encode_media

    if (out is None) == (beside is None):
        raise typer.BadParameter("give either it or --beside", param_hint="--out")
    if beside is not None:
        check_name(beside)  # before a model is loaded
        if shard_format != "parquet":
            raise typer.BadParameter(
                "features beside a dataset are Parquet, whatever its format", param_hint="--format"
            )
    names = {"image": image_model, "audio": audio_model, "text": text_model}
    settings: dict[str, dict[str, Any]] = {
        "audio": {"pool": pool} if audio_seconds is None else {"pool": pool, "seconds": audio_seconds},
        "text": {"pool": pool, "layers": text_layers, "tokens": text_tokens},
    }
    _check_used("--audio-seconds", audio_seconds, "--audio-model", audio_model)
    _check_used("--text-layers", text_layers, "--text-model", text_model)
    source = manifests.read(directory)
    kind, count = _devices(device, executor)
    spec = FeatureSpec(
        models=_models(directory, source, names, settings),
        precision=precision,
        device=kind,
        batch_size=batch_size,
        shard_format=shard_format,
    )
    options: dict[str, Any] = {"workers": workers or count, "executor": executor}
    given = [name for name in names.values() if name]
    if out is None:
        command = command_line(directory, *given)
        manifest = build_beside(directory, str(beside), spec, encode_media, command=command, **options)
        _report_beside(directory, str(beside), manifest)
        return
    command = command_line(directory, out, *given)
    made = build_features(directory, out, spec, encode_media, write_card=write_card, command=command, **options)
    report(out, made, source)


def _report_beside(directory: Path, name: str, manifest: Manifest) -> None:
    rows = ", ".join(f"{rows:,} {split}" for split, rows in manifest.splits.items())
    stored = sum(entry.bytes for entry in manifest.files)
    columns = ", ".join(modality.column for modality in manifest.modalities)
    say(f"features {name} beside {directory}: {columns}; {rows} rows, {size(stored)}")
    split = next(iter(manifest.splits))
    say(f"load them with: symile_data.loaders.open_split({str(directory)!r}, {split!r}, features=[{name!r}])")
    say(f"train on them with: symile-data train {shlex.quote(str(directory))} --features {name}")


def _models(
    directory: Path, manifest: Manifest, names: dict[str, str | None], settings: dict[str, dict[str, Any]]
) -> tuple[FrozenModel, ...]:
    """Load the model of each modality for whose kind the options name one."""
    from symile_data.errors import UsageError
    from symile_data.workflows.embed import describe_model

    asked = {kind: name for kind, name in names.items() if name}
    if not asked:
        raise UsageError("there is nothing to encode", do="give --image-model, --audio-model or --text-model")
    kinds = [modality.kind for modality in manifest.modalities]
    for kind in asked:
        if kind not in kinds:
            raise UsageError(
                f"the dataset has no modality of kind {kind}",
                where=directory,
                got=f"--{kind}-model",
                do=f"it has {', '.join(dict.fromkeys(kinds))}",
            )
    return tuple(
        describe_model(modality.name, modality.kind, asked[modality.kind], settings.get(modality.kind, {}))
        for modality in manifest.modalities
        if modality.kind in asked
    )


def _check_used(option: str, value: float | None, model_option: str, model: str | None) -> None:
    from symile_data.errors import UsageError

    if value is not None and not model:
        raise UsageError(f"{option} has no effect without {model_option}", got=value, do=f"give {model_option} too")


def _devices(asked: str, executor: str) -> tuple[str, int]:
    """Return the kind of device and the number on this machine. The devices of a cluster's workers are not checked."""
    from symile_data.errors import UsageError
    from symile_data.extras import needs_extra

    with needs_extra("pretrained", "embedding a dataset"):
        import torch

    if asked == "cuda" and executor != "local":
        return "cuda", 1
    gpus = 0 if asked == "cpu" else torch.cuda.device_count()
    if asked == "cuda" and not gpus:
        raise UsageError("there is no GPU that torch can use", got="--device cuda", do="choose --device cpu")
    return ("cuda", gpus) if gpus else ("cpu", 1)
