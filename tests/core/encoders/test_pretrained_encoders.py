"""The paper's encoders against their libraries, on tiny random models of the same classes loaded from disk."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from tiny_models import tiny_clip, tiny_vision, tiny_whisper, tiny_xlm_roberta

from symile_data.encoders import ClipVisionEncoder, DataDescription, WhisperEncoder, XlmRobertaEncoder, make_encoder
from symile_data.encoders.frozen import frozen_encoder
from symile_data.encoders.pretrained.whisper import sounding
from symile_data.errors import MissingPackageError, SourceError, UsageError
from symile_data.loaders.decoders.mel import log_mel
from symile_data.training.features import weights_fingerprint

DESCRIPTION = DataDescription()
PICTURES = torch.arange(2 * 16 * 16 * 3).remainder(251).to(torch.uint8).view(2, 16, 16, 3)


def test_images_are_pooled_by_clip_as_its_own_processor_prepares_them(tmp_path: Path) -> None:
    name = tiny_clip(tmp_path)
    encoder = make_encoder("image", 6, {"model": "clip", "name": name}, DESCRIPTION).eval()
    assert isinstance(encoder, ClipVisionEncoder)
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=16)
    pixels = processor(list(PICTURES.numpy()), return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    model = transformers.CLIPVisionModel.from_pretrained(name)
    torch.testing.assert_close(encoder.features(PICTURES), model(pixel_values=pixels).pooler_output)
    assert encoder(PICTURES).shape == (2, 6)


def test_recordings_are_the_mean_of_whispers_frames(tmp_path: Path) -> None:
    name = tiny_whisper(tmp_path)
    encoder = make_encoder("audio", 6, {"model": "whisper", "name": name}, DESCRIPTION).eval()
    assert isinstance(encoder, WhisperEncoder)
    mel = torch.randn(2, 20, 50, generator=torch.Generator().manual_seed(0))
    model = transformers.WhisperModel.from_pretrained(name)
    frames = model.encoder(mel).last_hidden_state
    assert frames.shape == (2, 25, 8)
    torch.testing.assert_close(encoder.features(mel), frames.mean(dim=1))


def test_the_silence_behind_a_recording_can_be_left_out(tmp_path: Path) -> None:
    encoder = WhisperEncoder(6, DESCRIPTION, tiny_whisper(tmp_path), pool="observed").eval()
    noise = np.random.default_rng(0).normal(size=(2, 8000)).astype(np.float32)
    noise[0, 3200:] = 0.0  # 20 frames; the windows of the next two reach back into the sound
    mel = torch.from_numpy(np.stack([log_mel(wave, 20) for wave in noise]))
    assert sounding(mel).tolist() == [22, 50]
    assert sounding(torch.zeros(1, 20, 50)).tolist() == [50]  # silent throughout
    frames = encoder.backbone(mel).last_hidden_state
    expected = torch.stack([frames[0, :11].mean(dim=0), frames[1].mean(dim=0)])
    torch.testing.assert_close(encoder.features(mel), expected)
    assert encoder.inputs == {"seconds": 0.5, "n_mels": 20}
    with pytest.raises(UsageError, match="unknown pool"):
        WhisperEncoder(4, DESCRIPTION, str(tmp_path), pool="last")  # type: ignore[arg-type]


@pytest.mark.parametrize(("asked", "frames"), [(0.2, 20), (0.19, 20), (0.5, 50), (0.04, 4), (0.0401, 6)])
def test_a_window_as_short_as_the_audio_keeps_the_first_positions(asked: float, frames: int, tmp_path: Path) -> None:
    name = tiny_whisper(tmp_path)
    whole = WhisperEncoder(4, DESCRIPTION, name).eval()
    short = WhisperEncoder(4, DESCRIPTION, name, seconds=asked).eval()
    assert short.inputs == {"seconds": frames / 100, "n_mels": 20}
    entered: dict[str, torch.Tensor] = {}
    for which, encoder in {"whole": whole, "short": short}.items():
        encoder.backbone.layers[0].register_forward_pre_hook(
            lambda _layer, inputs, which=which: entered.__setitem__(which, inputs[0])
        )
    mel = torch.randn(2, 20, 50, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole.features(mel)
        found = short.features(mel[:, :, :frames])
        states = short.backbone(mel[:, :, :frames]).last_hidden_state
    assert states.shape == (2, frames // 2, 8)
    torch.testing.assert_close(found, states.mean(dim=1))
    # The convolutions of the last frame reach over the edge of the window: there lies more of the audio, or nothing.
    inside = frames // 2 - (frames < 50)
    torch.testing.assert_close(entered["short"][:, :inside], entered["whole"][:, :inside])
    assert frames == 50 or not torch.allclose(entered["short"][:, inside], entered["whole"][:, inside])


@pytest.mark.parametrize("seconds", [0.02, 0.0, -1.0, 0.51, 30.0, float("nan"), float("inf")])
def test_a_window_that_is_no_part_of_the_models_is_refused(seconds: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must lie within that of the audio model.*Choose from 0\.04 to 0\.5 s"):
        WhisperEncoder(4, DESCRIPTION, tiny_whisper(tmp_path), seconds=seconds)


def test_a_model_of_half_precision_takes_spectrograms_of_full_precision(tmp_path: Path) -> None:
    name = tiny_whisper(tmp_path)  # Whisper's large models are stored in float16
    transformers.WhisperModel.from_pretrained(name).half().save_pretrained(name)
    encoder = frozen_encoder("audio", name, {})
    assert isinstance(encoder, WhisperEncoder)
    assert encoder.features(torch.zeros(1, 20, 50)).dtype == torch.float32


@pytest.mark.parametrize("family", ["ViT", "ResNet", "CLIP"])
def test_any_vision_model_is_pooled_as_it_does_itself(family: str, tmp_path: Path) -> None:
    if family == "CLIP":
        name = tiny_clip(tmp_path)
        model = transformers.CLIPVisionModel.from_pretrained(name)
    else:
        name, model = tiny_vision(tmp_path, family)
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": std}))
    encoder: Any = make_encoder("image", 6, {"model": "vision", "name": name}, DESCRIPTION).eval()
    pixels = (PICTURES.float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    expected = model.eval()(pixel_values=pixels.permute(0, 3, 1, 2)).pooler_output.flatten(1)
    torch.testing.assert_close(encoder.features(PICTURES), expected)
    assert encoder.inputs == {"size": 224 if family == "ResNet" else 16}
    assert not any(parameter.requires_grad for parameter in encoder.backbone.parameters())


def test_a_model_must_say_how_its_images_are_normalised(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"does not say how its images are normalised.*preprocessor_config\.json"):
        make_encoder("image", 6, {"model": "vision", "name": tiny_vision(tmp_path, "ViT")[0]}, DESCRIPTION)
    with pytest.raises(SourceError, match=r"is no model of images .*got xlm-roberta"):
        make_encoder("image", 6, {"model": "vision", "name": tiny_xlm_roberta(tmp_path / "text")}, DESCRIPTION)


def test_a_model_is_taken_for_the_kind_that_its_type_has(tmp_path: Path) -> None:
    names = {"image": tiny_clip(tmp_path / "c"), "audio": tiny_whisper(tmp_path / "w")}
    names["text"] = tiny_xlm_roberta(tmp_path / "x")
    found = {kind: type(frozen_encoder(kind, name, {})) for kind, name in names.items()}
    assert found == {"image": ClipVisionEncoder, "audio": WhisperEncoder, "text": XlmRobertaEncoder}
    twice = [weights_fingerprint(frozen_encoder("text", names["text"], {})) for _ in range(2)]
    assert twice[0] == twice[1]
    with pytest.raises(SourceError, match=r"no text encoder of BERT's kind .*got whisper"):
        frozen_encoder("text", names["audio"], {})
    with pytest.raises(UsageError, match=r"no encoder of kind audio for this type of model.*got xlm-roberta"):
        frozen_encoder("audio", names["text"], {})


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_backbones_are_frozen_and_heads_learn(kind: str, tmp_path: Path) -> None:
    model, name = ("clip", tiny_clip(tmp_path)) if kind == "image" else ("whisper", tiny_whisper(tmp_path))
    encoder = make_encoder(kind, 6, {"model": model, "name": name}, DataDescription(imputed=True))
    learning = {key for key, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert learning == {"head.1.weight", "head.1.bias", "imputation.indicator.weight"}


def test_texts_pass_one_layer_and_are_averaged_after_the_head(tmp_path: Path) -> None:
    name = tiny_xlm_roberta(tmp_path)
    settings = {"model": "xlm-roberta", "name": name, "tokens": 9}
    whole = make_encoder("text", 6, settings, DESCRIPTION).eval()
    assert isinstance(whole, XlmRobertaEncoder)
    model = transformers.XLMRobertaModel.from_pretrained(name)
    assert len(whole.model.encoder.layer) == 1 and len(model.encoder.layer) == 2
    tokenizer = transformers.AutoTokenizer.from_pretrained(name)
    coded = tokenizer(["bee_lion", "lion"], padding="max_length", max_length=9, return_tensors="pt")
    assert coded["attention_mask"].sum(dim=1).tolist() == [5, 3]
    hidden = model(**coded, output_hidden_states=True).hidden_states[1]
    by_position = whole.head(hidden)
    torch.testing.assert_close(whole(["bee_lion", "lion"]), by_position.mean(dim=1))
    observed = make_encoder("text", 6, settings | {"pool": "observed"}, DESCRIPTION).eval()
    observed.load_state_dict(whole.state_dict())
    expected = torch.stack([by_position[0, :5].mean(dim=0), by_position[1, :3].mean(dim=0)])
    torch.testing.assert_close(observed(["bee_lion", "lion"]), expected)


def test_a_missing_text_is_one_token_of_its_own(tmp_path: Path) -> None:
    encoder = XlmRobertaEncoder(6, DESCRIPTION, tiny_xlm_roberta(tmp_path), tokens=9, pool="observed")
    ids = encoder.tokenizer(["[MISSING]"])["input_ids"][0]
    assert ids == [0, 8, 2] and encoder.model.embeddings.word_embeddings.weight.shape == (9, 8)
    encoder([None, "bee"]).sum().backward()
    assert encoder.model.embeddings.word_embeddings.weight.grad[8].any()
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_a_text_that_does_not_fit_is_not_cut(tmp_path: Path) -> None:
    encoder = XlmRobertaEncoder(6, DESCRIPTION, tiny_xlm_roberta(tmp_path), tokens=4)
    with pytest.raises(UsageError, match=r"more than 4 tokens; got bee_lion\. Raise `tokens`"):
        encoder(["bee_lion"])
    with pytest.raises(UsageError, match="unknown pool"):
        XlmRobertaEncoder(6, DESCRIPTION, str(tmp_path), pool="bos")  # type: ignore[arg-type]


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"pretrained model nobody/nothing cannot be loaded.*give the folder|Give"):
        ClipVisionEncoder(4, DESCRIPTION, "nobody/nothing")
    with pytest.raises(SourceError, match="cannot be loaded"):
        WhisperEncoder(4, DESCRIPTION, str(tmp_path))


def test_loading_a_model_is_silent_and_leaves_the_bars_of_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = tiny_clip(tmp_path)
    transformers.logging.enable_progress_bar()
    capfd.readouterr()
    ClipVisionEncoder(4, DESCRIPTION, name)
    said = capfd.readouterr()
    assert said.out == said.err == ""
    assert transformers.logging.is_progress_bar_enabled() and not are_progress_bars_disabled()
    transformers.logging.disable_progress_bar()
    try:
        ClipVisionEncoder(4, DESCRIPTION, name)
        assert not transformers.logging.is_progress_bar_enabled()
    finally:
        transformers.logging.enable_progress_bar()


def test_without_transformers_the_install_command_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"pip install -c constraints.txt -e '\.\[pretrained\]'"):
        make_encoder("ecg", 4, {"model": "resnet"}, DESCRIPTION)
