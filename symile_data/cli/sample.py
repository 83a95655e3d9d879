"""`symile-data sample`: write a synthetic source tree in an official layout."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from symile_data.progress.amounts import counted

from .choices import languages
from .common import MOST_SAMPLES, MOST_SEED, at_most
from .output import say

app = typer.Typer(help="Write a small synthetic source in its official folder layout.", no_args_is_help=True)


@app.command()
def imagenet(
    directory: Annotated[Path, typer.Argument(help="Where to write ILSVRC/Data/CLS-LOC/train/<wnid>/*.JPEG.")],
    per_class: Annotated[int, typer.Option(min=1, callback=at_most(MOST_SAMPLES), help="Images of each class.")] = 64,
    seed: Annotated[int, typer.Option(min=0, callback=at_most(MOST_SEED), help="Same seed, same images.")] = 0,
) -> None:
    """Draw images of 140 ImageNet classes from emoji artwork (Twemoji, CC-BY 4.0).

    `build m3 --images` takes the folder.

    Example:

        symile-data sample imagenet build/sample-imagenet
    """
    from symile_data.builders.m3.images.sample import write_sample_imagenet

    count = write_sample_imagenet(directory, seed, per_class)
    images = quote(str(directory))
    say(f"{counted(count, 'image')} in {directory}; build with: symile-data build m3 --out OUT --images {images}")


@app.command("common-voice")
def common_voice(
    directory: Annotated[Path, typer.Argument(help="Where to write <locale>/{clips/*.mp3, train.tsv, ...}.")],
    clips: Annotated[
        int, typer.Option(min=6, callback=at_most(MOST_SAMPLES), help="Recordings of each language in its train table.")
    ] = 40,
    langs: Annotated[
        str,
        typer.Option(help="Languages: 2, 5, 10, or codes such as el,en.", autocompletion=languages),
    ] = "10",
    seed: Annotated[int, typer.Option(min=0, callback=at_most(MOST_SEED), help="Same seed, same recordings.")] = 0,
) -> None:
    """Write speech of espeak-ng in the layout of a Common Voice release.

    The recordings are MP3 at 48 kHz, of several speakers; `build m3 --audio common-voice:PATH` takes the folder.

    Example:

        symile-data sample common-voice build/cv-corpus-sample
    """
    from symile_data.builders.m3.audio.sample_common_voice import write_sample_common_voice
    from symile_data.builders.m3.text.languages import languages_of

    count = write_sample_common_voice(directory, languages_of(langs), clips, seed)
    audio = quote(f"common-voice:{directory}")
    say(f"{counted(count, 'recording')} in {directory}; build with: symile-data build m3 --out OUT --audio {audio}")


@app.command()
def mimic(
    directory: Annotated[Path, typer.Argument(help="Where to write mimic-iv/, mimic-cxr-jpg/ and mimic-iv-ecg/.")],
    patients: Annotated[
        int, typer.Option(min=20, callback=at_most(MOST_SAMPLES), help="Patients; each has one to three admissions.")
    ] = 600,
    seed: Annotated[int, typer.Option(min=0, callback=at_most(MOST_SEED), help="Same seed, same records.")] = 0,
    pair_information: Annotated[
        float, typer.Option(help="Probability with which the modalities share a bit, so that pairs tell something.")
    ] = 0.0,
) -> None:
    """Write invented patients in the layout of MIMIC-IV, MIMIC-CXR-JPG and MIMIC-IV-ECG.

    `build mimic` takes the three folders.

    Examples:

        symile-data sample mimic build/sample-mimic

        symile-data sample mimic build/sample-with-pairs --pair-information 0.5
    """
    from symile_data.builders.mimic.sample.release import sample_roots, write_sample_mimic

    count = write_sample_mimic(directory, patients, seed, pair_information)
    roots = sample_roots(directory)
    say(
        f"{counted(count, 'admission')} in {directory}; build with: symile-data build mimic --out OUT --mimic-iv "
        f"{quote(str(roots.mimic_iv))} --mimic-cxr {quote(str(roots.mimic_cxr))} "
        f"--mimic-ecg {quote(str(roots.mimic_ecg))}"
    )
