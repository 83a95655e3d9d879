"""`symile-data train` and `evaluate`: the bundled trainer."""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symile_data.cores import MOST_WORKERS
from symile_data.losses.objectives import COMPARED, COMPARED_WITH_KEYS, all_objectives, find_objective
from symile_data.progress import hidden
from symile_data.progress.amounts import counted

from .choices import (
    Accelerator,
    HeldOutSplit,
    Negatives,
    RunLogger,
    Selection,
    a_config,
    an_objective,
    several_of,
    some_objectives,
)
from .classification.labels import (
    LabelNames,
    Uncertain,
    Unmentioned,
    baseline_settings,
    label_policy,
    print_baselines,
    split_labels,
)
from .common import MOST_REPEATS, Directory, Json, at_most, objective_names, say_fitted
from .folds import Fold, FoldsFile, Repeat, chosen_fold
from .output import say, say_json, say_text

if TYPE_CHECKING:
    from symile_data.training.run_record import FoldChoice


def train(
    directory: Directory,
    config: Annotated[
        str | None,
        typer.Option(help="Named config or TOML file; default: the small one of the dataset.", autocompletion=a_config),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(all_objectives())}.", autocompletion=an_objective),
    ] = None,
    several: Annotated[
        str | None,
        typer.Option(
            "--objectives",
            help="Several, with commas between, compared on the same data.",
            show_default=f"{','.join(COMPARED)}; for Symile-M3 with keys {','.join(COMPARED_WITH_KEYS)}",
            autocompletion=some_objectives,
        ),
    ] = None,
    loss: Annotated[str | None, typer.Option(hidden=True, help="Former name of --objective.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory; default: runs/<dataset directory>.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the config's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the config's; seed of all random draws.")] = None,
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            callback=at_most(MOST_REPEATS),
            help="Number of seeds to train with, from the seed on, and compare.",
        ),
    ] = 1,
    supervised: Annotated[
        str | None,
        typer.Option(
            help="Supervised baselines in place of objectives: unimodal:MODALITY, early, late, several with commas"
            " between, or all.",
            autocompletion=several_of("all", "early", "late", "unimodal:"),
        ),
    ] = None,
    labels: LabelNames = None,
    uncertain: Uncertain = None,
    unmentioned: Unmentioned = None,
    negatives: Annotated[Negatives | None, typer.Option(help="Of symile, instead of the config's.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other setting of the config: --set lr=1e-4, --set pretrain.epochs=3. Repeatable."
        ),
    ] = None,
    devices: Annotated[
        int, typer.Option(min=1, callback=at_most(MOST_WORKERS), help="Processes or GPUs that share every batch.")
    ] = 1,
    accelerator: Annotated[Accelerator, typer.Option(help="What to train on.")] = "auto",
    logger: Annotated[
        list[RunLogger] | None, typer.Option(help="Log there too, besides CSV files. Repeatable.")
    ] = None,
    save_every: Annotated[int, typer.Option(min=0, help="Steps between checkpoints within an epoch.")] = 1000,
    cache: Annotated[Path | None, typer.Option(help="Keep decoded media in this directory for later runs.")] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show where the loader's time goes, and log it after each epoch.")
    ] = False,
    features: Annotated[
        list[str] | None,
        typer.Option(
            help="Set of features beside the dataset (embed --beside), in place of what it encodes. Repeatable."
        ),
    ] = None,
    folds: FoldsFile = None,
    fold: Fold = None,
    repeat: Repeat = 0,
    as_json: Json = False,
) -> None:
    """Train and test by zero-shot retrieval.

    The same command continues an interrupted training.

    Examples:

        symile-data train build/symile-m3-10

        symile-data train build/symile-m3-2 --objective symile-pair --seed 1 --out runs/mine

        symile-data train build/symile-m3-2 --objectives symile,clip,gram

        symile-data train build/symile-m3-2 --seeds 5

        symile-data train build/symile-m3-2 --features clip-l --profile

        symile-data train build/symile-mimic --folds build/symile-mimic-folds.json --fold 0 --repeat 2

        symile-data train build/symile-mimic --supervised all --labels chexpert --seeds 3
    """
    from symile_data.launch import launch, must_launch
    from symile_data.workflows.configs import choose_configs
    from symile_data.workflows.datasets import default_objectives
    from symile_data.workflows.evaluate import Experiment, run_experiment
    from symile_data.workflows.training_data import TrainingData

    chosen_folds = chosen_fold(folds, fold, repeat)
    data = TrainingData(directory, cache, chosen_folds, features or ())
    modalities = [modality.name for modality in data.manifest.modalities]
    changes = {"epochs": epochs, "seed": seed, "negatives": negatives}
    overrides = _settings(settings or [], {key: value for key, value in changes.items() if value is not None})
    default = default_objectives(data.manifest.identity.dataset, modalities)
    objectives = _objectives(objective, several, loss, default)
    if negatives is not None and "symile" not in objectives:
        raise typer.BadParameter("it is a setting of the objective symile", param_hint="--negatives")
    if supervised is None and (labels or uncertain or unmentioned):
        raise typer.BadParameter("labels are for baselines: give --supervised too", param_hint="--labels")
    if supervised is not None and (objective or several or loss):
        raise typer.BadParameter("it stands in place of objectives", param_hint="--supervised")
    variants = {name: {"objective": name} for name in objectives}
    if supervised is not None:
        variants = baseline_settings(supervised, data, split_labels(labels), label_policy(uncertain, unmentioned))
    chosen = choose_configs(data, config, overrides, variants)
    if must_launch(devices):
        launch(devices)
        return
    # The launcher does not need torch, so it is imported only here. Its stack traces of lost connections are hidden.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    from symile_data.training.fit import Execution
    from symile_data.training.ranks import is_main_process, join, lost_peers

    execution = Execution(
        accelerator=accelerator,
        devices=devices,
        loggers=tuple(str(name) for name in logger or ()),
        save_every=save_every,
        profile=profile,
    )
    experiment = Experiment(configs=chosen.by_run, seeds=seeds, execution=execution)
    with lost_peers(), contextlib.nullcontext() if is_main_process() else hidden():
        join(devices, accelerator)
        for run_config in chosen.by_run.values():
            data.check(run_config)
        base = out or _default_out(directory, chosen_folds)
        tell = partial(say_fitted, chosen.name, data.manifest.splits["train"], chosen.fitted)
        results = run_experiment(experiment, data, base, on_start=tell if is_main_process() else None)
    if is_main_process() and supervised is not None and not as_json:
        print_baselines(results["tests"])
    elif is_main_process():
        _report(results, as_json)
    if profile and is_main_process() and not as_json:
        _say_profiles(base, chosen.by_run)


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run directory, such as runs/symile-m3-10/symile.")],
    data: Annotated[Path | None, typer.Option(help="The dataset, where it has moved.")] = None,
    split: Annotated[HeldOutSplit, typer.Option(help="Split whose rows are retrieved.")] = "test",
    target: Annotated[str | None, typer.Option(help="Modality to retrieve; default: the config's.")] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Column by which a candidate is right; for another target, default: the row itself."),
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(min=0, help="Candidates of each row; 0: all rows. Default: the config's.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Number of bootstrap samples of the rows, for intervals.")] = 0,
    select: Annotated[
        Selection | None, typer.Option(help="Figure by which the weights were chosen; default: the config's.")
    ] = None,
    folds: FoldsFile = None,
    fold: Fold = None,
    repeat: Repeat = 0,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also with each query modality shuffled among rows.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure zero-shot retrieval with a trained run. Results also go to its evaluation-<split>.json and .png.

    Example:

        symile-data evaluate runs/symile-m3-10/symile --ablate --bootstrap 10

    A run that was trained with --folds is evaluated on its fold; the options are for a file of folds that has moved.
    """
    from symile_data.cli.output.tables import print_intervals, print_results
    from symile_data.training.run_record import read_run
    from symile_data.workflows.evaluate import Evaluation, evaluate_in_full
    from symile_data.workflows.training_data import data_of_run

    info = read_run(run)
    asked = Evaluation(
        split=split,
        target=target,
        label=label,
        candidates=candidates,
        bootstrap=bootstrap,
        select=select,
        ablate=ablate,
    )
    found = evaluate_in_full(run, data_of_run(info, data, chosen_fold(folds, fold, repeat)), asked)
    if as_json:
        say_json({info.config.objective: {**found.results, **found.extra}})
        return
    print_results({info.config.objective: found.results})
    if bootstrap:
        print_intervals(
            {info.config.objective: found.extra["bootstrap"]}, f"Mean of {counted(bootstrap, 'bootstrap sample')}, 95%"
        )


def _say_profiles(base: Path, runs: Collection[str]) -> None:
    """Print the reports of the loaders of some runs below a directory."""
    from symile_data.training.loggers import PROFILE

    found = [path for path in sorted(base.rglob(PROFILE)) if path.parent.name in runs]
    for path in found:
        say(f"Loading in {path.parent}:")
        say_text(path.read_text(encoding="utf-8"))
    if not found:
        say("There is no report of loading: every run was trained before, without --profile.")


def _default_out(directory: Path, folds: FoldChoice | None) -> Path:
    place = Path("runs") / directory.resolve().name
    return place if folds is None else place / f"repeat-{folds.repeat}-fold-{folds.fold}"


def _objectives(one: str | None, several: str | None, former: str | None, default: Sequence[str]) -> list[str]:
    """Return the objectives that are trained, each once, in the order given."""
    if sum(option is not None for option in (one, several, former)) > 1:
        raise typer.BadParameter("give either --objective or --objectives", param_hint="--objective")
    chosen = former if one is None else one
    if chosen is not None:
        find_objective(chosen)
        return [chosen]
    return list(default) if several is None else objective_names(several)


def _settings(pairs: list[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Parse settings of the command line, with values as TOML or else as text.

    Args:
        pairs: Values of --set.
        options: Settings that have an option of their own, which are added.
    """
    result: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (equals and name.strip()):
            raise typer.BadParameter("it takes setting=value", param_hint="--set")
        table, dot, key = name.strip().partition(".")
        if name.strip() in ("objective", "loss"):
            raise typer.BadParameter("an objective is chosen by --objective", param_hint="--set")
        if name.strip() == "settings":
            raise typer.BadParameter("it takes settings.NAME=value for a setting of the objective", param_hint="--set")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        if dot and table == "settings":
            result.setdefault(table, {})[key] = value
        else:
            result[name.strip()] = value
    for name in options:
        if name in result or name in result.get("settings", {}):
            raise typer.BadParameter(f"{name} is given by --set too: give one of them", param_hint=f"--{name}")
    return {**result, **options}


def _report(results: dict[str, Any], as_json: bool) -> None:
    from symile_data.cli.output.tables import print_intervals, print_results
    from symile_data.workflows.evaluate import FIGURES

    if as_json:
        say_json(results["comparison"] if "comparison" in results else results["tests"])
    elif "comparison" in results:
        compared = results["comparison"]["figures"]
        objectives = [column for column in compared["accuracy"] if column != "differences"]
        columns = {column: {name: compared[name][column] for name in FIGURES} for column in objectives}
        differences = {
            f"{objectives[0]} - {other}": {name: compared[name]["differences"][other] for name in FIGURES}
            for other in compared["accuracy"].get("differences", {})
        }
        count = len(results["comparison"]["seeds"])
        title = f"Zero-shot retrieval: mean over {count} seeds, 95% interval, paired t-tests (Holm)"
        print_intervals(columns, title, results["comparison"]["bounds"], differences)
    else:
        print_results(results["tests"])
