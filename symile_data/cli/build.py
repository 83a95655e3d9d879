"""`symile-data build`: write a dataset."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from symile_data.cores import worker_count

from .build_options.m3 import m3_request, with_m3_options
from .build_options.pid import pid_request, with_pid_options
from .build_options.reliability import Misaligned, MisalignedTest, NoiseLevel, Noisy, NoisyTest, reliability_of
from .common import MOST_SAMPLES, ExecutorName, Format, Out, RowCount, Seed, Workers, at_most, command_line, report
from .output import say

app = typer.Typer(help="Build a dataset: shards, card, statistics and manifest.", no_args_is_help=True)


@app.command()
@with_m3_options(
    inspect.Parameter("executor", inspect.Parameter.KEYWORD_ONLY, default="local", annotation=ExecutorName)
)
def m3(*, executor: str, **options: Any) -> None:
    """Build Symile-M3: an image, speech in some language, and a text that names the image's class in that language.

    The defaults need no network and no download.

    Examples:

        symile-data build m3 --out build/symile-m3-10 --langs 10

        symile-data build m3 --out build/real --langs 5 --images /data/imagenet --size xs

        symile-data build m3 --out build/gaps --langs 2 --missing image=0.5,audio=0.5

        symile-data build m3 --out build/l --images /data/imagenet --size l --layout pooled

        symile-data build m3 --out build/cluster --size xs --executor dask:10.0.0.7:8786

        symile-data build m3 --out build/human --langs 5 --audio common-voice:/data/cv-corpus-19.0
    """
    from symile_data.builders.m3.build import build_m3
    from symile_data.cards import write_card

    asked = m3_request(**options)
    manifest = build_m3(
        asked.spec, asked.out, workers=asked.workers, executor=executor, write_card=write_card, command=asked.command
    )
    report(asked.out, manifest)
    if asked.spec.mode == "overlap":  # the rule itself lets the text give more away than one word in W
        _report_ceilings(asked.out)


def _report_ceilings(out: Path) -> None:
    """Print the ceilings of a reader of the text alone, from the card's statistics."""
    from symile_data.cards import STATISTICS

    ceilings = json.loads((out / STATISTICS).read_text(encoding="utf-8")).get("ceilings", {})
    for split, found in ceilings.items():
        print(f"{split}: the text alone finds {found['text_alone']:.3f} of the images (see the card)")


@app.command()
def mimic(
    out: Out,
    sample: Annotated[bool, typer.Option("--sample", help="Synthetic records; needs no download or licence.")] = False,
    mimic_iv: Annotated[Path | None, typer.Option(help="MIMIC-IV 2.2 or 3.x: the folder that holds hosp/.")] = None,
    mimic_cxr: Annotated[
        Path | None, typer.Option(help="MIMIC-CXR-JPG: its tables and files/ (JPEGs, or MIMIC-CXR's DICOMs).")
    ] = None,
    mimic_ecg: Annotated[Path | None, typer.Option(help="MIMIC-IV-ECG: record_list.csv and files/.")] = None,
    patients: Annotated[int, typer.Option(callback=at_most(MOST_SAMPLES), help="Patients of the sample.")] = 600,
    pair_information: Annotated[
        float,
        typer.Option(help="Probability with which a sample's modalities share a bit, so that pairs tell something."),
    ] = 0.0,
    reference: Annotated[
        bool, typer.Option("--reference", help="The public pipeline's cohort, values and splits, with its defects.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Keep admissions with two of the three modalities.")
    ] = False,
    within_stay: Annotated[
        bool, typer.Option("--within-stay", help="Use nothing from before the stay's start or after its end.")
    ] = False,
    train: Annotated[int | None, typer.Option(help="Rows to train on; default: 80 %.")] = None,
    validation: Annotated[int | None, typer.Option(help="Rows to validate on; default: 10 %.")] = None,
    candidates: Annotated[int, typer.Option(help="Admissions in a retrieval set, the true one included.")] = 10,
    misaligned: Misaligned = "0",
    misaligned_test: MisalignedTest = False,
    noisy: Noisy = "0",
    noisy_test: NoisyTest = False,
    noise_level: NoiseLevel = "",
    shard_format: Format = "parquet",
    seed: Seed = 0,
    workers: Workers = 0,
    executor: ExecutorName = "local",
) -> None:
    """Build Symile-MIMIC: a chest X-ray, a 12-lead ECG and 50 blood tests of one hospital admission.

    With `--sample` the patients are invented, and nothing is downloaded.

    Examples:

        symile-data build mimic --out build/symile-mimic --sample

        symile-data build mimic --out build/with-pairs --sample --pair-information 0.5

        symile-data build mimic --out build/swapped --sample --misaligned cxr=0.3 --noisy ecg=0.5,labs=0.5

        symile-data build mimic --out build/real --mimic-iv mimiciv/3.1 --mimic-cxr mimic-cxr-jpg/2.1.0
        --mimic-ecg mimic-iv-ecg/1.0
    """
    from symile_data.builders.mimic.build import build_mimic
    from symile_data.builders.mimic.spec import MimicSpec, Roots
    from symile_data.cards import write_card
    from symile_data.datasets.mimic.schema import MODALITIES

    folders = {"--mimic-iv": mimic_iv, "--mimic-cxr": mimic_cxr, "--mimic-ecg": mimic_ecg}
    _check_sources(sample, folders)
    roots = None
    if mimic_iv is not None and mimic_cxr is not None and mimic_ecg is not None:
        roots = Roots(mimic_iv=mimic_iv, mimic_cxr=mimic_cxr, mimic_ecg=mimic_ecg)
    spec = MimicSpec(
        roots=roots,
        patients=patients,
        pair_information=pair_information,
        reference=reference,
        allow_missing=allow_missing,
        within_stay=within_stay,
        train=train,
        validation=validation,
        candidates=candidates,
        reliability=reliability_of(
            [modality.name for modality in MODALITIES], misaligned, misaligned_test, noisy, noisy_test, noise_level
        ),
        shard_format=shard_format,
        seed=seed,
    )
    paths = [path for path in (out, *folders.values()) if path is not None]
    manifest = build_mimic(
        spec, out, workers=worker_count(workers), executor=executor, write_card=write_card, command=command_line(*paths)
    )
    report(out, manifest)


@app.command()
@with_pid_options(
    inspect.Parameter("executor", inspect.Parameter.KEYWORD_ONLY, default="local", annotation=ExecutorName)
)
def pid(*, executor: str, **options: Any) -> None:
    """Build PID data, whose redundant, unique and synergistic information is set by blocks and known exactly.

    Relations: redundant, synergistic, private, xor (docs/pid.md). The card has every information term and every Bayes
    accuracy.

    Examples:

        symile-data build pid --out build/pid

        symile-data build pid --out build/trifeature --preset trifeature

        symile-data build pid --out build/own --modality image --modality text --modality touch
        --block redundant:image+text:n=10 --block synergistic:image+text+touch:n=4
    """
    from symile_data.builders.pid.build import build_pid
    from symile_data.cards import write_card

    asked = pid_request(**options)
    manifest = build_pid(
        asked.spec, asked.out, workers=asked.workers, executor=executor, write_card=write_card, command=asked.command
    )
    report(asked.out, manifest)
    for note in manifest.notes:
        say(f"symile-data: {note}", error=True)


@app.command()
def xor(
    out: Out,
    variables: Annotated[int, typer.Option(min=3, max=26, help="Variables; the last is the XOR of the others.")] = 3,
    dims: Annotated[int, typer.Option(min=1, max=63, help="Bits of each variable.")] = 5,
    p_hat: Annotated[
        float, typer.Option(min=0, max=1, help="Probability of the XOR; else the last copies the first.")
    ] = 1.0,
    train: RowCount = None,
    validation: RowCount = None,
    test: RowCount = None,
    missing: Annotated[str, typer.Option(help="Rate of absent variables: 0.5, or a=0.5,c=0.1.")] = "0",
    missing_test: Annotated[
        bool, typer.Option("--missing-test", help="Make them missing in the test split too.")
    ] = False,
    misaligned: Misaligned = "0",
    misaligned_test: MisalignedTest = False,
    noisy: Noisy = "0",
    noisy_test: NoisyTest = False,
    noise_level: NoiseLevel = "",
    shard_format: Format = "parquet",
    seed: Seed = 0,
    workers: Workers = 1,
    executor: ExecutorName = "local",
) -> None:
    """Build binary XOR, the paper's synthetic data (section 5.1).

    At p-hat 1 any two variables are independent, and the third is their XOR.

    Example:

        symile-data build xor --out build/xor --p-hat 0.8
    """
    from symile_data.builders.xor.build import build_xor
    from symile_data.builders.xor.spec import DEFAULT_ROWS, XorSpec
    from symile_data.cards import write_card
    from symile_data.format.schema import SPLITS
    from symile_data.missingness import parse_rates

    asked = (train, validation, test)
    rows = {split: default if n is None else n for split, default, n in zip(SPLITS, DEFAULT_ROWS, asked, strict=True)}
    spec = XorSpec(variables=variables, dims=dims, p_hat=p_hat, rows=rows, missing_test=missing_test, seed=seed)
    spec = replace(
        spec,
        missing=parse_rates(missing, spec.names),
        reliability=reliability_of(spec.names, misaligned, misaligned_test, noisy, noisy_test, noise_level),
        shard_format=shard_format,
    )
    manifest = build_xor(
        spec, out, workers=worker_count(workers), executor=executor, write_card=write_card, command=command_line(out)
    )
    report(out, manifest)


def _check_sources(sample: bool, folders: Mapping[str, Path | None]) -> None:
    """Check that either the sample or all three releases are requested."""
    from symile_data.errors import UsageError

    given = [option for option, folder in folders.items() if folder is not None]
    if sample and given:
        raise UsageError("--sample takes no folders", got=", ".join(given), do="leave one of the two out")
    if not sample and len(given) < len(folders):
        absent = ", ".join(option for option in folders if option not in given)
        raise UsageError(
            "Symile-MIMIC is made from three releases", got=f"no {absent}", do="give all three, or take --sample"
        )
