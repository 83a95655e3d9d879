"""Own data without a config: the refusal names the bundled configs that fit, and the page on writing one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import outcome
from datasets import ClassLabel, Features, List, Value

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.workflows.configs import fitting_configs
from symile_data.workflows.training_data import TrainingData

PAGE = Path(__file__).resolve().parents[3] / "docs" / "own-data.md"
ROWS = {"train": 300, "validation": 20, "test": 20}

pytestmark = pytest.mark.usefixtures("undrawn")


def rows(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Two vectors of bits and their XOR, of which any two give the third."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        x, y = rng.integers(0, 2, (2, 3))
        yield {"x": x, "y": y, "z": x ^ y, "kind": int(x[0])}


def own(directory: Path, names: dict[str, str], kinds: dict[str, str] | None = None) -> Path:
    """A dataset of three modalities under these names, and a column of labels called `label`."""
    columns = {new: List(Value("float32"), length=3) for old, new in names.items() if old in "xyz"}
    write_dataset(
        directory,
        name="mine",
        schema=own_schema(
            Features({**columns, names["kind"]: ClassLabel(names=["no", "yes"])}),
            modalities=kinds or dict.fromkeys(columns, "vector"),
        ),
        splits={
            split: ({names[name]: value for name, value in row.items()} for row in rows(count, seed))
            for seed, (split, count) in enumerate(ROWS.items())
        },
        spec={"version": 1},
    )
    return directory


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own(tmp_path_factory.mktemp("own") / "mine", {"x": "x", "y": "y", "z": "z", "kind": "kind"})


def test_configs_that_fit_as_they_are(tmp_path: Path) -> None:
    alike = own(tmp_path / "alike", {"x": "a", "y": "b", "z": "c", "kind": "b_value"})
    assert fitting_configs(TrainingData(alike)) == ["pid-vectors"]  # xor has batches of 1,000 rows
    assert fitting_configs(TrainingData(alike), {"target": "d"}) == []


def test_the_refusal_tells_a_command_that_trains(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = outcome(capsys, "train", mine)
    assert said.code == 2
    assert said.err == (
        f"symile-data: there is no default config for this dataset ({mine}); got mine of x (vector), y (vector), "
        "z (vector). Give --config pid-vectors with --set target=x --set label=sample_id; or write a config for it "
        "(docs/own-data.md#train-on-it) and give its path with --config.\n"
    )
    assert re.search("^## Train on it$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    advised = re.findall(r"--\S+ [^ ;]+", said.err.split("Give ")[1].split(";")[0])
    words = [word for option in advised for word in option.split()]
    assert words[:2] == ["--config", "pid-vectors"]
    found = outcome(
        capsys, "train", mine, *words, "--objective", "symile", "--epochs", "1", "--out", tmp_path / "runs", "--json"
    )
    assert found.code == 0, found.err
    assert json.loads(found.out)["symile"]["candidates"] == ROWS["test"]
