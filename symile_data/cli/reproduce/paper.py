"""`symile-data reproduce`: run the paper's experiments, each with a table and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symile_data.cores import worker_count

from ..choices import a_config
from ..common import Json, RowCount, say_fitted
from ..output import say, say_json
from .runs import no_dataset, this_run

if TYPE_CHECKING:
    from symile_data.experiments.leaderboard import Entry
    from symile_data.experiments.m3 import Point
    from symile_data.experiments.m3_keys import KeyPoint
    from symile_data.training.config import TrainConfig
    from symile_data.workflows.m3_trials import M3Trial
    from symile_data.workflows.trials import Accuracies
    from symile_data.workflows.xor_trials import XorTrial

app = typer.Typer(help="The paper's experiments, each with its table and figure.", no_args_is_help=True)

Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds, from 0; each has separate data.")]
Rates = Annotated[str | None, typer.Option(help="Missing rates, separated by commas.")]
Dims = Annotated[int, typer.Option(min=1, help="Bits of each variable.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Instead of the 100 of the paper.")]
Workers = Annotated[int, typer.Option(help="Processes; 0 for one per core.")]


@app.command()
def xor(
    out: Annotated[Path, typer.Option(callback=no_dataset, help="Where the trials and the results go.")] = Path(
        "runs/reproduce-xor"
    ),
    p_hat: Annotated[str | None, typer.Option(help="Instead of 0, 0.1 ... 1: numbers separated by commas.")] = None,
    seeds: Seeds = 3,
    dims: Dims = 5,
    epochs: Epochs = None,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Run the paper's figure 3: accuracy of Symile, CLIP and the Bayes-optimal reader over the share of XOR rows.

    Running again continues, and keeps what is finished.

    Example:

        symile-data reproduce xor --seeds 1 --epochs 40
    """
    from symile_data.builders.xor.spec import XorSpec
    from symile_data.experiments.figures import draw_p_hat
    from symile_data.experiments.leaderboard import swept_entries
    from symile_data.experiments.tables import LOSSES
    from symile_data.experiments.xor import P_HATS, p_hat_row, p_hat_table
    from symile_data.workflows.trials import check_runs, run_trials

    values = _numbers(p_hat, "--p-hat", P_HATS)
    specs = [XorSpec(dims=dims, p_hat=value, seed=seed) for value in values for seed in range(seeds)]
    trials = [_trial(out / f"p-hat-{spec.p_hat:g}" / f"seed-{spec.seed}", spec, epochs) for spec in specs]
    check_runs(trials)
    found = run_trials("p-hat sweep", trials, worker_count(workers))
    rows = [p_hat_row(value, dims, found[at * seeds : (at + 1) * seeds]) for at, value in enumerate(values)]
    draw_p_hat(out / "results.png", rows, dims)
    entries = swept_entries(rows, LOSSES, lambda row: (f"XOR, d = {dims}", f"p-hat {row['p_hat']:g}"), this_run(out))
    _report(out, trials[0].configs, rows, p_hat_table(rows), as_json, entries)


@app.command("xor-missing")
def xor_missing(
    out: Annotated[Path, typer.Option(callback=no_dataset, help="Where the trials and the results go.")] = Path(
        "runs/reproduce-xor-missing"
    ),
    rates: Rates = None,
    seeds: Seeds = 3,
    dims: Dims = 5,
    epochs: Epochs = None,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Measure Symile and CLIP on complete rows, while more and more variables are missing in training rows.

    Running again continues, and keeps what is finished.

    Example:

        symile-data reproduce xor-missing --rates 0,0.5 --seeds 1
    """
    from symile_data.builders.xor.spec import XorSpec
    from symile_data.experiments.figures import draw_missing
    from symile_data.experiments.leaderboard import swept_entries
    from symile_data.experiments.tables import LOSSES
    from symile_data.experiments.xor import RATES, missing_row, missing_table
    from symile_data.workflows.trials import check_runs, run_trials

    values = _numbers(rates, "--rates", RATES)
    names = XorSpec().names
    places = [(value, seed) for value in values for seed in range(seeds)]
    trials = [
        _trial(
            out / f"missing-{value:g}" / f"seed-{seed}",
            XorSpec(dims=dims, missing=dict.fromkeys(names, value), seed=seed),
            epochs,
        )
        for value, seed in places
    ]
    check_runs(trials)
    found = run_trials("missingness sweep", trials, worker_count(workers))
    rows = [
        missing_row(value, len(names), dims, found[at * seeds : (at + 1) * seeds]) for at, value in enumerate(values)
    ]
    draw_missing(out / "results.png", rows)
    entries = swept_entries(
        rows, LOSSES, lambda row: (f"XOR, d = {dims}", f"missing at {row['rate']:g}"), this_run(out)
    )
    _report(out, trials[0].configs, rows, missing_table(rows), as_json, entries)


@app.command()
def m3(
    out: Annotated[
        Path | None,
        typer.Option(
            callback=no_dataset, help="Where datasets, trials and results go; default: runs/reproduce-m3[-keys]."
        ),
    ] = None,
    langs: Annotated[
        str | None, typer.Option(help="Sets of languages: 2, 5 or 10, separated by commas; default: 2,5,10.")
    ] = None,
    rates: Rates = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the training, from 0; on the same data.")] = 1,
    images: Annotated[str, typer.Option(help="'sample' (drawn here) or an ImageNet folder.")] = "sample",
    train: RowCount = None,
    validation: RowCount = None,
    test: RowCount = None,
    keys: Annotated[
        bool,
        typer.Option("--keys", help="Instead: accuracy over 3, 4 and 5 modalities, with keys; --langs 2,5 by default."),
    ] = False,
    config: Annotated[
        str | None,
        typer.Option(
            help="A named config or a TOML file; default: m3-small, with --keys m3-keys.", autocompletion=a_config
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the config's.")] = None,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Run the paper's figure 4: Symile and CLIP over the number of languages, and over missing modalities.

    The missing rates, by default 0 and 0.5 to 0.75, apply to the smallest set of languages. The command builds the
    datasets. Running again continues, and keeps what is finished.

    Examples:

        symile-data reproduce m3

        symile-data reproduce m3 --langs 2 --rates 0.5 --train 2000 --epochs 20

        symile-data reproduce m3 --keys --langs 2
    """
    from symile_data.builders.m3.spec import DEFAULT_ROWS
    from symile_data.experiments.figures import draw_keys, draw_m3
    from symile_data.experiments.leaderboard import swept_entries
    from symile_data.experiments.m3 import LANGUAGES, RATES, m3_name, m3_notes, m3_row, m3_table, points
    from symile_data.experiments.m3_keys import LANGUAGES as KEY_LANGUAGES
    from symile_data.experiments.m3_keys import LOSSES as KEY_LOSSES
    from symile_data.experiments.m3_keys import key_notes, key_points, key_row, key_table, keys_name
    from symile_data.experiments.tables import LOSSES
    from symile_data.format.schema import SPLITS
    from symile_data.training.config import read_config
    from symile_data.workflows.configs.small_splits import bounded_batches

    if keys and rates is not None:
        raise typer.BadParameter("it is another experiment than --keys", param_hint="--rates")
    out = out or Path("runs/reproduce-m3-keys" if keys else "runs/reproduce-m3")
    asked = (train, validation, test)
    rows = {split: default if n is None else n for split, default, n in zip(SPLITS, DEFAULT_ROWS, asked, strict=True)}
    changes: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    if config is None:
        config = "m3-keys" if keys else "m3-small"
        fitted = bounded_batches(read_config(config), rows["train"])
        say_fitted(config, rows["train"], fitted)
        changes |= fitted
    folder = None if images == "sample" else Path(images)
    numbers = _language_sets(langs, KEY_LANGUAGES if keys else LANGUAGES)
    if keys:
        key_swept = key_points(numbers)
        source = max(key_swept, key=lambda point: (point.languages, point.modalities))
        trials = [_key_trial(out, place, source, config, seed, changes) for place in key_swept for seed in range(seeds)]
        data = {(point.languages, point.keys): trials[at * seeds].data for at, point in enumerate(key_swept)}
    else:
        swept = points(numbers, _numbers(rates, "--rates", RATES))
        trials = [_m3_trial(out, point, config, seed, changes) for point in swept for seed in range(seeds)]
        data = {(point.languages, ()): trials[at * seeds].data for at, point in enumerate(swept)}
    found = _m3_accuracies(trials, data, rows, folder, worker_count(workers))
    by_point = [found[at : at + seeds] for at in range(0, len(found), seeds)]
    configs = trials[0].configs
    if keys:
        results = [key_row(point, rows["train"], some) for point, some in zip(key_swept, by_point, strict=True)]
        draw_keys(out / "results.png", results)
        entries = swept_entries(results, KEY_LOSSES, keys_name, this_run(out))
        _report(out, configs, results, key_table(results), as_json, entries, key_notes(rows["train"]))
        return
    results = [m3_row(point, rows["train"], some) for point, some in zip(swept, by_point, strict=True)]
    draw_m3(out / "results.png", results)
    entries = swept_entries(results, LOSSES, m3_name, this_run(out))
    notes = m3_notes(rows["train"], configs["symile"].to_json())
    _report(out, configs, results, m3_table(results), as_json, entries, notes)


def _m3_accuracies(
    trials: Sequence[M3Trial],
    data: Mapping[tuple[int, tuple[str, ...]], Path],
    rows: Mapping[str, int],
    images: Path | None,
    workers: int,
) -> list[Accuracies]:
    """Build the datasets of some trials, by languages and keys, pretrain their encoders, and run the trials."""
    from symile_data.workflows.m3_trials import build_dataset, pretrain
    from symile_data.workflows.trials import check_runs, on_workers, run_trials

    check_runs(trials)
    for (number, keys), directory in data.items():
        build_dataset(number, rows, images, directory, workers, keys)
    sharing = list({trial.shared: trial for trial in trials}.values())
    if next(iter(trials[0].configs.values())).pretrain is not None:
        on_workers("pretraining encoders", "sets", pretrain, sharing, workers)
    return run_trials("M3 sweep", trials, workers)


def _key_trial(
    out: Path, point: KeyPoint, source: KeyPoint, config: str, seed: int, changes: Mapping[str, Any]
) -> M3Trial:
    """Make a trial, whose encoders are pretrained on the dataset of the point `source`. Without further keys the target
    language of a row is that of its audio.
    """
    from dataclasses import replace

    from symile_data.datasets.m3.keys import TARGET_LANGUAGE
    from symile_data.experiments.m3_keys import LOSSES
    from symile_data.training.config import read_config
    from symile_data.workflows.m3_trials import M3Trial

    configs = {}
    for loss in LOSSES:
        whole = read_config(config, {**changes, "seed": seed, "objective": loss})
        labels = {
            name: "lang" if label == TARGET_LANGUAGE and not point.keys else label
            for name, label in whole.resample_within_class.items()
        }
        configs[loss] = replace(whole, resample_within_class=labels)
    base = out / point.name
    return M3Trial(
        directory=base / f"seed-{seed}",
        data=base / "data",
        cache=out / "cache",
        shared=out / f"pretrained-{seed}",
        configs=configs,
        pretrained_on=out / source.name / "data",
    )


def _m3_trial(out: Path, point: Point, config: str, seed: int, changes: Mapping[str, Any]) -> M3Trial:
    """Make a trial. Missing values are filled in as in the paper, and validation rows stay complete."""
    from symile_data.experiments.tables import LOSSES
    from symile_data.training.config import read_config
    from symile_data.workflows.m3_trials import M3Trial

    changes = {**changes, "seed": seed}
    if point.rate:
        changes |= {"missing": "input", "missingness": point.rate, "missingness_in_validation": False}
    base = out / f"m3-{point.languages}"
    return M3Trial(
        directory=base / f"missing-{point.rate:g}" / f"seed-{seed}",
        data=base / "data",
        cache=base / "cache",
        shared=base / f"pretrained-{seed}",
        configs={loss: read_config(config, {**changes, "objective": loss}) for loss in LOSSES},
    )


def _language_sets(text: str | None, default: Sequence[int]) -> list[int]:
    """Parse distinct numbers of languages of the paper, in rising order."""
    from symile_data.experiments.m3 import LANGUAGES

    if text is None:
        return list(default)
    numbers = sorted({int(part) for part in text.split(",") if part.strip().isdecimal()})
    if not numbers or not set(numbers) <= set(LANGUAGES) or len(numbers) != len(text.split(",")):
        raise typer.BadParameter("it takes different ones of 2, 5 and 10, separated by commas", param_hint="--langs")
    return numbers


def _trial(directory: Path, spec: Any, epochs: int | None) -> XorTrial:
    from symile_data.experiments.tables import LOSSES
    from symile_data.training.config import read_config
    from symile_data.workflows.xor_trials import XorTrial

    changes = {"seed": spec.seed, **({} if epochs is None else {"epochs": epochs})}
    configs = {loss: read_config("xor", {**changes, "objective": loss}) for loss in LOSSES}
    return XorTrial(directory=directory, spec=spec, configs=configs)


def _numbers(text: str | None, option: str, default: Sequence[float]) -> list[float]:
    """Parse distinct numbers from 0 to 1, in rising order."""
    if text is None:
        return list(default)
    try:
        numbers = sorted({float(part) for part in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or not all(0 <= number <= 1 for number in numbers):
        raise typer.BadParameter("it takes numbers from 0 to 1, separated by commas", param_hint=option)
    return numbers


def _report(
    out: Path,
    configs: Mapping[str, TrainConfig],
    rows: Sequence[Mapping[str, Any]],
    table: Sequence[Sequence[str]],
    as_json: bool,
    entries: Sequence[Entry],
    notes: Sequence[str] = (),
) -> None:
    """Write results.json, results.md and leaderboard.csv, and print the table or the points."""
    from symile_data.cli.output.tables import print_wide
    from symile_data.experiments.leaderboard import leaderboard_csv
    from symile_data.experiments.tables import markdown
    from symile_data.files import pretty_json, write_text

    results = {"configs": {loss: config.to_json() for loss, config in configs.items()}, "points": list(rows)}
    write_text(out / "results.json", pretty_json({**results, **({"notes": list(notes)} if notes else {})}))
    write_text(out / "results.md", "\n".join([markdown(table), *(f"- {note}" for note in notes)]).rstrip() + "\n")
    write_text(out / "leaderboard.csv", leaderboard_csv(entries))
    if as_json:
        say_json({"points": list(rows)})
        return
    print_wide(table, "Test accuracy")
    for note in notes:
        say(note)
    say(f"figure, table and numbers: {out / 'results.png'}, results.md, results.json, leaderboard.csv")
