"""`symile-data reproduce`: the paper's experiments, run and summed up in a table and a figure."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from symile_data.cli.trials import Trial

app = typer.Typer(help="The paper's experiments, each with its table and figure.", no_args_is_help=True)

Seeds = Annotated[int, typer.Option(min=1, help="Seeds, from 0; each has data of its own.")]
Dims = Annotated[int, typer.Option(min=1, help="Bits of each variable.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Instead of the 100 of the paper.")]
Workers = Annotated[int, typer.Option(help="Processes; 0 for one per core.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def xor(
    out: Annotated[Path, typer.Option(help="Where the trials and the results go.")] = Path("runs/reproduce-xor"),
    p_hat: Annotated[str | None, typer.Option(help="Instead of 0, 0.1 ... 1: numbers with commas between.")] = None,
    seeds: Seeds = 3,
    dims: Dims = 5,
    epochs: Epochs = None,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """The paper's figure 3: accuracy of Symile and CLIP beside the Bayes-optimal one, over the share of XOR rows.

    Running again continues, and keeps what is finished.

    Example:

        symile-data reproduce xor --seeds 1 --epochs 40
    """
    from symile_data.builders.xor.spec import XorSpec
    from symile_data.cli.trials import run_trials
    from symile_data.experiments.figures import draw_p_hat
    from symile_data.experiments.xor import P_HATS, p_hat_row, p_hat_table

    values = _numbers(p_hat, "--p-hat", P_HATS)
    specs = [XorSpec(dims=dims, p_hat=value, seed=seed) for value in values for seed in range(seeds)]
    trials = [_trial(out / f"p-hat-{spec.p_hat:g}" / f"seed-{spec.seed}", spec, epochs) for spec in specs]
    found = run_trials("p-hat sweep", trials, _cores(workers))
    rows = [p_hat_row(value, dims, found[at * seeds : (at + 1) * seeds]) for at, value in enumerate(values)]
    draw_p_hat(out / "results.png", rows, dims)
    _report(out, trials[0], rows, p_hat_table(rows), as_json)


@app.command("xor-missing")
def xor_missing(
    out: Annotated[Path, typer.Option(help="Where the trials and the results go.")] = Path(
        "runs/reproduce-xor-missing"
    ),
    rates: Annotated[str | None, typer.Option(help="Missing rates, with commas between.")] = None,
    seeds: Seeds = 3,
    dims: Dims = 5,
    epochs: Epochs = None,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Accuracy of Symile and CLIP on complete rows, where training rows lack more and more of their variables.

    Running again continues, and keeps what is finished.

    Example:

        symile-data reproduce xor-missing --rates 0,0.5 --seeds 1
    """
    from symile_data.builders.xor.spec import XorSpec
    from symile_data.cli.trials import run_trials
    from symile_data.experiments.figures import draw_missing
    from symile_data.experiments.xor import RATES, missing_row, missing_table

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
    found = run_trials("missingness sweep", trials, _cores(workers))
    rows = [
        missing_row(value, len(names), dims, found[at * seeds : (at + 1) * seeds]) for at, value in enumerate(values)
    ]
    draw_missing(out / "results.png", rows)
    _report(out, trials[0], rows, missing_table(rows), as_json)


def _trial(directory: Path, spec: Any, epochs: int | None) -> Trial:
    from symile_data.cli.trials import Trial
    from symile_data.training.config import LOSSES, read_config

    changes = {"seed": spec.seed, **({} if epochs is None else {"epochs": epochs})}
    configs = {loss: read_config("xor", {**changes, "loss": loss}) for loss in LOSSES}
    return Trial(directory=directory, spec=spec, configs=configs)


def _numbers(text: str | None, option: str, default: Sequence[float]) -> list[float]:
    """Different numbers from 0 to 1, in rising order."""
    if text is None:
        return list(default)
    try:
        numbers = sorted({float(part) for part in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or not all(0 <= number <= 1 for number in numbers):
        raise typer.BadParameter("it takes numbers from 0 to 1 with commas between", param_hint=option)
    return numbers


def _cores(workers: int) -> int:
    return workers if workers > 0 else len(os.sched_getaffinity(0))


def _report(
    out: Path, first: Trial, rows: Sequence[Mapping[str, Any]], table: Sequence[Sequence[str]], as_json: bool
) -> None:
    """Write results.json and results.md, and print one of them."""
    from symile_data.experiments.xor import markdown
    from symile_data.files import pretty_json, write_text

    configs = {loss: config.to_json() for loss, config in first.configs.items()}
    write_text(out / "results.json", pretty_json({"configs": configs, "points": list(rows)}))
    write_text(out / "results.md", markdown(table))
    if as_json:
        print(json.dumps({"points": list(rows)}))
        return
    from rich.console import Console
    from rich.table import Table

    header, *body = table
    shown = Table(*header, title="Test accuracy")
    for cells in body:
        shown.add_row(*cells)
    Console().print(shown)
    print(f"figure, table and numbers: {out / 'results.png'}, results.md, results.json")
