"""`symile-data build`: write a dataset."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from symile_data.manifest import Manifest

app = typer.Typer(help="Build a dataset: shards, card, statistics and manifest.", no_args_is_help=True)

Out = Annotated[Path, typer.Option(help="Directory to build in; an interrupted build there is finished.")]
Seed = Annotated[int, typer.Option(help="Decides everything random; same seed, same bytes.")]
Workers = Annotated[int, typer.Option(help="Worker processes (0: one per core). The bytes do not depend on it.")]
Format = Annotated[
    str, typer.Option("--format", help="Of the shards: parquet or webdataset (tar); docs/formats.md compares them.")
]
RowCount = Annotated[int | None, typer.Option(min=0, help="Rows of this split.")]


@app.command()
def m3(
    out: Out,
    langs: Annotated[
        str, typer.Option(help="Languages: 2 (el en), 5 (el en hi ja uk), 10, or codes such as el,en,fr.")
    ] = "10",
    size: Annotated[str | None, typer.Option(help="The published sizes: xs, s, m or l.")] = None,
    train: RowCount = None,
    validation: RowCount = None,
    test: RowCount = None,
    words: Annotated[int | None, typer.Option(help="Words in a text; default: one for each language.")] = None,
    mode: Annotated[
        str, typer.Option(help="disjoint: every word has its own class and language; overlap: not so.")
    ] = "disjoint",
    splits: Annotated[
        str, typer.Option(help="disjoint: each split has its own media; shared: as in the paper.")
    ] = "disjoint",
    images: Annotated[
        str, typer.Option(help="'sample' (drawn here), an ImageNet folder, or hf:REPO[@REVISION].")
    ] = "sample",
    audio: Annotated[str, typer.Option(help="'espeak', 'gtts' (online) or common-voice:PATH.")] = "espeak",
    translations: Annotated[
        str, typer.Option(help="'bundled', a names table (TSV: wnid, en, codes), 'google' or 'mymemory' (online).")
    ] = "bundled",
    manual: Annotated[
        Path | None, typer.Option(help="Names that take the place of others: the same TSV, empty cells change nothing.")
    ] = None,
    sentences: Annotated[
        Path | None, typer.Option(help="Sentences to speak (TSV: sentence_id, codes) for the languages it has.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Directory of online answers; default: the user's cache.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop where an online engine fails; default: the bundled name or voice.")
    ] = False,
    missing: Annotated[str, typer.Option(help="Rate of absent modalities: 0.5, or image=0.5,audio=0.1.")] = "0",
    missing_test: Annotated[
        bool, typer.Option("--missing-test", help="Take modalities from the test split too.")
    ] = False,
    image_size: Annotated[
        int | None, typer.Option(help="Shrink pictures to this shorter side; default: as they are.")
    ] = None,
    shard_format: Format = "parquet",
    seed: Seed = 0,
    workers: Workers = 0,
) -> None:
    """Symile-M3: an image, a clip that names a language, and a text that names the image's class in that language.

    Needs no network and no download by default.

    Examples:

        symile-data build m3 --out build/symile-m3-10 --langs 10

        symile-data build m3 --out build/real --langs 5 --images /data/imagenet --size xs

        symile-data build m3 --out build/gaps --langs 2 --missing image=0.5,audio=0.5

        symile-data build m3 --out build/human --langs 5 --audio common-voice:/data/cv-corpus-19.0
    """
    from symile_data.builders.m3.build import build_m3
    from symile_data.builders.m3.hub_pictures import parse_hub
    from symile_data.builders.m3.languages import languages_of
    from symile_data.builders.m3.schema import MODALITIES
    from symile_data.builders.m3.spec import DEFAULT_ROWS, SIZES, M3Spec
    from symile_data.builders.m3.translate import ENGINES
    from symile_data.cards import write_card
    from symile_data.errors import UsageError
    from symile_data.missingness import parse_rates
    from symile_data.schema import SPLITS
    from symile_data.words import MODES

    if size is not None and size not in SIZES:
        raise UsageError("unknown --size", got=repr(size), do=f"choose among {', '.join(SIZES)}")
    if mode not in MODES:
        raise UsageError("unknown --mode", got=repr(mode), do=f"choose among {', '.join(MODES)}")
    defaults = DEFAULT_ROWS if size is None else SIZES[size]
    asked = (train, validation, test)
    if not re.fullmatch(r"\s*-?\d+\s*|.*,.*", langs):
        raise typer.BadParameter("it takes 2, 5, 10 or codes with commas between", param_hint="--langs")
    languages = languages_of(langs.strip())
    speaker, colon, recordings = audio.partition(":")
    engine = translations if translations in ENGINES else None
    spec = M3Spec(
        languages=languages,
        words=len(languages) if words is None else words,
        mode=mode,  # type: ignore[arg-type]  # one of MODES, checked above
        rows={split: default if n is None else n for split, default, n in zip(SPLITS, defaults, asked, strict=True)},
        split_policy=splits,  # type: ignore[arg-type]  # checked by M3Spec
        images=None if images == "sample" else parse_hub(images) or Path(images),
        audio=speaker,  # type: ignore[arg-type]  # checked by M3Spec
        recordings=Path(recordings) if colon else None,
        sentences=sentences,
        names=None if translations == "bundled" or engine else Path(translations),
        engine=engine,
        manual=manual,
        cache=cache,
        strict=strict,
        missing=parse_rates(missing, [modality.name for modality in MODALITIES]),
        missing_test=missing_test,
        image_size=image_size,
        shard_format=shard_format,
        seed=seed,
    )
    paths = [path for path in (out, images, translations, manual, sentences, cache) if path is not None]
    manifest = build_m3(spec, out, workers=worker_count(workers), document=write_card, command=command_line(*paths))
    report(out, manifest)


@app.command()
def mimic(
    out: Out,
    sample: Annotated[bool, typer.Option("--sample", help="Synthetic records; needs no download or licence.")] = False,
    mimic_iv: Annotated[Path | None, typer.Option(help="MIMIC-IV 2.2 or 3.x: the folder that holds hosp/.")] = None,
    mimic_cxr: Annotated[
        Path | None, typer.Option(help="MIMIC-CXR-JPG: its tables and files/ (JPEGs, or MIMIC-CXR's DICOMs).")
    ] = None,
    mimic_ecg: Annotated[Path | None, typer.Option(help="MIMIC-IV-ECG: record_list.csv and files/.")] = None,
    patients: Annotated[int, typer.Option(help="Patients of the sample.")] = 600,
    reference: Annotated[
        bool, typer.Option("--reference", help="The public pipeline's cohort, values and splits, oddities included.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Keep admissions with two of the three modalities.")
    ] = False,
    within_stay: Annotated[
        bool, typer.Option("--within-stay", help="Nothing from before the stay's start or after its end.")
    ] = False,
    train: Annotated[int | None, typer.Option(help="Rows to train on; default: 80 %.")] = None,
    validation: Annotated[int | None, typer.Option(help="Rows to validate on; default: 10 %.")] = None,
    candidates: Annotated[int, typer.Option(help="Admissions in a retrieval set, the true one included.")] = 10,
    shard_format: Format = "parquet",
    seed: Seed = 0,
    workers: Workers = 0,
) -> None:
    """Symile-MIMIC: a chest X-ray, a 12-lead ECG and 50 blood tests of one hospital admission.

    Examples:

        symile-data build mimic --out build/symile-mimic --sample

        symile-data build mimic --out build/real --mimic-iv mimiciv/3.1 --mimic-cxr mimic-cxr-jpg/2.1.0
        --mimic-ecg mimic-iv-ecg/1.0
    """
    from symile_data.builders.mimic.build import build_mimic
    from symile_data.builders.mimic.spec import MimicSpec, Roots
    from symile_data.cards import write_card

    folders = {"--mimic-iv": mimic_iv, "--mimic-cxr": mimic_cxr, "--mimic-ecg": mimic_ecg}
    _check_sources(sample, folders)
    roots = None
    if mimic_iv is not None and mimic_cxr is not None and mimic_ecg is not None:
        roots = Roots(mimic_iv=mimic_iv, mimic_cxr=mimic_cxr, mimic_ecg=mimic_ecg)
    spec = MimicSpec(
        roots=roots,
        patients=patients,
        reference=reference,
        allow_missing=allow_missing,
        within_stay=within_stay,
        train=train,
        validation=validation,
        candidates=candidates,
        shard_format=shard_format,
        seed=seed,
    )
    paths = [path for path in (out, *folders.values()) if path is not None]
    manifest = build_mimic(spec, out, workers=worker_count(workers), document=write_card, command=command_line(*paths))
    report(out, manifest)


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
    shard_format: Format = "parquet",
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
    spec = replace(spec, missing=parse_rates(missing, spec.names), shard_format=shard_format)
    manifest = build_xor(spec, out, workers=worker_count(workers), document=write_card, command=command_line(out))
    report(out, manifest)


def _check_sources(sample: bool, folders: Mapping[str, Path | None]) -> None:
    """Either the sample or all three releases."""
    from symile_data.errors import UsageError

    given = [option for option, folder in folders.items() if folder is not None]
    if sample and given:
        raise UsageError("--sample takes no folders", got=", ".join(given), do="leave one of the two out")
    if not sample and len(given) < len(folders):
        absent = ", ".join(option for option in folders if option not in given)
        raise UsageError("Symile-MIMIC is made from three releases", got=f"no {absent}", do="give it, or take --sample")


def worker_count(asked: int) -> int:
    """Worker processes: as asked, or one for each core."""
    return asked if asked > 0 else len(os.sched_getaffinity(0))


def command_line(*paths: Path | str) -> str:
    """The command line as the card shows it: directories of this machine by their last part only."""
    known = {Path(path) for path in paths}
    return shlex.join(["symile-data", *(_without_directories(word, known) for word in sys.argv[1:])])


def _without_directories(word: str, known: set[Path]) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    for prefix in ("common-voice:", "hf:"):
        path = value.removeprefix(prefix)
        if path != value and Path(path).is_dir():
            return option + equals + prefix + Path(path).resolve().name
    return option + equals + (Path(value).resolve().name if value and Path(value) in known else value)


def report(out: Path, manifest: Manifest) -> None:
    """Say what was built, and what was left out."""
    rows = ", ".join(f"{rows:,} {split}" for split, rows in manifest.splits.items())
    size = sum(entry.bytes for entry in manifest.files)
    print(f"{manifest.identity.dataset} in {out}: {rows} rows, {size / 1e6:,.0f} MB")
    for entry in manifest.dropped:
        examples = f", such as {', '.join(entry.examples[:2])}" if entry.examples else ""
        print(f"dropped: {entry.count} ({entry.reason}){examples}")
    print(f"load it with: datasets.load_dataset({str(out)!r})")
