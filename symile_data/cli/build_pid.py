"""`symile-data build pid`: data with dialled redundancy, unique information and synergy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import MOST_ROWS, ExecutorName, Format, Out, RowCount, Seed, Workers, command_line, report, worker_count
from .output import say

if TYPE_CHECKING:
    from symile_data.datasets.pid import Design


def pid(
    out: Out,
    modality: Annotated[
        list[str] | None,
        typer.Option(help="A modality: NAME=KIND, or NAME alone (kinds: vector, image, audio, text)."),
    ] = None,
    block: Annotated[
        list[str] | None,
        typer.Option(help="RELATION:SCOPE:n=N[:p=P][:name=NAME][:group=xor|cyclic], scope as image+text."),
    ] = None,
    design: Annotated[
        Path | None, typer.Option(help="A design file (TOML) in place of --modality and --block.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="A design by name: mixed (the default), xor, xnor, redundant, trifeature.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=10, max=MOST_ROWS, help="Rows of all splits together: 80, 10 and 10 %.")
    ] = None,
    train: RowCount = None,
    validation: RowCount = None,
    test: RowCount = None,
    missing: Annotated[str, typer.Option(help="Rate of absent modalities: 0.5, or image=0.5,audio=0.1.")] = "0",
    missing_test: Annotated[
        bool, typer.Option("--missing-test", help="Take modalities from the test split too.")
    ] = False,
    shard_format: Format = "parquet",
    seed: Seed = 0,
    workers: Workers = 0,
    executor: ExecutorName = "local",
) -> None:
    """PID data: every amount of redundant, unique and synergistic information is set by blocks, and known exactly.

    Relations: redundant, synergistic, private, xor (docs/pid.md). The card has every information term and every Bayes
    accuracy.

    Examples:

        symile-data build pid --out build/pid

        symile-data build pid --out build/trifeature --preset trifeature

        symile-data build pid --out build/own --modality image --modality text --modality touch
        --block redundant:image+text:n=10 --block synergistic:image+text+touch:n=4
    """
    from symile_data.builders.pid.build import build_pid
    from symile_data.builders.pid.spec import PidSpec
    from symile_data.cards import write_card
    from symile_data.missingness import parse_rates

    asked = chosen_design(modality or (), block or (), design, preset)
    spec = PidSpec(
        design=asked,
        rows=split_rows(asked, rows, (train, validation, test)),
        missing=parse_rates(missing, asked.names),
        missing_test=missing_test,
        shard_format=shard_format,
        seed=seed,
    )
    paths = [path for path in (out, design) if path is not None]
    manifest = build_pid(
        spec, out, workers=worker_count(workers), executor=executor, write_card=write_card, command=command_line(*paths)
    )
    report(out, manifest)
    for note in manifest.notes:
        say(f"symile-data: {note}", error=True)


def chosen_design(modalities: Sequence[str], blocks: Sequence[str], file: Path | None, preset: str | None) -> Design:
    """The design that the options name.

    Raises:
        UsageError: the options name several designs, or one that cannot be built.
    """
    from symile_data.datasets.pid import DEFAULT_PRESET, PRESETS, Design, block_of, read_design
    from symile_data.datasets.pid.parse import modalities_of
    from symile_data.errors import UsageError

    if file is not None:
        if modalities or blocks or preset:
            raise UsageError("--design takes the place of --preset, --modality and --block", do="leave one of them out")
        return read_design(file)
    if blocks:
        if preset:
            raise UsageError("--preset brings its own blocks", do="leave out --preset or --block")
        return Design(modalities=modalities_of(modalities), blocks=tuple(block_of(text) for text in blocks))
    name = preset or DEFAULT_PRESET
    if name not in PRESETS:
        raise UsageError("unknown --preset", got=repr(name), do=f"choose among {', '.join(PRESETS)}")
    if modalities and not preset:
        raise UsageError(
            "--modality needs blocks", do="give --block, or --preset to change the kinds of its modalities"
        )
    kinds = modalities_of(modalities)
    unknown = sorted(set(kinds) - set(PRESETS[name].names))
    if unknown:
        known = ", ".join(PRESETS[name].names)
        raise UsageError(f"--preset {name} has no such modality", got=repr(unknown[0]), do=f"choose among {known}")
    return Design(modalities={**PRESETS[name].modalities, **kinds}, blocks=PRESETS[name].blocks, name=name)


def split_rows(design: Design, total: int | None, asked: Sequence[int | None]) -> dict[str, int]:
    """Rows of each split: as asked, or 80, 10 and 10 % of a total, or the defaults.

    Raises:
        UsageError: a total and rows of a split are given.
    """
    from symile_data.builders.pid.spec import default_rows
    from symile_data.errors import UsageError
    from symile_data.format.schema import SPLITS

    if total is None:
        defaults = default_rows(design)
        return {split: defaults[split] if n is None else n for split, n in zip(SPLITS, asked, strict=True)}
    if any(n is not None for n in asked):
        raise UsageError(
            "--rows is divided among the splits", do="leave out --rows, or --train, --validation and --test"
        )
    tenth = total // 10
    return dict(zip(SPLITS, (total - 2 * tenth, tenth, tenth), strict=True))
