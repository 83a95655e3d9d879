"""`symile-data reproduce m3 --keys` on tiny builds, with three, four and five modalities."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from command import call

from symile_data.experiments import m3_keys
from symile_data.training.checkpoints import load_file
from symile_data.training.run import load_module
from symile_data.training.run_record import read_run

CONFIG = """
epochs = 1
batch_size = 6
dim = 4
lr = 0.01
logit_scale_init = -1.0
target = "image"
label = "cls_id"
redraw_words = true
resample_within_class = { image = "cls_id", "audio+symbol?+tone?+code?" = "target_lang" }
encoders = { image = { width = 2 }, audio = { width = 4 } }
inputs = { image = { size = 16 }, audio = { n_mels = 40, seconds = 0.5 } }

[symile-pair]
settings = { both = true }

[pretrain]
labels = { image = "cls_id", audio = "lang", "symbol?" = "symbol_id", "tone?" = "tone_id" }
epochs = 1
batch_size = 6
lr = 0.01
features = "probabilities"
"""


def test_accuracy_over_modalities_stands_beside_the_ceilings(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(m3_keys, "KEYS", ((), ("symbol", "tone")))  # one dataset and two trainings fewer
    (tmp_path / "tiny.toml").write_text(CONFIG)
    out = tmp_path / "sweep"
    sizes = ("--train", "12", "--validation", "6", "--test", "6", "--images", tree, "--workers", "1")
    words = ("--out", out, "--langs", "2", "--config", tmp_path / "tiny.toml", *sizes)
    assert call("reproduce", "m3", "--keys", *words) == 0
    said = capsys.readouterr()
    assert "M3 sweep: 2/2 trials" in said.err and "pretraining encoders: 1/1 sets" in said.err
    points = json.loads((out / "results.json").read_text())["points"]
    assert [(point["modalities"], point["keys"]) for point in points] == [
        (3, []),
        (5, ["symbol", "tone"]),
    ]
    for point in points:
        assert 0 <= point["symile-pair"]["mean"] <= 1 and len(point["clip"]["values"]) == 1
        assert set(point["shuffled"]["symile-pair"]) == {"audio", "text", *point["keys"]}
        assert point["text_alone"] <= point["one_left_out"] == point["counting"] <= 1
    table = (out / "results.md").read_text()
    assert table.startswith("| M | langs | keys |") and "| 5 | 2 | audio, symbol, tone |" in table
    assert (out / "results.png").read_bytes().startswith(b"\x89PNG")
    config = read_run(out / "m3-2-modalities-5" / "seed-0" / "symile-pair").config
    assert config.resample_within_class == {"image": "cls_id", "audio+symbol+tone": "target_lang"}
    assert config.settings == {"both": True} and config.objective == "symile-pair"
    assert config.pretrain is not None and set(config.pretrain.labels) == {"image", "audio", "symbol", "tone"}
    three = read_run(out / "m3-2-modalities-3" / "seed-0" / "clip").config
    assert three.resample_within_class == {"image": "cls_id", "audio": "lang"}
    assert three.pretrain is not None and set(three.pretrain.labels) == {"image", "audio"}
    shared, own = (
        {name: value for name, value in state.items() if not name.startswith("head.") and value.dim()}
        for state in (
            load_file(out / "pretrained-0" / "pretrained.pt")["weights"]["audio"],
            load_module(out / "m3-2-modalities-3" / "seed-0" / "clip").encoders["audio"].state_dict(),
        )
    )
    assert "classifier.weight" in shared and shared.keys() == own.keys()
    assert all(torch.equal(value, own[name]) for name, value in shared.items())
    assert call("reproduce", "m3", "--keys", *words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["points"][1]["clip"] == points[1]["clip"]


def test_missing_rates_are_another_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("reproduce", "m3", "--keys", "--rates", "0.5") == 2
    assert "it is another experiment than --keys" in capsys.readouterr().err
