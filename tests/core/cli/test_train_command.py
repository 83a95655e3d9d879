"""`symile-data train` and `evaluate` as a user runs them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import call, outcome
from factories import build

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.training.run_record import read_run

pytestmark = pytest.mark.usefixtures("undrawn")

CONFIG = """
epochs = 1
batch_size = 6
dim = 4
lr = 0.01
logit_scale_init = -1.0
target = "image"
label = "cls_id"
encoders = { image = { width = 2 }, audio = { width = 4 } }
inputs = { image = { size = 16 }, audio = { n_mels = 40, seconds = 0.5 } }
"""

CEILINGS = {"text_alone", "all_words_alike", "counting"}
FIGURES = {
    "rows",
    "candidates",
    "accuracy",
    "recall_at_5",
    "recall_at_10",
    "median_rank",
    "random_candidate",
} | CEILINGS


def test_both_losses_are_trained_and_evaluated(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tree, tmp_path / "m3")
    (tmp_path / "tiny.toml").write_text(CONFIG)
    runs = tmp_path / "runs"
    assert call("train", tmp_path / "m3", "--config", tmp_path / "tiny.toml", "--out", runs) == 0
    out = capsys.readouterr().out
    for word in ("symile", "clip", "accuracy", "shuffled audio", "random candidate", *CEILINGS):
        assert out.count(word.replace("_", " ")) == 1 or word in ("symile", "clip")
    assert (runs / "curves.png").is_file() and (runs / "clip" / "best.ckpt").is_file()

    assert call("evaluate", runs / "symile", "--ablate", "--json") == 0
    found = json.loads(capsys.readouterr().out)["symile"]
    metrics = json.loads((runs / "symile" / "metrics.json").read_text())
    assert found == metrics["test"] == metrics["test_by"]["val_accuracy"]
    assert set(found) == FIGURES | {"shuffled_audio", "shuffled_text"}
    assert set(metrics["test_by"]["val_loss"]) == FIGURES
    compared = CEILINGS | {"random_candidate"}
    assert metrics["ceilings"]["test"] == {name: found[name] for name in metrics["ceilings"]["test"]}
    assert set(metrics["ceilings"]["test"]) == set(metrics["ceilings"]["validation"]) == compared
    assert metrics["ceilings"]["test_subsets"]["image"]["text"] == found["counting"]
    assert json.loads((runs / "symile" / "evaluation-test.json").read_text())["results"] == found
    assert (runs / "symile" / "evaluation-test.png").read_bytes().startswith(b"\x89PNG")

    moved = tmp_path / "moved"
    shutil.move(tmp_path / "m3", moved)
    words = ("evaluate", runs / "clip", "--split", "validation", "--json")
    assert call(*words) == 1
    capsys.readouterr()
    assert call(*words, "--data", moved) == 0
    assert set(json.loads(capsys.readouterr().out)["clip"]) == FIGURES

    build(tree, tmp_path / "other", seed=5)
    assert call(*words, "--data", tmp_path / "other") == 2
    assert "the run was trained on another dataset" in capsys.readouterr().err
    assert call("evaluate", tmp_path) == 1
    assert "this is not a run directory" in capsys.readouterr().err


def test_a_directory_without_a_dataset_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", tmp_path) == 1
    assert "manifest" in capsys.readouterr().err


@pytest.fixture(scope="module")
def xor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small XOR dataset of one bit; not to be changed."""
    out = tmp_path_factory.mktemp("xor") / "data"
    build_xor(XorSpec(dims=1, rows={"train": 64, "validation": 16, "test": 24}), out, workers=1, write_card=no_card)
    return out


XOR = ("--config", "xor", "--epochs", "2", "--set", "batch_size=16")


def test_several_seeds_make_one_comparison(xor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = tmp_path / "runs"
    assert call("train", xor, *XOR, "--seeds", "2", "--seed", "6", "--out", base) == 0
    out = capsys.readouterr().out
    assert "mean over 2 seeds" in out and "symile - clip" in out and "p =" in out and "random candidate" in out
    comparison = json.loads((base / "comparison.json").read_text())
    assert comparison["seeds"] == [6, 7] and (base / "comparison.png").is_file()
    accuracy = comparison["figures"]["accuracy"]
    tests = [json.loads((base / f"seed-{s}" / "symile" / "metrics.json").read_text())["test"] for s in (6, 7)]
    assert accuracy["symile"]["values"] == [test["accuracy"] for test in tests]
    assert accuracy["differences"]["clip"]["mean"] == pytest.approx(
        accuracy["symile"]["mean"] - accuracy["clip"]["mean"]
    )
    assert call("train", xor, *XOR, "--seeds", "2", "--seed", "6", "--out", base, "--json") == 0
    assert json.loads(capsys.readouterr().out) == comparison


def test_any_modality_and_sets_of_candidates_can_be_evaluated(
    xor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "runs" / "symile"
    assert call("train", xor, *XOR, "--loss", "symile", "--out", run.parent, "--negatives", "exact") == 0
    assert read_run(run).config.settings == {"negatives": "exact"} and read_run(run).config.batch_size == 16
    capsys.readouterr()
    words = ("evaluate", run, "--target", "c", "--candidates", "5", "--bootstrap", "4")
    assert call(*words) == 0
    assert "Mean of 4 bootstrap samples" in capsys.readouterr().out
    written = json.loads((run / "evaluation-test.json").read_text())
    assert written["protocol"] == {"target": "c", "objective": "symile", "candidates": 5, "seed": 0}
    assert written["results"]["random_candidate"] == 0.2 and written["results"]["recall_at_5"] == 1.0
    assert set(written["bootstrap"]["accuracy"]) == {"mean", "se", "low", "high"}
    assert call(*words, "--label", "colour") == 2
    assert "the dataset has no such column (" in capsys.readouterr().err
    assert call(*words, "--candidates", "1") == 2
    assert "one candidate leaves nothing to choose; got --candidates 1. Take 0 for all rows" in capsys.readouterr().err
    assert call("evaluate", run, "--target", "d") == 2
    assert "there is no such modality to retrieve; got d. Choose among a, b, c" in capsys.readouterr().err


def test_what_does_not_fit_is_said(xor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("train", xor, "--out", tmp_path / "runs", "--loss", "symile")
    for change, message in (
        (("--set", "batch_size=1"), "batch_size must be at least 2; got 1"),
        (
            ("--set", "batch_size=65", "--config", "xor"),
            "the config does not fit the training split ("
            f"{xor}); got 64 rows, batch_size = 65. Pass --set batch_size=16, or build more rows.",
        ),
        (("--set", "target=image"), "lacks the modality that the config retrieves; got image. It has a, b, c"),
        (("--config", "m3-small"), "lacks the modality that the config retrieves; got image. It has a, b, c"),
        (
            ("--config", "m3-small", "--set", "target=a"),
            "lacks the modality that the config pretrains; got image. It has a, b, c",
        ),
        (("--set", 'resample_within_class={clip = "lang"}'), "lacks the modality that the config redraws; got clip"),
        (
            (
                "--set",
                'pretrain={labels = {a = "sample_id"}, epochs = 1, batch_size = 99, lr = 0.1}',
                "--set",
                "batch_size=16",
            ),
            "got 64 rows, pretrain.batch_size = 99. Pass --set pretrain.batch_size=16, or build more rows.",
        ),
        (("--set", "label=cls_id"), "lacks a column that the config names"),
        (("--set", "colour=red"), "the config has an unknown setting (xor); got colour. Choose among accumulate"),
        (
            ("--set", "batch_sise=8"),
            "the config has an unknown setting (xor); got batch_sise. Perhaps batch_size is meant.",
        ),
        (("--set", "lr.a=8"), "lr must be a number (xor); got {'a': 8}."),
        (("--set", "batch_size=16", "--logger", "paper"), "'paper' is not one of 'tensorboard', 'wandb'"),
        (("--set", "batch_size"), "it takes setting=value"),
        (("--objective", "clip"), "give either --objective or --objectives"),
        (("--objectives", "clip,gram"), "give either --objective or --objectives"),
        (("--set", "objective=clip"), "an objective is chosen by --objective"),
        (("--set", "settings=3"), "it takes settings.NAME=value"),
        (("--set", "settings.shuffles=many"), "shuffles of the objective symile is a whole number; got 'many'"),
    ):
        assert call(*words, *change) == 2, change
        assert message in " ".join(capsys.readouterr().err.split()), change
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)


def test_a_mistake_about_the_second_objective_is_named_before_the_first_is_trained(
    xor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", xor, *XOR, "--out", tmp_path / "runs", "--objectives", "symile,gram")
    for change, message in (
        (("--set", "missing=neutral"), "neutral vectors of ones are none"),
        (("--set", "group_missing=true"), "the objective gram takes no groups of missing values"),
        (("--set", "normalise=false"), "the objective gram takes L2-normalised embeddings"),
    ):
        assert call(*words, *change) == 2, change
        assert message in " ".join(capsys.readouterr().err.split()), change
        assert not (tmp_path / "runs").exists()


def test_an_empty_objective_is_none(xor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", xor, "--out", tmp_path / "runs", "--objective", "") == 2
    assert "got --objective ''. Give it a value" in capsys.readouterr().err


def test_a_checkpoint_of_other_data_is_named(xor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"train": 64, "validation": 16, "test": 24}
    build_xor(XorSpec(dims=2, rows=rows), tmp_path / "wider", workers=1, write_card=no_card)
    for data, out in ((xor, "own"), (tmp_path / "wider", "foreign")):
        words = ("train", data, *XOR, "--loss", "symile", "--out", tmp_path / out, "--epochs", "1")
        assert call(*words) == 0
    for name in ("best.ckpt", "last.ckpt"):
        shutil.copy(tmp_path / "foreign" / "symile" / name, tmp_path / "own" / "symile" / name)
    capsys.readouterr()
    for again, name in (
        (("evaluate", tmp_path / "own" / "symile"), "best.ckpt"),
        (("train", xor, *XOR, "--loss", "symile", "--out", tmp_path / "own", "--epochs", "1"), "last.ckpt"),
    ):
        assert call(*again) == 1
        said = capsys.readouterr().err
        assert "the checkpoint belongs to another dataset or config than the run directory that contains it" in said
        assert name in said and "remove the run and train it again" in said


def test_tensorboard_logs_when_asked(xor: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    words = ("train", xor, *XOR, "--loss", "clip", "--out", out, "--logger", "tensorboard")
    assert call(*words) == 0
    assert list((out / "clip" / "log" / "tensorboard").glob("events.out.tfevents.*"))
    assert (out / "clip" / "log" / "0" / "metrics.csv").is_file()


def test_a_logger_that_is_not_installed_is_named(
    xor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("wandb")

    monkeypatch.setattr("symile_data.training.loggers.WandbLogger", absent)
    assert call("train", xor, *XOR, "--out", tmp_path, "--logger", "wandb") == 1
    assert "pip install -c constraints.txt -e '.[loggers]'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def few_bits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset to whose rows the default config is fitted; not to be changed."""
    directory = tmp_path_factory.mktemp("few") / "xor"
    spec = XorSpec(dims=1, rows={"train": 40, "validation": 10, "test": 10})
    build_xor(spec, directory, workers=1, write_card=no_card)
    return directory


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--epochs", "1", "--set", "epochs=2"), "epochs is given by --set too"),
        (("--negatives", "exact", "--set", "settings.negatives=n"), "negatives is given by --set too"),
        (("--set", "=2"), "it takes setting=value"),
        (("--set", "epochs=abc"), "symile-data: epochs must be a whole number (xor); got 'abc'."),
        (("--objective", "clipp"), "symile-data: unknown objective; got 'clipp'. Perhaps clip is meant."),
        (("--objectives", "clip,grams"), "symile-data: unknown objective; got 'grams'. Perhaps gram is meant."),
        (("--config", "xorr"), "there is no such config; got 'xorr'. Perhaps xor is meant, or give a file."),
        (("--set", "resample_within_class.a=b"), "resample_within_class names columns of labels, and this is a"),
        (("--set", "missingness=0.99"), "missingness leaves no row of the validation split with all modalities"),
        (("--set", "encoders.vector.dropout=2"), "dropout of an encoder is from 0 to 1; got 2."),
        (("--negatives", "exact", "--set", "settings.tile_rows=0"), "tile_rows is at least 1; got 0."),
        (("--objective", "clip", "--set", "settings.cache_bytes=-1"), "cache_bytes is at least 0; got -1."),
        (("--seed", "4294967295", "--seeds", "2"), "seed must be at most 4294967295; got 4294967296."),
    ],
)
def test_what_cannot_be_trained_is_refused_without_a_word_about_fitting(
    words: tuple[str, ...], message: str, few_bits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = outcome(capsys, "train", few_bits, "--out", tmp_path / "runs", *words)
    assert code == 2 and message in " ".join(err.replace("│", " ").split())
    assert "is fitted to" not in err and not (tmp_path / "runs").exists()


def test_a_machine_without_the_accelerator_is_named_before_anything_is_prepared(
    few_bits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = ("train", few_bits, "--out", tmp_path / "runs", "--accelerator", "gpu")
    code, _, err = outcome(capsys, *words)
    assert code == 2 and err.startswith("symile-data: this machine cannot train with these devices; got --accelerator")
    assert not (tmp_path / "runs").exists()


def test_a_file_in_the_place_of_the_run_directory_is_refused_first(
    few_bits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = outcome(capsys, "train", few_bits, "--out", few_bits / "manifest.json")
    assert code == 1 and err.startswith("symile-data: a run needs a directory, and this is a file (")


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "nowhere"),
        ("probe", "nowhere"),
        ("export", "embeddings", "nowhere", "--out", "x"),
        ("embed", "nowhere", "--out", "x", "--image-model", "y"),
    ],
)
def test_a_path_that_is_not_there_is_refused_before_torch_is_imported(words: tuple[str, ...], tmp_path: Path) -> None:
    script = "import sys; from symile_data.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert found.stdout == "False\n" and "there is no such directory (nowhere)" in found.stderr
