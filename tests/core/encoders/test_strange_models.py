"""Folders of models that strangers made: nothing in them runs, and what cannot be loaded is one sentence."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_clip, tiny_vision, tiny_whisper, tiny_xlm_roberta

from symile_data.encoders import DataDescription, make_encoder
from symile_data.encoders.frozen import frozen_encoder
from symile_data.encoders.pretrained import load_model, load_pretrained
from symile_data.errors import SourceError

CODE = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
import transformers
class Config(transformers.ViTConfig): model_type = "strange"
class Model(transformers.ViTModel): config_class = Config
class Tokens(transformers.PreTrainedTokenizerFast): pass
"""
OWN = {
    "AutoConfig": "evil.Config",
    "AutoModel": "evil.Model",
    "AutoTokenizer": ["evil.Tokens", "evil.Tokens"],
    "AutoImageProcessor": "evil.Config",
}


def change(path: Path, **settings: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **settings}), encoding="utf-8")


def strange(folder: Path, make: Callable[[Path], Any], **settings: Any) -> str:
    make(folder)
    (folder / "evil.py").write_text(CODE, encoding="utf-8")
    change(folder / "config.json", auto_map=OWN, **settings)
    if (folder / "tokenizer_config.json").exists():
        change(folder / "tokenizer_config.json", auto_map=OWN, tokenizer_class="Tokens")
    return str(folder)


def vit(folder: Path) -> None:
    tiny_vision(folder, "ViT")


LOADS: dict[str, Callable[[str], object]] = {
    "settings": lambda name: load_pretrained("AutoConfig", name),
    "tokenizer": lambda name: load_pretrained("AutoTokenizer", name),
    "model": lambda name: load_model("AutoModel", name),
    "frozen image": lambda name: frozen_encoder("image", name, {}),
    "frozen text": lambda name: frozen_encoder("text", name, {}),
    "frozen audio": lambda name: frozen_encoder("audio", name, {}),
    "vision": lambda name: make_encoder("image", 4, {"model": "vision", "name": name}, DataDescription()),
    "clip": lambda name: make_encoder("image", 4, {"model": "clip", "name": name}, DataDescription()),
    "whisper": lambda name: make_encoder("audio", 4, {"model": "whisper", "name": name}, DataDescription()),
    "xlm-roberta": lambda name: make_encoder("text", 4, {"model": "xlm-roberta", "name": name}, DataDescription()),
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize("make", [vit, tiny_clip, tiny_whisper, tiny_xlm_roberta])
def test_no_code_of_a_folder_runs(
    load: Callable[[str], object], make: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda _="": pytest.fail("it asked"))
    name = strange(tmp_path / "model", make, model_type="strange")
    with contextlib.suppress(SourceError):  # without one, transformers' own class took it
        load(name)
    assert not (tmp_path / "model" / "ran").exists()


@pytest.mark.parametrize(("load", "make"), [("clip", vit), ("whisper", tiny_clip), ("xlm-roberta", tiny_clip)])
def test_a_model_of_another_class_is_not_filled_with_random_weights(
    load: str, make: Callable[[Path], Any], tmp_path: Path
) -> None:
    make(tmp_path)
    with pytest.raises(SourceError, match=r"has no weights for a part of|cannot be loaded|is no text encoder"):
        LOADS[load](str(tmp_path))


def test_a_model_with_code_of_its_own_is_told_apart(tmp_path: Path) -> None:
    name = strange(tmp_path / "model", vit, model_type="strange")
    with pytest.raises(SourceError, match=r"Python code from its own folder or repository, which never runs\. Choose"):
        load_pretrained("AutoConfig", name)


def test_a_known_type_is_loaded_without_the_code_beside_it(tmp_path: Path) -> None:
    name = strange(tmp_path / "model", vit)
    assert type(load_model("AutoModel", name)).__module__.startswith("transformers.")
    assert not (tmp_path / "model" / "ran").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "trapped"),)

    vit(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save({"embeddings.cls_token": Trap()}, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(SourceError, match="cannot be loaded"):
        load_model("AutoModel", str(tmp_path / "model"))
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
@pytest.mark.parametrize("value", ["evil/kernel", {"": "sdpa", "vision_config": "evil/kernel@main"}])
def test_settings_that_name_a_kernel_are_refused(tmp_path: Path, key: str, value: Any) -> None:
    vit(tmp_path)
    for settings in ({key: value}, {"vision_config": {"deeper": {key: value}}}):
        original = (tmp_path / "config.json").read_text(encoding="utf-8")
        change(tmp_path / "config.json", **settings)
        with pytest.raises(SourceError, match=f"name code of another repository.*got {key}: evil/kernel"):
            load_model("AutoModel", str(tmp_path))
        (tmp_path / "config.json").write_text(original, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("config.json", b"[]"),
        ("config.json", b"\xff"),
        ("config.json", b'{"model_type": "vit", "hidden_size": "x"}'),
        ("config.json", b'{"model_type": "vit", "hidden_size": 9}'),
        ("config.json", b'{"model_type": "vit", "dtype": "os"}'),
        ("config.json", b'{"model_type": ["vit"]}'),
        ("model.safetensors", b"no weights"),
        ("model.safetensors", b"\xff" * 16),
    ],
)
def test_broken_folders_are_sentences(tmp_path: Path, name: str, contents: bytes) -> None:
    vit(tmp_path)
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(SourceError, match="cannot be loaded"):
        load_model("AutoModel", str(tmp_path))


@pytest.mark.parametrize("settings", [{}, {"image_mean": "x", "image_std": [1, 1, 1]}, {"image_mean": [None] * 3}])
def test_a_preparation_that_is_none_is_a_sentence(tmp_path: Path, settings: dict[str, Any]) -> None:
    vit(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(SourceError, match="how its images are normalised"):
        make_encoder("image", 4, {"model": "vision", "name": str(tmp_path)}, DataDescription())
