"""`symile-data train` and `evaluate`: the bundled baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

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
    from symile_data.cli.baseline import TrainingData, bounds, train_run
    from symile_data.training.config import LOSSES, default_config, read_config
    from symile_data.training.curves import draw_curves

    data = TrainingData(directory)
    overrides = {name: value for name, value in {"epochs": epochs, "seed": seed}.items() if value is not None}
    name = config or default_config(data.manifest.identity.dataset)
    base = out or Path("runs") / directory.resolve().name
    results: dict[str, dict[str, Any]] = {}
    for choice in LOSSES if loss is None else (loss,):
        settings = read_config(name, {**overrides, "loss": choice})
        results[choice] = train_run(settings, data, base / choice, shared=base)
    tests = {choice: metrics["test"] for choice, metrics in results.items()}
    if len(results) > 1:
        curves = {choice: metrics["curves"] for choice, metrics in results.items()}
        draw_curves(base / "curves.png", curves, bounds(data, next(iter(tests.values()))))
    _print(tests, data.manifest.identity.spec, as_json)


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
    from symile_data.cli.baseline import TrainingData, evaluate_run
    from symile_data.training.fit import read_run

    info = read_run(run)
    dataset = TrainingData(data or Path(info.location))
    results = evaluate_run(run, dataset, split)
    if not ablate:
        results = {name: value for name, value in results.items() if not name.startswith("shuffled")}
    _print({info.config.loss: results}, dataset.manifest.identity.spec, as_json)


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
