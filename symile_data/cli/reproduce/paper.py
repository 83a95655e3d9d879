"""`symile-data reproduce`: run the paper's experiments, each with a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symile_data.cores import worker_count

from ..choices import a_config
from ..common import MOST_REPEATS, Json, RowCount, at_most, say_fitted
from ..output import say, say_json
from .runs import Processes, no_dataset, this_run

if TYPE_CHECKING:
    from symile_data.workflows.paper.results import SweepResults

app = typer.Typer(help="The paper's experiments, each with its table and figure.", no_args_is_help=True)

Seeds = Annotated[
    int,
    typer.Option(min=1, callback=at_most(MOST_REPEATS), help="Number of seeds, from 0; each has separate data."),
]
Rates = Annotated[str | None, typer.Option(help="Missing rates, separated by commas.")]
Dims = Annotated[int, typer.Option(min=1, help="Bits of each variable.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Instead of the 100 of the paper.")]


@app.command()
def xor(
    out: Annotated[Path, typer.Option(callback=no_dataset, help="Where the trials and the results go.")] = Path(
        "runs/reproduce-xor"
    ),
    p_hat: Annotated[str | None, typer.Option(help="Instead of 0, 0.1 ... 1: numbers separated by commas.")] = None,
    seeds: Seeds = 3,
    dims: Dims = 5,
    epochs: Epochs = None,
    workers: Processes = 0,
    as_json: Json = False,
) -> None:
    """Run the paper's figure 3: accuracy of Symile, CLIP and the Bayes-optimal reader over the share of XOR rows.

    Running again continues, and keeps what is finished.

    Example:

        symile-data reproduce xor --seeds 1 --epochs 40
    """
    from symile_data.experiments.xor import P_HATS
    from symile_data.workflows.paper.xor import XorSweep, sweep_p_hat

    p_hats = _numbers(p_hat, "--p-hat", P_HATS)
    sweep = XorSweep(out=out, dims=dims, seeds=seeds, epochs=epochs, workers=worker_count(workers))
    _report(sweep_p_hat(sweep, p_hats, this_run(out)), out, as_json)


@app.command("xor-missing")
def xor_missing(
    out: Annotated[Path, typer.Option(callback=no_dataset, help="Where the trials and the results go.")] = Path(
        "runs/reproduce-xor-missing"
    ),
    rates: Rates = None,
    seeds: Seeds = 3,
    dims: Dims = 5,
    epochs: Epochs = None,
    workers: Processes = 0,
    as_json: Json = False,
) -> None:
    """Measure Symile and CLIP on complete rows, while more and more variables are missing in training rows.

    Running again continues, and keeps what is finished.

    Example:

        symile-data reproduce xor-missing --rates 0,0.5 --seeds 1
    """
    from symile_data.experiments.xor import RATES
    from symile_data.workflows.paper.xor import XorSweep, sweep_missing

    asked = _numbers(rates, "--rates", RATES)
    sweep = XorSweep(out=out, dims=dims, seeds=seeds, epochs=epochs, workers=worker_count(workers))
    _report(sweep_missing(sweep, asked, this_run(out)), out, as_json)


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
    seeds: Annotated[
        int,
        typer.Option(min=1, callback=at_most(MOST_REPEATS), help="Seeds of the training, from 0; on the same data."),
    ] = 1,
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
    workers: Processes = 0,
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
    from symile_data.experiments import m3 as languages_experiment
    from symile_data.experiments import m3_keys as keys_experiment
    from symile_data.format.schema import SPLITS
    from symile_data.training.config import read_config
    from symile_data.workflows.configs.small_splits import bounded_batches
    from symile_data.workflows.paper.m3 import M3Sweep, sweep_keys, sweep_languages

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
    sweep = M3Sweep(
        out=out,
        config=config,
        rows=rows,
        changes=changes,
        images=None if images == "sample" else Path(images),
        seeds=seeds,
        workers=worker_count(workers),
    )
    if keys:
        numbers = _language_sets(langs, keys_experiment.LANGUAGES)
        results = sweep_keys(sweep, keys_experiment.key_points(numbers), this_run(out))
    else:
        numbers = _language_sets(langs, languages_experiment.LANGUAGES)
        asked_rates = _numbers(rates, "--rates", languages_experiment.RATES)
        results = sweep_languages(sweep, languages_experiment.points(numbers, asked_rates), this_run(out))
    _report(results, out, as_json)


def _language_sets(text: str | None, default: Sequence[int]) -> list[int]:
    """Parse distinct numbers of languages of the paper, in rising order."""
    from symile_data.experiments.m3 import LANGUAGES

    if text is None:
        return list(default)
    numbers = sorted({int(part) for part in text.split(",") if part.strip().isdecimal()})
    if not numbers or not set(numbers) <= set(LANGUAGES) or len(numbers) != len(text.split(",")):
        raise typer.BadParameter("it takes different ones of 2, 5 and 10, separated by commas", param_hint="--langs")
    return numbers


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


def _report(results: SweepResults, out: Path, as_json: bool) -> None:
    """Print the table and the notes of a sweep, or its points."""
    from symile_data.cli.output.tables import print_wide

    if as_json:
        say_json({"points": list(results.points)})
        return
    print_wide(results.table, "Test accuracy")
    for note in results.notes:
        say(note)
    say(f"figure, table and numbers: {out / 'results.png'}, results.md, results.json, leaderboard.csv")
