"""`symile-data build pid` from options to card, and training on what it built."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from symile_data.cli import app
from symile_data.cli.build_options.pid import chosen_design, split_rows
from symile_data.datasets.pid import PRESETS
from symile_data.datasets.pid.terms import terms_of
from symile_data.errors import SymileDataError, UsageError

ROWS = ["--train", "600", "--validation", "60", "--test", "300"]


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    if isinstance(result.exception, SymileDataError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of three vectors and four modalities' worth of blocks, with its card."""
    out = tmp_path_factory.mktemp("pid") / "noisy"
    kinds = ["--modality", "a", "--modality", "b", "--modality", "c=text"]
    blocks = ["--block", "redundant:a+b+c:n=4:p=0.8:name=copy", "--block", "synergistic:a+b+c:n=2"]
    output = run("build", "pid", "--out", str(out), *kinds, *blocks, *ROWS, "--workers", "1")
    assert "600 train" in output
    return out


def test_the_card_has_every_exact_number(noisy: Path) -> None:
    """0.8 + 0.2 / 4 = 0.85 for the copy; the parity is 1/2 from one other and 1 from both."""
    card = (noisy / "README.md").read_text(encoding="utf-8")
    assert "# PID data\n" in card
    for row in (
        "| `a` | nothing | 0.1250 |",
        "| `a` | b | 0.4250 |",
        "| `a` | b, c | 0.8500 |",
        "| `copy` | redundant | a, b, c | 4 | 0.8 |",
        "| `synergistic1` | synergistic (xor) | a, b, c | 2 | 1.0 |",
        "| entropy of `a` | 2.079 | 3.000 |",
        "| `c_copy` | int16 | symbol that c shows in block `copy` |",
        "| `copy_holds` | bool | True where the relation of block `copy` is true of the row's symbols |",
    ):
        assert row in card
    assert "BROJA" in card and "figures/information.png" in card
    assert (noisy / "figures" / "information.png").stat().st_size > 1000
    stats = json.loads((noisy / "stats.json").read_text(encoding="utf-8"))
    manifest = json.loads((noisy / "manifest.json").read_text(encoding="utf-8"))
    assert stats["terms"]["best_by_order"]["a"] == {"0": 0.125, "1": 0.425, "2": 0.85}
    assert manifest["spec"]["design"]["block"][0]["values"] == 4
    assert "creativecommons" not in card


def test_many_modalities_have_a_card_of_bounded_length() -> None:
    names = tuple("abcdefghijkl")
    design = chosen_design(names, [f"redundant:{'+'.join(names)}:n=3"], None, None)
    terms = terms_of(design)
    assert len(terms["accuracies"]["a"]) == 1 + 11 + 11 + 1
    assert len(terms["decompositions"]) == 12 * 11
    assert terms["conditional"] == []


def test_verify_info_and_train_know_it(noisy: Path, tmp_path: Path) -> None:
    run("verify", str(noisy))
    assert "copy" in run("info", str(noisy))
    out = tmp_path / "run"
    settings = ["--set", "label=b_synergistic1", "--epochs", "15", "--set", "val_every=15"]
    run("train", str(noisy), "--config", "pid-vectors", "--loss", "symile", "--out", str(out), *settings, "--json")
    found = json.loads((out / "symile" / "metrics.json").read_text(encoding="utf-8"))["test"]
    assert found["all_others"] == 1.0
    assert found["one_other"] == pytest.approx(0.5, abs=0.02)
    assert found["accuracy"] > 0.9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "xor", "--block", "private:a:n=2"], "--preset brings its own blocks"),
        (["--modality", "a"], "--modality needs blocks"),
        (["--preset", "xor", "--modality", "z=text"], "--preset xor has no such modality; got 'z'"),
        (["--preset", "xor", "--design", "x.toml"], "--design takes the place of"),
        (
            ["--design", "none.toml"],
            "the design cannot be opened (none.toml); got No such file or directory. Give the path",
        ),
        (["--rows", "100", "--train", "10"], "--rows is divided among the splits"),
        (["--preset", "xor", "--missing", "d=0.5"], "names a modality that this dataset does not have; got 'd'"),
        (["--modality", "a", "--modality", "a", "--block", "private:a:n=2"], "a modality is given twice"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, words: Sequence[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        run("build", "pid", "--out", str(tmp_path / "x"), *words)
    assert message in str(caught.value)
    assert not (tmp_path / "x").exists()


def test_presets_take_other_kinds_and_rows_are_divided() -> None:
    design = chosen_design(["b=text"], [], None, "xor")
    assert design.modalities == {"a": "vector", "b": "text", "c": "vector"}
    assert design.blocks == PRESETS["xor"].blocks
    assert split_rows(design, 105, (None, None, None)) == {"train": 85, "validation": 10, "test": 10}
    assert split_rows(design, None, (7, None, 0)) == {"train": 7, "validation": 1000, "test": 0}
    assert split_rows(PRESETS["mixed"], None, (None, None, None))["test"] == 3000


def test_a_dataset_of_pid_data_is_probed_without_a_run(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "probe"
    run("build", "pid", "--out", str(data), "--preset", "xnor", *ROWS, "--workers", "1")
    words = ("probe", str(data), "--labels", "a_value", "--bootstrap", "4", "--out", str(out))
    assert "a_value" in run(*words)
    assert (out / "probe.png").stat().st_size > 1000
    assert json.loads((out / "probe.json").read_text())["by_feature"] is False
    with pytest.raises(UsageError, match=r"got a dataset without a run\. Leave out `by_feature`"):
        run(*words, "--by-feature")
