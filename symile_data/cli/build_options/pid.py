"""The options of `symile-data build pid`, declared once: `plan pid` takes the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symile_data.arguments import MOST_ROWS
from symile_data.cores import worker_count

from ..choices import Preset, Sounds
from ..common import Format, Out, RowCount, Seed, Workers, at_most, command_line
from .reliability import Misaligned, MisalignedTest, NoiseLevel, Noisy, NoisyTest, reliability_of
from .shared import with_options_of

if TYPE_CHECKING:
    from symile_data.builders.pid.spec import PidSpec
    from symile_data.datasets.pid import Design


@dataclass(frozen=True, kw_only=True)
class PidRequest:
    """A build that a command line requests.

    Args:
        spec: What to build.
        out: Output directory.
        workers: Number of worker processes.
        command: The command line for the card.
    """

    spec: PidSpec
    out: Path
    workers: int
    command: str


def with_pid_options(*others: inspect.Parameter) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the parameters of `pid_request` and some others; it is called with their values.

    Args:
        others: Keyword parameters of the verb, in place of those of the same name or behind all.
    """
    return with_options_of(pid_request, others)


def pid_request(
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
        Preset | None, typer.Option(help="A design by name; mixed where no option names another design.")
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=10, callback=at_most(MOST_ROWS), help="Rows of all splits together: 80, 10 and 10 %."),
    ] = None,
    train: RowCount = None,
    validation: RowCount = None,
    test: RowCount = None,
    missing: Annotated[str, typer.Option(help="Rate of absent modalities: 0.5, or image=0.5,audio=0.1.")] = "0",
    missing_test: Annotated[
        bool, typer.Option("--missing-test", help="Take modalities from the test split too.")
    ] = False,
    misaligned: Misaligned = "0",
    misaligned_test: MisalignedTest = False,
    noisy: Noisy = "0",
    noisy_test: NoisyTest = False,
    noise_level: NoiseLevel = "",
    sounds: Annotated[Sounds, typer.Option(help="What audio shows symbols by: spoken words, or tones.")] = "words",
    shard_format: Format = "parquet",
    seed: Seed = 0,
    workers: Workers = 0,
) -> PidRequest:
    """Make the request from the options.

    Raises:
        UsageError: the options do not go together, or the design cannot be built.
    """
    from symile_data.builders.pid.spec import PidSpec
    from symile_data.missingness import parse_rates

    asked = chosen_design(modality or (), block or (), design, preset)
    spec = PidSpec(
        design=asked,
        rows=split_rows(asked, rows, (train, validation, test)),
        missing=parse_rates(missing, asked.names),
        missing_test=missing_test,
        reliability=reliability_of(asked.names, misaligned, misaligned_test, noisy, noisy_test, noise_level),
        sounds=sounds,
        shard_format=shard_format,
        seed=seed,
    )
    paths = [path for path in (out, design) if path is not None]
    return PidRequest(spec=spec, out=out, workers=worker_count(workers), command=command_line(*paths))


def chosen_design(modalities: Sequence[str], blocks: Sequence[str], file: Path | None, preset: Preset | None) -> Design:
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
