"""A kind of modality and a dataset's rules from outside the package: a throwaway package with entry points.

Points on a plane (a list of pairs, flattened) are a kind that the package does not know. The package that declares it
is written here and put on the path of other processes, as an installed one would be; nothing of ours is edited.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from symile_data.encoders import make_encoder
from symile_data.errors import UsageError
from symile_data.format.kinds import KINDS, Kind, register_kind
from symile_data.format.kinds.registry import Registry
from symile_data.loaders.decoders import decoder_for
from symile_data.workflows.datasets import OWN, OwnDataset, default_config, register_dataset

DOCS = Path(__file__).resolve().parents[1] / "docs" / "own-data.md"

BUILD = """
import sys
from pathlib import Path
import numpy as np
from datasets import Features, List, Value
from symile_data.builders.custom import own_schema, write_dataset
from symile_data.cards import write_card
from symile_data.cards.preview import write_preview

factor = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0

def rows(count, seed):
    rng = np.random.default_rng(seed)
    for number in range(count):
        side, turn = rng.integers(2, size=2)
        points = rng.normal(0, 0.1, (4, 2)) + (side, turn)
        yield {
            "shape": None if number == 3 else points.ravel(),
            "side": [float(side)] * 3,
            "both": [float(side ^ turn) * factor] * 3,
        }

numbers = {name: List(Value("float32"), length=size) for name, size in (("shape", 8), ("side", 3), ("both", 3))}
write_dataset(
    sys.argv[1],
    name="outlines",
    schema=own_schema(Features(numbers), modalities={"shape": "points", "side": "vector", "both": "vector"}),
    splits={"train": rows(60, 0), "validation": rows(12, 1), "test": rows(12, 2)},
    spec={"version": 1},
    write_card=write_card,
)
write_preview(Path(sys.argv[1]), Path(sys.argv[1] + "-preview.html"), count=5)
"""

CONFIG = """
epochs = 1
batch_size = 12
dim = 8
lr = 1e-2
target = "shape"
label = "sample_id"

[encoders.points]
width = 5
"""


def package_of_the_page() -> str:
    """The module that docs/own-data.md shows."""
    found = re.search(r"```python\n(\"\"\"Points on a plane.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert found
    return found.group(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the package and its metadata, as pip installs them, and the files of a project."""
    root = tmp_path_factory.mktemp("outside")
    (root / "outlines.py").write_text(package_of_the_page())
    metadata = root / "outlines-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: outlines\nVersion: 1.0\n")
    points = re.findall(r"```toml\n(\[project.entry-points.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    declared = re.sub(r'\[project\.entry-points\."?([^"\]]+)"?\]', r"[\1]", points[0]).replace('"', "")
    (metadata / "entry_points.txt").write_text(declared)
    (root / "build.py").write_text(BUILD)
    (root / "outlines.toml").write_text(CONFIG)
    return root


def run(place: Path, *words: str, here: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=here or place, capture_output=True, text=True, timeout=240, env=environment
    )


@pytest.fixture(scope="module")
def data(place: Path) -> Path:
    """A dataset with the kind, its card and its preview; not to be changed."""
    said = run(place, "build.py", "data")
    assert said.returncode == 0, said.stderr
    return place / "data"


def test_a_kind_from_an_installed_package_is_built_shown_and_trained(place: Path, data: Path, tmp_path: Path) -> None:
    assert (place / "data" / "figures" / "shape_samples.png").read_bytes().startswith(b"\x89PNG")
    assert "(figures/shape_samples.png)" in (place / "data" / "README.md").read_text(encoding="utf-8")

    page = (place / "data-preview.html").read_text(encoding="utf-8")
    assert page.count("shape (points)") == 5  # of 60 rows, evenly spaced: the one without a shape is not among them

    command = ("-m", "symile_data", "train", str(data), "--objective", "symile", "--json")
    trained = run(place, *command, here=tmp_path)  # the package's config is found from any directory
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["symile"]["candidates"] == 11  # one of 12 lacks its shape
    assert (
        json.loads((tmp_path / "runs/data/symile/run.json").read_text())["config"]["encoders"]["points"]["width"] == 5
    )


def test_rules_of_an_installed_package_are_checked(place: Path) -> None:
    assert run(place, "build.py", "halves", "0.5").returncode == 0
    told = run(place, "-m", "symile_data", "verify", "halves")
    assert told.returncode == 1 and re.search(r"row \d+: both is \[0.5, 0.5, 0.5\]", told.stdout)


def test_without_the_package_the_kind_is_named() -> None:
    with pytest.raises(UsageError, match=r"shape is of a kind without a decoder; got points. Register it \(docs/own"):
        decoder_for("shape", "points", None)
    with pytest.raises(UsageError, match=r"no encoder for a kind of modality; got points. Register it \(docs/own"):
        make_encoder("points", 4, {})


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    yield
    KINDS._registered.clear()
    OWN._registered.clear()


def test_a_call_registers_for_this_process(forgotten: None, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.syspath_prepend(str(place))
    kind = Kind(decoder="outlines:DECODER", encoders={"mean": "outlines:PointEncoder"})
    register_kind("dots", kind)
    register_kind("dots", kind)  # a notebook's cell runs twice
    decoder, settings = decoder_for("shape", "dots", None)
    assert (type(settings).__name__, decoder.batched) == ("PointSettings", False)
    assert make_encoder("dots", 4, {"width": 2}).head.out_features == 4  # type: ignore[union-attr]
    with pytest.raises(UsageError, match=r"no such encoder of kind dots; got max. Choose among mean"):
        make_encoder("dots", 4, {"model": "max"})
    for name, what in (("image", "already"), ("dots", "already"), ("Dots", "lower-case"), ("", "lower-case")):
        with pytest.raises(UsageError, match=what):
            register_kind(name, Kind(decoder="other:DECODER"))


def test_a_dataset_brings_its_config(forgotten: None) -> None:
    register_dataset("mine", OwnDataset(config="xor"))
    assert default_config("mine") == "xor"
    with pytest.raises(UsageError, match="there is a dataset of this name already"):
        register_dataset("xor", OwnDataset())


def test_an_entry_point_of_another_type_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name, value = "odd", "json:loads"

        def load(self) -> Any:
            return json.loads

    monkeypatch.setattr("symile_data.format.kinds.registry.entry_points", lambda group: [Point()])
    registry = Registry("symile_data.kinds", "kind of modality", Kind, ())
    assert list(registry) == ["odd"]
    with pytest.raises(UsageError, match=r"names no Kind \(json:loads\); got function"):
        registry.find("odd")
