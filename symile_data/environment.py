"""Examine what this machine offers symile-data, and say what each gap costs. Nothing is installed or changed."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from pathlib import Path
from typing import Literal

from symile_data import __version__

from .cores import usable_cores
from .errors import install_command
from .extras import DISTRIBUTION, packages_by_extra

Status = Literal["ok", "gap", "problem"]

_ROOM_BYTES = 2_000_000_000  # a default build with its intermediate files, and some to spare
_VERSION_TIMEOUT_S = 10
_TORCHCODEC = "0.13.0"  # for torch 2.11 and later
_FFMPEG = "4 to 8, with shared libraries; ffmpeg on Debian and Ubuntu"

# Extra -> what does not work without it.
_COSTS = {
    "speech": "no synthetic speech: a build of M3 needs `recordings`",
    "m3": "no sample images: a build of M3 needs `images=PATH`",
    "online": "no online translation and no Google speech; the bundled names and voices need neither",
    "audio": "no log-mel spectrograms; waveforms need nothing more",
    "train": "no batches of tensors, losses or training; building, verifying and datasets.load_dataset work",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check.

    Args:
        name: Name of the check.
        status: "ok"; "gap" if something optional is missing; "problem" if nothing works without it.
        found: What the machine has.
        cost: What does not work because of a gap or problem.
        do: How to close it.
    """

    name: str
    status: Status
    found: str
    cost: str = ""
    do: str = ""


def examine(directory: Path) -> Iterator[Finding]:
    """Check versions, packages, codecs, programs, the accelerator, memory, and the disk that holds `directory`."""
    yield Finding(
        name="symile-data",
        status="ok",
        found=f"{__version__}, Python {platform.python_version()}, {platform.platform()}",
    )
    yield from packages(metadata.requires(DISTRIBUTION) or [])
    yield _image_codecs()
    yield _audio_codecs()
    yield _decoding_in_datasets()
    yield _ffmpeg()
    yield _accelerator()
    yield _memory()
    yield disk(directory)


def packages(requirements: list[str]) -> Iterator[Finding]:
    """Yield one finding for the required packages and one for each extra.

    Args:
        requirements: Requirement strings of a distribution's metadata: 'torch>=2.6; extra == "train"'.
    """
    for extra, names in packages_by_extra(requirements).items():
        versions = {name: _version(name) for name in names}
        absent = [name for name, version in versions.items() if version is None]
        found = ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items())
        if not extra:
            yield Finding(
                name="packages",
                status="problem" if absent else "ok",
                found=found,
                cost="nothing works without them" if absent else "",
                do=installation() if absent else "",
            )
        elif absent:
            cost = _COSTS.get(extra, "what needs it is refused, with the command that installs it")
            yield Finding(name=f"extra {extra}", status="gap", found=found, cost=cost, do=installation(extra))
        else:
            yield Finding(name=f"extra {extra}", status="ok", found=found)


def installation(extra: str = "") -> str:
    """Say how to install an extra ("" for the required packages), and where a checkout is not the working directory."""
    command, checkout = install_command(extra)
    return command if checkout in (None, Path.cwd()) else f"in {checkout}, {command}"


def disk(directory: Path) -> Finding:
    """Check the free space of the disk that holds a directory, which need not exist."""
    place = next(path for path in (directory.resolve(), *directory.resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:,.0f} GB free at {place}"
    if free >= _ROOM_BYTES:
        return Finding(name="disk", status="ok", found=found)
    return Finding(
        name="disk",
        status="gap",
        found=found,
        cost="a default build may not fit; an interrupted one keeps its finished shards",
        do="free some space, or choose another disk with `out`",
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _image_codecs() -> Finding:
    from PIL import features

    wanted = {"JPEG": "jpg", "PNG": "zlib", "WebP": "webp"}
    absent = [name for name, codec in wanted.items() if not features.check(codec)]
    return Finding(
        name="image codecs",
        status="gap" if absent else "ok",
        found=", ".join(name for name in wanted if name not in absent),
        cost=f"images in {', '.join(absent)} count as unreadable" if absent else "",
        do="install pillow's wheel instead of building it" if absent else "",
    )


def _audio_codecs() -> Finding:
    import soundfile

    known = soundfile.available_formats()
    wanted = {"FLAC": "FLAC", "WAV": "WAV", "OGG": "OGG", "MP3": "MP3"}
    absent = [name for name, key in wanted.items() if key not in known]
    return Finding(
        name="audio codecs",
        status="gap" if absent else "ok",
        found=", ".join([*(name for name in wanted if name not in absent), soundfile.__libsndfile_version__]),
        cost=f"audio files in {', '.join(absent)} cannot be read; Common Voice is MP3" if absent else "",
        do="pip install -U soundfile: its wheel brings libsndfile 1.1 or newer" if absent else "",
    )


def torchcodec_for(torch: str | None) -> str:
    """Return what pip installs so that `datasets` decodes audio with this version of torch, or the one of "train".

    The versions are those of torchcodec's own table; 0.13.0 was tried with the CPU build of torch 2.13.0 and ffmpeg
    5.1, and so was 0.14.0, which needs CUDA's libraries.

    >>> torchcodec_for("2.13.0+cpu"), torchcodec_for("2.8.0")
    ('torchcodec==0.13.0', 'torchcodec==0.7.*')
    """
    minor = re.match(r"2\.(\d+)", torch or "")
    known = {6: "0.2.*", 7: "0.5.*", 8: "0.7.*", 9: "0.9.*", 10: "0.10.*"}
    wanted = known.get(int(minor[1]), _TORCHCODEC) if minor else _TORCHCODEC
    return f"torchcodec=={wanted}"


def _decoding_in_datasets() -> Finding:
    torch, found = _version("torch"), _version("torchcodec")
    first = "" if torch else f"{installation('train')}, then "
    gap = Finding(
        name="torchcodec",
        status="gap",
        found="not installed" if found is None else found,
        cost="datasets decodes no audio: take their bytes with Audio(decode=False) and read them with soundfile",
        do=f"{first}pip install {torchcodec_for(torch)}, which needs ffmpeg's libraries ({_FFMPEG}); the loaders here"
        " need neither",
    )
    if found is None:
        return gap
    try:
        import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError) as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return replace(gap, found=f"{found} with torch {torch}, which does not load: {said}")
    return Finding(name="torchcodec", status="ok", found=f"{found} with torch {torch}")


def _ffmpeg() -> Finding:
    program = shutil.which("ffmpeg")
    if program is None:
        return Finding(
            name="ffmpeg",
            status="gap",
            found="not installed",
            cost="torchcodec cannot load; nothing else here uses it",
            do=f"install ffmpeg ({_FFMPEG}) with the system's package manager",
        )
    said = subprocess.run(  # noqa: S603
        [program, "-version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False
    )
    return Finding(name="ffmpeg", status="ok", found=said.stdout.split("Copyright")[0].strip() or program)


def _accelerator() -> Finding:
    none = Finding(
        name="accelerator",
        status="gap",
        found="none that torch can use",
        cost="training runs on the CPU: minutes for the small configs, out of reach for the paper's",
        do="use a machine with a GPU and torch's build for it",
    )
    if importlib.util.find_spec("torch") is None:
        return none
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        return Finding(name="accelerator", status="ok", found=names)
    if torch.backends.mps.is_available():
        return Finding(name="accelerator", status="ok", found="Apple MPS")
    return none


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Finding(name="cores and memory", status="ok", found=f"{usable_cores()} cores, {total / 1e9:,.0f} GB")
