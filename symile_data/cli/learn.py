"""`symile-data train` and `evaluate`: the bundled baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from symile_data.evaluation.retrieval import Embedded
    from symile_data.training.config import TrainConfig
    from symile_data.training.fit import RunInfo, Weights
    from symile_data.training.module import SymileModule

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def train(
    directory: Annotated[Path, typer.Argument(help="A dataset's directory.")],
    config: Annotated[
        str | None, typer.Option(help="Named config or TOML file; default: the small one of the dataset.")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="symile or clip; default: both, compared on the same data.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory; default: runs/<dataset directory>.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the config's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the config's; decides everything random.")] = None,
    as_json: Json = False,
) -> None:
    """Train the baseline and test it by zero-shot retrieval. Running again continues an interrupted training.

    Examples:

        symile-data train build/symile-m3-10

        symile-data train build/symile-m3-2 --loss symile --seed 1 --out runs/mine
    """
    from symile_data import manifest as manifests
    from symile_data.files import pretty_json, write_text
    from symile_data.training.config import LOSSES, default_config, read_config
    from symile_data.training.curves import draw_curves
    from symile_data.training.fit import fit, pretrained_weights

    manifest = manifests.read(directory)
    overrides = {name: value for name, value in {"epochs": epochs, "seed": seed}.items() if value is not None}
    name = config or default_config(manifest.identity.dataset)
    base = out or Path("runs") / directory.resolve().name
    results: dict[str, dict[str, Any]] = {}
    curves: dict[str, list[dict[str, float]]] = {}
    for choice in LOSSES if loss is None else (loss,):
        settings = read_config(name, {**overrides, "loss": choice})
        run = base / choice
        info = _run_info(settings, directory)
        weights = pretrained_weights(info, base, partial(_pretrain, settings, directory))
        metrics = fit(info, _data(info.make_module(weights), directory), run, weights)
        test = _test(run, directory)
        curves[choice] = metrics["curves"]
        results[choice] = test
        write_text(run / "metrics.json", pretty_json({**metrics, "test": test}))
        draw_curves(run / "curves.png", {choice: metrics["curves"]}, _bounds(manifest.identity.spec, test))
    if len(results) > 1:
        draw_curves(base / "curves.png", curves, _bounds(manifest.identity.spec, next(iter(results.values()))))
    _print(results, manifest.identity.spec, as_json)


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run directory, such as runs/symile-m3-10/symile.")],
    data: Annotated[Path | None, typer.Option(help="The dataset, where it has moved.")] = None,
    split: Annotated[str, typer.Option(help="validation or test.")] = "test",
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also with each query modality shuffled among rows.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Zero-shot retrieval with a trained run: every row of the split is a candidate, a hit is the right class.

    Example:

        symile-data evaluate runs/symile-m3-10/symile --ablate
    """
    from symile_data import manifest as manifests
    from symile_data.training.fit import read_run

    info = read_run(run)
    directory = data or Path(info.location)
    results = _test(run, directory, split)
    if not ablate:
        results = {name: value for name, value in results.items() if not name.startswith("shuffled")}
    _print({info.config.loss: results}, manifests.read(directory).identity.spec, as_json)


def _run_info(config: TrainConfig, directory: Path) -> RunInfo:
    from symile_data import manifest as manifests
    from symile_data.encoders.text import vocabulary_of
    from symile_data.loaders import open_split
    from symile_data.training.fit import RunInfo

    manifest = manifests.read(directory)
    split = open_split(directory, "train")
    texts = [modality for modality in manifest.modalities if modality.kind == "text"]
    vocabularies = {
        modality.name: vocabulary_of(split.read_all([modality.column])[modality.column].to_pylist())
        for modality in texts
    }
    return RunInfo(
        config=config,
        dataset=manifest.identity.dataset,
        fingerprint=manifest.identity.fingerprint,
        location=str(directory),
        modalities=manifest.modalities,
        vocabularies=vocabularies,
    )


def _pretrain(config: TrainConfig, directory: Path) -> Weights:
    """Pretrain the encoders that the config names, on augmented pictures of the training split."""
    from symile_data import manifest as manifests
    from symile_data.loaders import BatchLoader, ImageJitter, open_split
    from symile_data.training.pretrain import pretrain

    settings = config.pretrain
    if settings is None:
        return {}
    modalities = manifests.read(directory).modalities
    split = open_split(directory, "train")
    pictures = [modality.name for modality in modalities if modality.kind == "image"]
    batches = BatchLoader(
        split,
        settings.batch_size,
        seed=config.seed,
        cache=True,
        transforms=_transforms(config, directory),
        columns=list(settings.labels.values()),
        augment={name: ImageJitter(shift=settings.jitter) for name in pictures} if settings.jitter else {},
    )
    values = {
        name: sorted(set(split.read_all([column])[column].to_pylist())) for name, column in settings.labels.items()
    }
    return pretrain(config, settings, modalities, batches, values)


def _data(module: SymileModule, directory: Path) -> Any:
    """Training and validation loaders, decoded once and kept in memory; features where encoders are frozen."""
    from symile_data.loaders.datamodule import DataModule

    config = module.config
    labels = list(dict.fromkeys([config.label, *config.redraw_media.values()]))
    common = {
        "cache": True,
        "transforms": _transforms(config, directory),
        "columns": labels,
        "encoders": module.frozen_features(),
    }
    return DataModule(
        directory,
        config.batch_size,
        train={
            **common,
            "seed": config.seed,
            "redraw_words": config.redraw_words,
            "redraw_media": config.redraw_media,
        },
        evaluation=common,
    )


def _transforms(config: TrainConfig, directory: Path) -> dict[str, Any]:
    from symile_data import manifest as manifests
    from symile_data.loaders.decode import DECODERS

    return {
        modality.name: DECODERS[modality.kind].settings(**config.inputs[modality.kind])
        for modality in manifests.read(directory).modalities
        if modality.kind in config.inputs
    }


def _test(run: Path, directory: Path, split: str = "test") -> dict[str, float]:
    """Retrieval on a split, intact and ablated."""
    from symile_data.evaluation.ablation import ablate

    info, embedded = _embed(run, directory, split)
    return {"rows": len(embedded.labels), **ablate(embedded, info.config.target, info.config.loss)}


def _embed(run: Path, directory: Path, split: str) -> tuple[RunInfo, Embedded]:
    from symile_data import manifest as manifests
    from symile_data.errors import DamageError
    from symile_data.loaders import BatchLoader, open_split
    from symile_data.training.fit import embed_split, load_module, read_run

    info = read_run(run)
    if manifests.read(directory).identity.fingerprint != info.fingerprint:
        raise DamageError(
            "the run was trained on another dataset",
            where=directory,
            do="give its own with --data, or train on this one",
        )
    module = load_module(run)
    batches = BatchLoader(
        open_split(directory, split),
        info.config.batch_size,
        shuffle=False,
        cache=True,
        transforms=_transforms(info.config, directory),
        columns=[info.config.label],
        encoders=module.frozen_features(),
    )
    return info, embed_split(module, batches)


def _bounds(spec: Mapping[str, Any], test: Mapping[str, float]) -> dict[str, float]:
    bounds = {"chance": test["chance"]}
    return {**bounds, "one word in W": 1 / spec["words"]} if "words" in spec else bounds


def _print(results: Mapping[str, Mapping[str, float]], spec: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(results))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Zero-shot retrieval")
    table.add_column("")
    for loss in results:
        table.add_column(loss, justify="right")
    for name in next(iter(results.values())):
        values = [results[loss][name] for loss in results]
        table.add_row(
            name.replace("_", " "), *(f"{value:,.0f}" if name == "rows" else f"{value:.4f}" for value in values)
        )
    if "words" in spec:
        table.add_row("one word in W", *(f"{1 / spec['words']:.4f}" for _ in results))
    Console().print(table)
