"""Datasets that version 0.1.0 wrote still open, verify and train; its unfinished builds are refused in a sentence.

`tests/data/version-0.1.0/` holds one small dataset of each kind, as that version left it on disk.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest
from command import call

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.errors import OutputError
from symile_data.files import pretty_json
from symile_data.format import manifest as manifests
from symile_data.loaders import BatchLoader, Resources, open_split

pytestmark = pytest.mark.usefixtures("undrawn")

OLD = Path(__file__).parent / "data" / "version-0.1.0"
KINDS = sorted(path.name for path in OLD.iterdir())
WITHOUT_CARD = "own"  # its write_dataset was asked for no card

CONFIGS = {
    "m3": """
target = "image"
label = "cls_id"
encoders = { image = { width = 2 }, audio = { width = 4 } }
inputs = { image = { size = 16 }, audio = { n_mels = 40, seconds = 0.5 } }
""",
    "m3-features": """
target = "image"
label = "cls_id"
encoders = { audio = { width = 4 } }
inputs = { audio = { n_mels = 40, seconds = 0.5 } }
""",
    "mimic": """
target = "cxr"
label = "hadm_id"
candidates = 2
encoders = { image = { width = 2 }, ecg = { width = 2 }, labs = { widths = [4] } }
inputs = { image = { size = 16 } }
""",
    "xor": 'target = "b"\nlabel = "b"\n',
}
CONFIGS |= {"m3-pooled": CONFIGS["m3"], "m3-tar": CONFIGS["m3"]}


def test_every_kind_of_dataset_is_there() -> None:
    assert {"m3", "m3-features", "m3-pooled", "m3-tar", "mimic", "own", "xor"} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_it_verifies(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("verify", OLD / kind) == 0
    assert "as built" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_reaches_a_batch(kind: str) -> None:
    manifest = manifests.read(OLD / kind)
    assert manifest.identity.versions.get("symile-data", "0.1.0") == "0.1.0"
    for split, count in manifest.splits.items():
        batches = list(BatchLoader(open_split(OLD / kind, split), 3, shuffle=False, resources=Resources(threads=1)))
        ids = [int(value) for batch in batches for value in batch["sample_id"]]
        assert len(ids) == len(set(ids)) == count


ID_COLUMNS = {
    **dict.fromkeys(("m3", "m3-features", "m3-pooled", "m3-tar"), ("image_id", "clip_id", None)),
    "mimic": ("cxr_dicom_id", "ecg_study_id", None),
    "own": (None,) * 4,
    "xor": (None,) * 3,
}


@pytest.mark.parametrize("kind", KINDS)
def test_its_id_columns_are_found(kind: str) -> None:
    for split in manifests.read(OLD / kind).splits:
        assert tuple(m.id_column for m in open_split(OLD / kind, split).modalities) == ID_COLUMNS[kind]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (WITHOUT_CARD, "m3-tar")])
def test_plain_datasets_opens_it(kind: str, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(OLD / kind), cache_dir=str(tmp_path))
    assert {split: len(loaded[split]) for split in loaded} == manifests.read(OLD / kind).splits


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != WITHOUT_CARD])
def test_it_trains(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(f"epochs = 1\nbatch_size = 3\ndim = 4\nlr = 0.01\nlogit_scale_init = -1.0\n{CONFIGS[kind]}")
    words: list[Any] = ["train", OLD / kind, "--config", config, "--loss", "symile", "--out", tmp_path / "runs"]
    assert call(*words) == 0, capsys.readouterr().err
    metrics = next((tmp_path / "runs").rglob("metrics.json"))
    assert 0 <= json.loads(metrics.read_text())["test"]["accuracy"] <= 1


def test_an_unfinished_build_is_refused_by_a_sentence(tmp_path: Path) -> None:
    recorded = manifests.read(OLD / "xor").identity
    hidden = tmp_path / "xor" / manifests.UNFINISHED
    hidden.mkdir(parents=True)
    (hidden / "identity.json").write_text(
        pretty_json({"dataset": recorded.dataset, "spec": recorded.spec, "sources": {}, "versions": recorded.versions})
    )
    spec = XorSpec(rows={"train": 40, "validation": 20, "test": 20})
    with pytest.raises(OutputError, match=r"an unfinished build of another version of symile-data") as told:
        build_xor(spec, tmp_path / "xor", workers=1, write_card=no_card)
    assert "0.1.0" in str(told.value)
    assert hidden.is_dir(), "nothing of the unfinished build is lost"


def test_a_finished_dataset_is_not_built_over(tmp_path: Path) -> None:
    shutil.copytree(OLD / "xor", tmp_path / "xor")
    before = (tmp_path / "xor" / "manifest.json").read_bytes()
    with pytest.raises(OutputError, match="a finished dataset of another version of symile-data"):
        build_xor(
            XorSpec(rows={"train": 40, "validation": 20, "test": 20}),
            tmp_path / "xor",
            workers=1,
            write_card=no_card,
        )
    assert (tmp_path / "xor" / "manifest.json").read_bytes() == before
