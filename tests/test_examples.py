"""The examples run as they stand, on small data, and do what they say."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from factories import build
from tiny_models import tiny_clip, tiny_whisper

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.features.build import build_features
from symile_data.builders.features.spec import FeatureSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cards import write_card
from symile_data.datasets.pid import Block, Design
from symile_data.format.verify import verify
from symile_data.losses import objectives
from symile_data.workflows.embed import describe_model, encode_media

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def example(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def m3(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("examples") / "m3"
    rows = {"train": 40, "validation": 4, "test": 6}
    build(tree, out, rows=rows, write_card=write_card, missing={"image": 0.2, "audio": 0.2, "text": 0.0})
    return out


@pytest.fixture(scope="module")
def xor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("examples") / "xor"
    rows = {"train": 1_500, "validation": 0, "test": 400}
    build_xor(XorSpec(rows=rows), out, workers=1, write_card=no_card)
    return out


def test_every_example_is_run_here() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'example("{path.stem}")' in tests, f"{path.name} has no test"


def test_load_with_datasets(m3: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("load_with_datasets").main(str(m3))
    said = capsys.readouterr().out
    assert said.startswith("{'train': 40, 'validation': 4, 'test': 6}\n")
    assert "of 40 training rows have every modality" in said
    assert re.search("^test audio in (el|en|el, en)$", said, flags=re.MULTILINE)


def test_load_with_webdataset(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tree, tmp_path / "tars", shard_format="webdataset")
    assert example("load_with_webdataset").main(str(tmp_path / "tars")) == 4
    said = capsys.readouterr().out
    assert re.search(r"^.+: \(20, 24, 3\), \d\.\d s in (el|en), '.+_.+'$", said, flags=re.MULTILINE)
    assert said.endswith("4 of 4 rows have every modality\n")


def test_symile_loss(xor: Path) -> None:
    assert example("symile_loss").main(str(xor)) > 0.9  # a random candidate is right once in 32


def test_missing_modalities(xor: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert example("missing_modalities").main(str(xor)) > 0.9
    told = re.match(r"(\d+) % of the training rows lacked a modality", capsys.readouterr().out)
    assert told
    share = int(told.group(1))
    assert abs(share - 100 * (1 - 0.7**3)) < 4


@pytest.fixture
def registered() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    before = dict(objectives._registered)
    yield
    objectives._registered.clear()
    objectives._registered.update(before)


def test_own_objective(registered: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = XorSpec(dims=3, rows={"train": 1_000, "validation": 100, "test": 300})
    build_xor(spec, tmp_path / "xor", workers=1, write_card=no_card)
    found = example("own_objective").main(str(tmp_path / "xor"), str(tmp_path / "runs"), epochs=20, batch_size=200)
    assert found["margin"] > 0.9 and found["symile"] > 0.9 and found["clip"] < 0.4  # a random candidate: 1 in 8
    said = capsys.readouterr().out
    assert re.search(r"^\| margin \| (\S+) \|.*\nevaluated again, margin has \1;", said, flags=re.MULTILINE)
    assert (tmp_path / "runs" / "margin" / "evaluation-test.json").is_file()
    assert (tmp_path / "runs" / "curves.png").is_file()


def test_learns_synergy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    abc = ("a", "b", "c")
    rule = Block(name="rule", relation="synergistic", scope=abc, values=4)
    shape = Block(name="shape", relation="redundant", scope=abc, values=3)
    design = Design(modalities=dict.fromkeys(abc, "vector"), blocks=(shape, rule))
    settings = {"epochs": 10, "batch_size": 100, "dim": 32, "val_every": 10}
    found = example("learns_synergy").main("symile,clip", str(tmp_path), design, 1_600, **settings)
    assert found["symile"] > 0.9 and found["clip"] < 0.7  # one relation in two holds
    assert re.search(r"^symile: \S+ from the product", capsys.readouterr().out, flags=re.MULTILINE)


def test_finetune_from_features(m3: Path) -> None:
    history = example("finetune_from_features").main(str(m3), epochs=8, batch_size=20)
    assert len(history) == 8
    assert history[-1] < history[0]


def test_finetune_from_features_in_the_dataset(m3: Path, tmp_path: Path) -> None:
    models = {"image": tiny_clip(tmp_path / "clip"), "audio": tiny_whisper(tmp_path / "whisper")}
    spec = FeatureSpec(models=tuple(describe_model(kind, kind, name, {}) for kind, name in models.items()))
    build_features(m3, tmp_path / "features", spec, encode_media, workers=1, write_card=no_card)
    history = example("finetune_from_features").main(str(tmp_path / "features"), epochs=8, batch_size=20)
    assert history[-1] < history[0]


def test_compare_objectives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = example("compare_objectives").main("symile,clip", str(tmp_path), seeds=2, epochs=12, count=1_000)
    assert found["symile"] > 0.9 and found["clip"] < 0.4  # a random candidate is right once in 8
    said = capsys.readouterr().out
    assert re.search(r"^\| clip \| \S+ \| p = \S+ \|$", said, flags=re.MULTILINE)
    assert (tmp_path / "runs" / "comparison.png").is_file()


def test_own_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("own_dataset").main(tmp_path / "mine")
    said = capsys.readouterr().out
    assert said.startswith("280 rows in")
    assert "problems: []" in said
    assert "'tone': (32, 40, 50)" in said
    assert list(verify(tmp_path / "mine")) == []
    assert (tmp_path / "mine-preview.html").stat().st_size > 100_000


def test_the_notebook_keeps_the_outputs_of_its_code() -> None:
    """`make notebook` runs it; here it is whole: run from the top, without an error, with figures and sound."""
    notebook = json.loads((EXAMPLES / "quickstart.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert "audio" in json.dumps(outputs)
    said = "".join(line for output in outputs for line in output.get("text", []))
    found = {name: float(value) for name, value in re.findall(r"(symile|clip): accuracy (\d\.\d+)", said)}
    text_alone, counting = map(float, re.findall(r"the text alone: (\S+); if it counts candidates: (\S+)", said)[0])
    assert found["clip"] < text_alone + 0.05 < counting < found["symile"] - 0.1
    ablated = {
        name: (float(audio), float(text))
        for name, audio, text in re.findall(r"(\w+): as it is .+, audio shuffled (\S+), text shuffled (\S+)", said)
    }
    assert ablated["symile"][0] < text_alone and abs(ablated["clip"][0] - found["clip"]) < 0.05
    assert max(ablated["symile"][1], ablated["clip"][1]) < 0.05
