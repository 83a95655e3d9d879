"""The doctor: what it finds, what each gap costs, for people and for machines."""

from __future__ import annotations

import json
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command import outcome

import symile_data
from symile_data import environment
from symile_data.environment import Finding, disk, packages
from symile_data.errors import MissingPackageError
from symile_data.extras import DEVELOPMENT

CHECKOUT = Path(symile_data.__file__).resolve().parents[1]


def doctor(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    said = outcome(capsys, "doctor", *words)
    return said.code, said.out


def test_everything_is_looked_at_and_every_gap_has_a_cost_and_a_remedy(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out = doctor(capsys, "--json", "--at", tmp_path)
    findings = {finding["name"]: finding for finding in json.loads(out)}
    assert code == 0
    assert {"symile-data", "packages", "image codecs", "audio codecs", "torchcodec", "ffmpeg", "accelerator", "disk",
            "espeak-ng", "fonts", "cores and memory", "extra train"} <= set(findings)  # fmt: skip
    assert metadata.version("numpy") in findings["packages"]["found"]
    assert findings["espeak-ng"]["status"] == "ok"
    for finding in findings.values():
        assert finding["found"]
        assert (finding["status"] == "ok") == (finding["cost"] == "") == (finding["do"] == "")


def test_people_get_a_table_without_colour_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("symile_data.environment.shutil.which", lambda _: None)
    code, out = doctor(capsys)
    assert code == 0
    assert "\x1b" not in out
    text = " ".join(out.split())
    assert "gap ffmpeg not installed Cost: torchcodec cannot load; nothing else here uses it. To do:" in text


def test_a_missing_extra_says_what_cannot_be_done() -> None:
    core, extra = packages(["numpy>=2", 'no-such-package>=1; extra == "speech"', 'pytest; extra == "dev"'])
    assert (core.name, core.status) == ("packages", "ok")
    assert extra == Finding(
        name="extra speech",
        status="gap",
        found="no-such-package not installed",
        cost="no synthetic speech: a build of M3 needs `recordings`",
        do="pip install -c constraints.txt -e '.[speech]'",
    )


@pytest.mark.parametrize("extra", ["speech", "required"])
def test_what_to_do_names_the_checkout_where_it_is_not_the_working_directory(
    extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    marker = "" if extra == "required" else f'; extra == "{extra}"'
    found = list(packages([f"no-such-package>=1{marker}"]))[-1]
    wanted = "." if extra == "required" else "'.[speech]'"
    assert found.do == f"in {CHECKOUT}, pip install -c constraints.txt -e {wanted}"


def test_a_missing_requirement_is_a_problem_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: ["no-such-package>=1"])
    code, out = doctor(capsys, "--json")
    assert code == 1
    assert next(f for f in json.loads(out) if f["name"] == "packages")["status"] == "problem"


def test_every_extra_of_the_package_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    extras = {
        name for name in metadata.metadata("symile-data").get_all("Provides-Extra", []) if name not in DEVELOPMENT
    }
    shown = {finding.name for finding in packages(metadata.requires("symile-data") or [])}
    assert {f"extra {name}" for name in extras} <= shown


def test_a_voice_that_does_not_speak_is_a_gap(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(_: Any) -> None:
        raise MissingPackageError("espeakng-loader", "speech", "speech synthesis")

    monkeypatch.setattr("symile_data.builders.m3.audio.espeak.synthesise", silent)
    _, out = doctor(capsys, "--json")
    finding = next(f for f in json.loads(out) if f["name"] == "espeak-ng")
    assert finding["status"] == "gap"
    assert "which is not installed" in finding["found"]


def test_a_full_disk_is_a_gap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - 10**8, 10**8))
    finding = disk(tmp_path / "not" / "there" / "yet")
    assert (finding.status, finding.found) == ("gap", f"0 GB free at {tmp_path}")


def test_decoders_that_are_lacking_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("soundfile.available_formats", lambda: {"FLAC": "", "WAV": ""})
    monkeypatch.setattr("PIL.features.check", lambda codec: codec != "webp")
    findings = {finding.name: finding for finding in environment.examine(tmp_path)}
    assert findings["audio codecs"].cost == "audio files in OGG, MP3 cannot be read; Common Voice is MP3"
    assert findings["image codecs"].cost == "images in WebP count as unreadable"


@pytest.mark.parametrize(
    ("torch", "wanted"),
    [
        ("2.13.0+cpu", "torchcodec==0.13.0"),
        ("2.11.1", "torchcodec==0.13.0"),
        ("2.10.0+cu130", "torchcodec==0.10.*"),
        ("2.6.0", "torchcodec==0.2.*"),
        (None, "torchcodec==0.13.0"),
    ],
)
def test_the_torchcodec_of_the_installed_torch_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, torch: str | None, wanted: str
) -> None:
    versions = {"torch": torch, "torchcodec": None}
    monkeypatch.setattr(environment, "_version", lambda name: versions.get(name, "1"))
    finding = next(finding for finding in environment.examine(tmp_path) if finding.name == "torchcodec")
    first = "" if torch else f"{environment.installation('train')}, then "  # the torch that was tested, not the newest
    assert finding.do.startswith(f"{first}pip install {wanted}, which needs ffmpeg's libraries (4 to 8")


def test_a_torchcodec_that_does_not_load_is_a_gap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package in its place that fails as the real one does where ffmpeg or the right torch is lacking."""
    (tmp_path / "torchcodec").mkdir()
    (tmp_path / "torchcodec" / "__init__.py").touch()
    code = "raise RuntimeError('\\nCould not load libtorchcodec. Likely causes:\\n  1. FFmpeg')"
    (tmp_path / "torchcodec" / "decoders.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    versions = {"torch": "2.13.0+cpu", "torchcodec": "0.14.0"}
    monkeypatch.setattr(environment, "_version", lambda name: versions.get(name, "1"))
    finding = next(finding for finding in environment.examine(tmp_path) if finding.name == "torchcodec")
    for name in ("torchcodec", "torchcodec.decoders"):
        sys.modules.pop(name, None)
    assert finding.status == "gap"
    assert finding.found == (
        "0.14.0 with torch 2.13.0+cpu, which does not load: Could not load libtorchcodec. Likely causes:"
    )
    assert "pip install torchcodec==0.13.0" in finding.do


def test_an_accelerator_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "A Card")
    findings = {finding.name: finding for finding in environment.examine(tmp_path)}
    assert (findings["accelerator"].status, findings["accelerator"].found) == ("ok", "A Card")
