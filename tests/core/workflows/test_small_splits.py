"""The default config on a small build: what yields to few rows, and what is refused before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import outcome
from factories import build

from symile_data.errors import UsageError
from symile_data.training.config import read_config
from symile_data.training.run_record import read_run
from symile_data.workflows.configs.small_splits import (
    bounded_batch,
    fitted_settings,
    small_build_settings,
    words_problem,
)
from symile_data.workflows.training_data import TrainingData

SHORT = ("--epochs", "1", "--set", "pretrain.epochs=1", "--set", "dim=8", "--set", "inputs.audio.seconds=0.5")


@pytest.fixture(scope="module")
def m3(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty training rows of four classes; not to be changed."""
    out = tmp_path_factory.mktemp("small") / "m3"
    build(tree, out, rows={"train": 40, "validation": 6, "test": 6})
    return out


@pytest.fixture(scope="module")
def few_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five training rows, whose words are too few to draw others from; not to be changed."""
    out = tmp_path_factory.mktemp("few") / "m3"
    languages = ("el", "en", "hi", "ja", "uk")
    build(None, out, languages=languages, words=5, rows={"train": 5, "validation": 4, "test": 4})
    return out


def test_batches_of_large_splits_stay() -> None:
    assert fitted_settings({"batch_size": 256, "pretrain.batch_size": 128}, 1_024, words_fit=True) == {}
    assert bounded_batch(256, 1_023) == 128 and bounded_batch(2, 1) == 2 and bounded_batch(3, 4) == 2


def test_the_default_config_is_fitted_to_few_rows_and_the_run_says_so(
    m3: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", m3, "--objective", "symile", "--out", tmp_path, *SHORT)
    code, _, err = outcome(capsys, *words)
    assert code == 0
    told = "m3-small is fitted to 40 training rows: batch_size = 8, pretrain.batch_size = 8. "
    assert told + "A config or setting that you name stays as it is.\n" in err
    config = read_run(tmp_path / "symile").config
    assert (config.batch_size, config.redraw_words) == (8, True)
    assert config.pretrain is not None and config.pretrain.batch_size == 8
    assert json.loads((tmp_path / "symile" / "run.json").read_text())["config"]["batch_size"] == 8


def test_what_somebody_chose_stays(m3: Path) -> None:
    data, config = TrainingData(m3), read_config("m3-small")
    assert small_build_settings(data, config, {"batch_size": 256}) == {"pretrain.batch_size": 8}
    assert small_build_settings(data, config, {"pretrain": {}}) == {"batch_size": 8}
    assert small_build_settings(data, config, {"pretrain.batch_size": 128, "batch_size": 4}) == {}


def test_words_that_are_too_few_are_not_redrawn_by_default(few_words: Path) -> None:
    data, config = TrainingData(few_words), read_config("m3-small")
    wanted = {"batch_size": 2, "pretrain.batch_size": 2, "redraw_words": False}
    assert small_build_settings(data, config, {}) == wanted
    assert "redraw_words" not in small_build_settings(data, config, {"redraw_words": True})
    assert words_problem(data, read_config("m3-small", {"redraw_words": False})) is None


def test_all_that_does_not_fit_is_refused_at_once_before_anything_is_trained(
    few_words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = outcome(capsys, "train", few_words, "--config", "m3-small", "--out", tmp_path / "runs")
    assert code == 2 and not (tmp_path / "runs").exists()
    assert "got 5 rows, batch_size = 256, pretrain.batch_size = 128, redraw_words = true: " in err
    fix = "--set batch_size=2 --set pretrain.batch_size=2 --set redraw_words=false"
    assert err.endswith(f"Pass {fix}, or build more rows.\n")
    with pytest.raises(UsageError, match="`redraw_words=false`"):
        TrainingData(few_words).check(read_config("m3-small", {"batch_size": 2, "pretrain.batch_size": 2}))
    settings = {"batch_size": 2, "pretrain.batch_size": 2, "redraw_words": False}
    TrainingData(few_words).check(read_config("m3-small", settings))
