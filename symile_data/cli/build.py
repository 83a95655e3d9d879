"""`symile-data build`: write a dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from symile_data.cli.common import Out, RowCount, Seed, Workers, command_line, report, worker_count
from symile_data.cli.m3_options import m3_request, with_m3_options

app = typer.Typer(help="Build a dataset: Parquet shards, card, statistics and manifest.", no_args_is_help=True)


@app.command()
@with_m3_options()
def m3(**options: Any) -> None:
    """Symile-M3: an image, a clip that names a language, and a text that names the image's class in that language.

    Needs no network and no download by default.

    Examples:

        symile-data build m3 --out build/symile-m3-10 --langs 10

        symile-data build m3 --out build/real --langs 5 --images /data/imagenet --size xs

        symile-data build m3 --out build/gaps --langs 2 --missing image=0.5,audio=0.5

        symile-data build m3 --out build/l --images /data/imagenet --size l --layout pooled

        symile-data build m3 --out build/human --langs 5 --audio common-voice:/data/cv-corpus-19.0
    """
    from symile_data.builders.m3.build import build_m3
    from symile_data.cards import write_card

    asked = m3_request(**options)
    manifest = build_m3(asked.spec, asked.out, workers=asked.workers, document=write_card, command=asked.command)
    report(asked.out, manifest)


@app.command()
def xor(
    out: Out,
    variables: Annotated[int, typer.Option(help="Variables; the last is the XOR of the others.")] = 3,
    dims: Annotated[int, typer.Option(help="Bits of each variable.")] = 5,
    p_hat: Annotated[float, typer.Option(help="Probability of the XOR; else the last copies the first.")] = 1.0,
    train: RowCount = None,
    validation: RowCount = None,
    test: RowCount = None,
    missing: Annotated[str, typer.Option(help="Rate of absent variables: 0.5, or a=0.5,c=0.1.")] = "0",
    missing_test: Annotated[bool, typer.Option("--missing-test", help="Take them from the test split too.")] = False,
    seed: Seed = 0,
    workers: Workers = 1,
) -> None:
    """Binary XOR, the paper's synthetic data (section 5.1): any two variables are independent of the third.

    Example:

        symile-data build xor --out build/xor --p-hat 0.8
    """
    from symile_data.builders.xor.build import build_xor
    from symile_data.builders.xor.spec import DEFAULT_ROWS, XorSpec
    from symile_data.cards import write_card
    from symile_data.missingness import parse_rates
    from symile_data.schema import SPLITS

    asked = (train, validation, test)
    rows = {split: default if n is None else n for split, default, n in zip(SPLITS, DEFAULT_ROWS, asked, strict=True)}
    spec = XorSpec(variables=variables, dims=dims, p_hat=p_hat, rows=rows, missing_test=missing_test, seed=seed)
    spec = replace(spec, missing=parse_rates(missing, spec.names))
    manifest = build_xor(spec, out, workers=worker_count(workers), document=write_card, command=command_line(out))
    report(out, manifest)
