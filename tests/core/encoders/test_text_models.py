"""Text models of BERT's kind beside XLM-R: each is averaged over the layers and positions that were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import VOCABULARY, tiny_tokenizer

from symile_data.encoders import BertEncoder, DataDescription
from symile_data.encoders.frozen import frozen_encoder
from symile_data.errors import SourceError, UsageError

SIZES = {"vocab_size": len(VOCABULARY), "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 16, "max_position_embeddings": 40, "pad_token_id": 1}  # fmt: skip
TEXTS = ["bee_lion", "lion", ""]


def tiny_text(folder: Path, family: str) -> tuple[str, transformers.PreTrainedModel]:
    torch.manual_seed(0)
    if family == "DistilBert":
        settings = transformers.DistilBertConfig(
            vocab_size=len(VOCABULARY), dim=8, n_layers=2, n_heads=2, hidden_dim=16, max_position_embeddings=40
        )
    else:
        settings = getattr(transformers, f"{family}Config")(**SIZES)
    model = getattr(transformers, f"{family}Model")(settings).eval()
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder), model


def text_encoder(name: str, settings: dict[str, Any]) -> BertEncoder:
    encoder = frozen_encoder("text", name, settings)
    assert isinstance(encoder, BertEncoder)
    return encoder


@pytest.mark.parametrize(
    ("family", "layers"),
    [
        *((family, layers) for family in ("Bert", "DistilBert", "XLMRoberta") for layers in (2, 1, 0)),
        *((family, layers) for family in ("MPNet", "ModernBert") for layers in (2, 1)),
    ],
)
def test_features_are_the_mean_of_the_last_layer_that_is_kept(family: str, layers: int, tmp_path: Path) -> None:
    name, model = tiny_text(tmp_path, family)
    settings = {"pool": "observed", "layers": layers, "tokens": 9}
    encoder = text_encoder(name, settings)
    coded = tiny_tokenizer()(TEXTS, padding="max_length", max_length=9, return_tensors="pt")
    ids, observed = coded["input_ids"], coded["attention_mask"]
    assert observed.sum(dim=1).tolist() == [5, 3, 2]
    with torch.inference_mode():
        output = model(input_ids=ids, attention_mask=observed, output_hidden_states=True)
        states = output.hidden_states[layers]
        if family == "ModernBert":  # which normalises what its last layer gives, whichever that is
            states = output.last_hidden_state if layers == 2 else model.final_norm(states)
        expected = torch.stack([state[:count].mean(dim=0) for state, count in zip(states, [5, 3, 2], strict=True)])
        torch.testing.assert_close(encoder.features(TEXTS), expected)
        every = text_encoder(name, settings | {"pool": "all"})
        torch.testing.assert_close(every.features(TEXTS), states.mean(dim=1))


def test_all_layers_are_kept_where_none_are_named(tmp_path: Path) -> None:
    name, _ = tiny_text(tmp_path, "Bert")
    assert len(BertEncoder(4, DataDescription(), name).model.encoder.layer) == 2
    with pytest.raises(UsageError, match=r"does not have so many layers .*got 3\. It has 2"):
        frozen_encoder("text", name, {"layers": 3})


def test_a_sentence_encoder_is_taken_by_its_transformer(tmp_path: Path) -> None:
    name, model = tiny_text(tmp_path, "Bert")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    coded = tiny_tokenizer()(["bee"], return_tensors="pt")
    with torch.inference_mode():
        expected = model(input_ids=coded["input_ids"]).last_hidden_state.mean(dim=1)
        found = text_encoder(name, {"pool": "observed", "tokens": 9}).features(["bee"])
    torch.testing.assert_close(found, expected)


def test_it_can_be_trained_with_no_parameter_left_out(tmp_path: Path) -> None:
    encoder = BertEncoder(4, DataDescription(), tiny_text(tmp_path, "Bert")[0], tokens=9)
    encoder([None, "bee"]).square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())  # no pooling layer without gradients


@pytest.mark.parametrize("family", ["GPT2", "Bart"])
def test_a_model_of_another_kind_is_refused(family: str, tmp_path: Path) -> None:
    shape = {"n_embd": 8, "n_layer": 1, "n_head": 2} if family == "GPT2" else {"d_model": 8}
    settings = getattr(transformers, f"{family}Config")(vocab_size=8, **shape)
    settings.save_pretrained(tmp_path)
    with pytest.raises(SourceError, match=rf"no text encoder of BERT's kind .*got {family.lower()}\. Choose a model"):
        frozen_encoder("text", str(tmp_path), {})


def test_more_tokens_than_positions_are_refused_before_encoding(tmp_path: Path) -> None:
    name, _ = tiny_text(tmp_path, "Bert")
    with pytest.raises(SourceError, match=r"does not encode a blank text .*got .*Choose another model, or settings"):
        frozen_encoder("text", name, {"tokens": 41})
