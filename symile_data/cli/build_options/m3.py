"""The options of `symile-data build m3`, declared once: `plan m3` takes the same."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symile_data.cores import worker_count

from ..choices import Layout, Mode, Size, SplitPolicy, languages, one_of, several_of
from ..common import Format, Out, RowCount, Seed, Workers, command_line
from .reliability import Misaligned, MisalignedTest, NoiseLevel, Noisy, NoisyTest, reliability_of
from .shared import with_options_of

if TYPE_CHECKING:
    from symile_data.builders.m3.spec import M3Spec


@dataclass(frozen=True, kw_only=True)
class M3Request:
    """A build that a command line requests.

    Args:
        spec: What to build.
        out: Output directory.
        workers: Number of worker processes.
        command: The command line for the card.
    """

    spec: M3Spec
    out: Path
    workers: int
    command: str


def with_m3_options(*others: inspect.Parameter) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the parameters of `m3_request` and some others; it is called with their values.

    Args:
        others: Keyword parameters of the verb, in place of those of the same name or behind all.
    """
    return with_options_of(m3_request, others)


def m3_request(
    out: Out,
    langs: Annotated[
        str,
        typer.Option(
            help="Languages: 2 (el en), 5 (el en hi ja uk), 10, or codes such as el,en,fr (symile-data languages).",
            autocompletion=languages,
        ),
    ] = "10",
    size: Annotated[Size | None, typer.Option(help="A published size, in place of rows of each split.")] = None,
    train: RowCount = None,
    validation: RowCount = None,
    test: RowCount = None,
    words: Annotated[int | None, typer.Option(help="Words in a text; default: one for each language.")] = None,
    mode: Annotated[
        Mode, typer.Option(help="disjoint: every word has its own class and language; overlap: words may share them.")
    ] = "disjoint",
    splits: Annotated[
        SplitPolicy, typer.Option(help="disjoint: each split has its own media; shared: as in the paper.")
    ] = "disjoint",
    images: Annotated[
        str,
        typer.Option(
            help="'sample' (drawn here), an ImageNet folder, or hf:REPO[@REVISION].",
            autocompletion=one_of("sample", "hf:"),
        ),
    ] = "sample",
    audio: Annotated[
        str,
        typer.Option(
            help="'espeak', 'gtts' (online) or common-voice:PATH.",
            autocompletion=one_of("espeak", "gtts", "common-voice:"),
        ),
    ] = "espeak",
    translations: Annotated[
        str,
        typer.Option(
            help="'bundled', a names table (TSV: wnid, en, codes), 'google' or 'mymemory' (online).",
            autocompletion=one_of("bundled", "google", "mymemory"),
        ),
    ] = "bundled",
    manual: Annotated[
        Path | None, typer.Option(help="Names that replace others: a TSV of the same form; empty cells change nothing.")
    ] = None,
    skip_unnamed_classes: Annotated[
        bool,
        typer.Option("--skip-unnamed-classes", help="Leave out classes that lack a name in a language of the build."),
    ] = False,
    sentences: Annotated[
        Path | None, typer.Option(help="Sentences to speak (TSV: sentence_id, codes) for the languages it has.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Directory of online answers; default: the user's cache.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop where an online engine fails; default: the bundled name or voice.")
    ] = False,
    missing: Annotated[str, typer.Option(help="Rate of absent modalities: 0.5, or image=0.5,audio=0.1.")] = "0",
    missing_test: Annotated[
        bool, typer.Option("--missing-test", help="Make modalities missing in the test split too.")
    ] = False,
    misaligned: Misaligned = "0",
    misaligned_test: MisalignedTest = False,
    noisy: Noisy = "0",
    noisy_test: NoisyTest = False,
    noise_level: NoiseLevel = "",
    image_size: Annotated[
        int | None, typer.Option(help="Shrink images to this shorter side; default: as they are.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Rebuild a published dataset row for row: its train.csv, or the folder of CSVs.")
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(help="shards: every row has its media; pooled: each image and audio once, in other tables."),
    ] = "shards",
    keys: Annotated[
        str | None,
        typer.Option(
            help="Further modalities that only together with the audio name the word: symbol, tone, code.",
            autocompletion=several_of("symbol", "tone", "code"),
        ),
    ] = None,
    shard_format: Format = "parquet",
    seed: Seed = 0,
    workers: Workers = 0,
) -> M3Request:
    """Make a request of the values of the options.

    Raises:
        UsageError: options contradict each other.
    """
    from symile_data.builders.m3.images.hub import parse_hub
    from symile_data.builders.m3.spec import DEFAULT_ROWS, SIZES, M3Spec
    from symile_data.builders.m3.text.languages import languages_of
    from symile_data.builders.m3.text.translate import ENGINES
    from symile_data.datasets.m3.keys import parse_keys
    from symile_data.datasets.m3.schema import m3_modalities
    from symile_data.errors import UsageError
    from symile_data.format.schema import SPLITS
    from symile_data.missingness import parse_rates

    if plan is not None and (size, train, validation, test, words) != (None,) * 5:
        raise UsageError("--plan decides the rows and the words", do="leave out --size, --train, --words and the like")
    defaults = DEFAULT_ROWS if size is None else SIZES[size]
    asked = (train, validation, test)
    if not re.fullmatch(r"\s*-?\d+\s*|.*,.*", langs):
        raise typer.BadParameter(f"it takes 2, 5, 10 or codes separated by commas; got {langs!r}", param_hint="--langs")
    codes = languages_of(langs.strip())
    speaker, colon, recordings = audio.partition(":")
    extra = () if keys is None else parse_keys(keys)
    engine = translations if translations in ENGINES else None
    names = [modality.name for modality in m3_modalities(extra)]
    spec = M3Spec(
        languages=codes,
        words=len(codes) if words is None else words,
        mode=mode,
        rows={split: default if n is None else n for split, default, n in zip(SPLITS, defaults, asked, strict=True)},
        split_policy=splits,
        images=None if images == "sample" else parse_hub(images) or Path(images),
        audio=speaker,  # type: ignore[arg-type]  # checked by M3Spec
        recordings=Path(recordings) if colon else None,
        sentences=sentences,
        names=None if translations == "bundled" or engine else Path(translations),
        engine=engine,
        manual=manual,
        skip_unnamed_classes=skip_unnamed_classes,
        cache=cache,
        strict=strict,
        missing=parse_rates(missing, names),
        missing_test=missing_test,
        reliability=reliability_of(names, misaligned, misaligned_test, noisy, noisy_test, noise_level),
        image_size=image_size,
        shard_format=shard_format,
        seed=seed,
        plan=plan,
        layout=layout,
        keys=extra,
    )
    paths = [path for path in (out, images, translations, manual, sentences, cache, plan) if path is not None]
    return M3Request(spec=spec, out=out, workers=worker_count(workers), command=command_line(*paths))
