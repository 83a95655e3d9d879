"""Encoders: shapes, words, labs, ECGs, the division into features and head, missing values, and what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor

from symile_data.encoders import (
    ENCODERS,
    DataDescription,
    FeatureEncoder,
    Imputation,
    LabsEncoder,
    WordEncoder,
    check_encoder_settings,
    make_encoder,
)
from symile_data.encoders.base import UniformDropout
from symile_data.encoders.ecg import unit_range
from symile_data.encoders.text import vocabulary_of
from symile_data.errors import UsageError

NAN = torch.nan
MEDIA: dict[str, Any] = {
    "image": torch.arange(3 * 32 * 32 * 3).remainder(256).to(torch.uint8).view(3, 32, 32, 3),
    "audio": torch.linspace(-1, 1, 3 * 8 * 30).view(3, 8, 30),
    "vector": torch.linspace(0, 1, 15).view(3, 5),
    "features": torch.linspace(0, 1, 15).view(3, 5).half(),
    "text": ["bee_lion", None, "lion"],
    "ecg": torch.randint(-500, 500, (3, 12, 640), generator=torch.Generator().manual_seed(0)).to(torch.int16),
    "labs": torch.tensor([[0.1, NAN, 0.3, NAN, 0.5], [NAN] * 5, [0.5, 0.4, 0.3, 0.2, 0.1]]),
}
DESCRIPTION = DataDescription(size=5, vocabulary=["bee", "lion"])
SETTINGS = {"image": {"width": 2}, "audio": {"mels": 8, "width": 4}}


@pytest.mark.parametrize(
    ("kind", "model"),
    [(kind, next(iter(models))) for kind, models in ENCODERS.items()] + [("image", "resnet"), ("ecg", "resnet")],
)
def test_every_kind_gives_one_embedding_a_row(kind: str, model: str) -> None:
    settings = SETTINGS.get(kind, {}) if model == next(iter(ENCODERS[kind])) else {"depth": 18}
    encoder = make_encoder(kind, 6, {"model": model, **settings}, DESCRIPTION)
    embedding = encoder(MEDIA[kind], torch.tensor([False, kind in ("text", "labs"), False]))
    assert embedding.shape == (3, 6) and embedding.isfinite().all()
    embedding.square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_a_hidden_layer_of_vectors_can_tell_an_xor_apart() -> None:
    encoder = make_encoder("vector", 1, {"model": "mlp", "hidden": 2}, DataDescription(size=2))
    assert isinstance(encoder, FeatureEncoder)
    with torch.no_grad():
        first, last = (layer for layer in encoder.head.modules() if isinstance(layer, torch.nn.Linear))
        first.weight.copy_(torch.tensor([[1.0, 1.0], [1.0, 1.0]]))
        first.bias.copy_(torch.tensor([0.0, -1.0]))
        last.weight.copy_(torch.tensor([[1.0, -2.0]]))
        last.bias.zero_()
    bits = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert encoder(bits).flatten().tolist() == [0.0, 1.0, 1.0, 0.0]
    filled = make_encoder("vector", 3, {"model": "mlp", "hidden": 32}, DataDescription(size=2, imputed=True))
    embedding = filled(bits, torch.tensor([False, False, True, True]))
    assert torch.equal(embedding[2], embedding[3]) and not torch.equal(embedding[0], embedding[1])
    with pytest.raises(UsageError, match="hidden of an encoder is at least 1; got 0"):
        make_encoder("vector", 1, {"model": "mlp", "hidden": 0}, DataDescription(size=2))


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_features_and_head_make_the_embedding(kind: str) -> None:
    encoder = make_encoder(kind, 6, SETTINGS[kind] | {"dropout": 0.5}).eval()
    assert isinstance(encoder, FeatureEncoder)
    features = encoder.features(MEDIA[kind])
    assert features.shape == (3, encoder.feature_size)
    assert torch.equal(encoder.embed_features(features), encoder(MEDIA[kind]))


@pytest.mark.parametrize("kind", ["image", "audio", "ecg"])
def test_dropout_works_on_the_features_in_training_only(kind: str) -> None:
    encoder = make_encoder(kind, 6, {"width": 2, "dropout": 0.5})
    assert isinstance(encoder, FeatureEncoder)
    features = torch.ones(200, encoder.feature_size)
    embeddings = encoder.embed_features(features)
    assert not torch.equal(embeddings, embeddings[:1].expand(200, -1))
    encoder.eval()
    assert torch.equal(encoder.embed_features(features)[0], encoder.embed_features(features)[1])


def test_a_text_is_the_mean_of_its_words_in_any_order() -> None:
    encoder = WordEncoder(4, DESCRIPTION)
    unknown, missing, bee, lion = encoder.words.weight
    both, turned, single, absent, other = encoder(["bee_lion", "lion_bee", "lion", None, "wasp"])
    torch.testing.assert_close(both, (bee + lion) / 2)
    assert torch.equal(both, turned) and torch.equal(single, lion)
    assert torch.equal(absent, missing) and torch.equal(other, unknown)


def test_missing_texts_anywhere_leave_the_others_alone() -> None:
    encoder = WordEncoder(4, DESCRIPTION)
    texts = [None, "bee", None, None, "lion_bee", None]
    assert torch.equal(encoder(texts), torch.cat([encoder([text]) for text in texts]))


def test_a_vocabulary_is_sorted_and_without_repeats() -> None:
    assert vocabulary_of(["b_a", None, "a_c"]) == ["a", "b", "c"] and vocabulary_of([None]) == []


def first_inputs(encoder: LabsEncoder, labs: Tensor, missing: Tensor | None = None) -> Tensor:
    """What the first layer of the network is given."""
    seen: list[Tensor] = []
    handle = encoder.network[0].register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    encoder(labs, missing)
    handle.remove()
    return seen[0]


def test_labs_are_filled_in_with_means_and_flagged_as_observed() -> None:
    encoder = LabsEncoder(6, DESCRIPTION)
    encoder.mean.copy_(torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]))
    inputs = first_inputs(encoder, MEDIA["labs"], torch.tensor([False, False, True]))
    expected = torch.tensor(
        [
            [0.1, 0.8, 0.3, 0.6, 0.5, 1.0, 0.0, 1.0, 0.0, 1.0],
            [0.9, 0.8, 0.7, 0.6, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.9, 0.8, 0.7, 0.6, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0],
        ]
    )
    assert torch.equal(inputs, expected)


def test_the_papers_network_of_labs() -> None:
    widths = [
        tuple(layer.weight.shape)
        for layer in LabsEncoder(64, DataDescription(size=50)).network
        if isinstance(layer, torch.nn.Linear)
    ]
    assert widths == [(256, 100), (1024, 256), (64, 1024)]


def test_an_ecg_is_brought_to_one_range_whatever_its_unit() -> None:
    records = MEDIA["ecg"]
    scaled = unit_range(records)
    assert scaled.amin(dim=(1, 2)).tolist() == [-1.0] * 3 and scaled.amax(dim=(1, 2)).tolist() == [1.0] * 3
    torch.testing.assert_close(unit_range(records.float() / 200), scaled)
    assert not unit_range(torch.full((1, 12, 5), 7)).any()


def test_missing_features_become_their_mean_and_say_so() -> None:
    missing = torch.tensor([False, True, False])
    for learned, extra in ((True, 5), (False, 1)):
        imputation = Imputation(5, learned=learned)
        imputation.mean.copy_(torch.arange(5.0))
        out = imputation(MEDIA["vector"], missing)
        assert out.shape == (3, 5 + extra)
        assert torch.equal(out[~missing][:, :5], MEDIA["vector"][~missing]) and torch.equal(
            out[1, :5], torch.arange(5.0)
        )
        assert torch.equal(out[0, 5:], out[2, 5:]) and not torch.equal(out[0, 5:], out[1, 5:])
        assert torch.equal(imputation(MEDIA["vector"], None)[:, :5], MEDIA["vector"])
    assert out[:, 5].tolist() == [0.0, 1.0, 0.0]
    encoder: Any = make_encoder("features", 6, {"learned_indicator": True}, DataDescription(size=5, imputed=True))
    assert encoder.head[1].weight.shape == (6, 10) and encoder(MEDIA["features"], missing).shape == (3, 6)


def test_bits_enter_as_signs_and_missing_ones_as_their_mean() -> None:
    encoder: Any = make_encoder("vector", 6, {"model": "bits"}, DataDescription(size=2, imputed=True))
    bits = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    layer = encoder.head[1]
    encoder.imputation.mean.copy_(torch.tensor([0.5, -0.5]))
    entered = torch.tensor([[-1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.5, -0.5, 1.0]])
    torch.testing.assert_close(encoder(bits, torch.tensor([False, False, True])), layer(entered))


def test_an_unknown_kind_model_or_setting_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no encoder for a kind.*smell.*or choose among image, audio, text, vector"):
        make_encoder("smell", 4, {})
    with pytest.raises(UsageError, match=r"no such encoder of kind image.*vit.*Choose among small, clip, resnet"):
        make_encoder("image", 4, {"model": "vit"})
    with pytest.raises(UsageError, match=r"a setting that the image encoder does not know.*depth"):
        make_encoder("image", 4, {"depth": 3})
    with pytest.raises(UsageError, match=r"no such residual network.*34"):
        make_encoder("ecg", 4, {"model": "resnet", "depth": 34})
    for kind in ("vector", "labs"):
        with pytest.raises(UsageError, match="must know"):
            make_encoder(kind, 4, {})


def test_an_encoder_without_features_says_so() -> None:
    with pytest.raises(TypeError, match="FeatureEncoder does not define features"):
        FeatureEncoder(4, 2, DESCRIPTION)(torch.zeros(2, 4))


def test_dropout_keeps_its_share_and_the_mean_in_training_and_everything_otherwise() -> None:
    torch.manual_seed(0)
    layer, ones = UniformDropout(0.3), torch.ones(200, 500)
    dropped = layer(ones)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)  # six standard deviations
    assert torch.equal(layer.eval()(ones), ones)
    assert not torch.equal(dropped, layer.train()(ones))
    assert torch.equal(UniformDropout(0.0)(ones), ones) and not UniformDropout(1.0)(ones).any()


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("vector", {"dropout": 1.5}, "dropout of an encoder is from 0 to 1; got 1.5"),
        ("vector", {"dropout": -0.5}, "dropout of an encoder is from 0 to 1; got -0.5"),
        ("image", {"width": 0}, "width of an encoder is at least 1; got 0"),
        ("audio", {"mels": -3}, "mels of an encoder is at least 1; got -3"),
        ("labs", {"widths": [8, 0]}, r"widths of an encoder is at least 1; got \[8, 0\]"),
        ("text", {"init_std": -1.0}, "init_std of an encoder is at least 0; got -1.0"),
    ],
)
def test_settings_out_of_range_are_refused_before_an_encoder_is_made(
    kind: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_encoder_settings(kind, settings)
    check_encoder_settings(kind, {name: [1] if name == "widths" else 1 for name in settings})


def test_audio_of_other_mel_bands_is_refused() -> None:
    encoder = make_encoder("audio", 6, {"mels": 3, "width": 4})
    with pytest.raises(UsageError, match=r"got 40 bands, not 3\. Set n_mels in .inputs\.audio"):
        encoder(torch.zeros(2, 40, 50))
    with pytest.raises(UsageError, match=r"got waveforms, not 3 bands\. Set n_mels in .inputs\.audio"):
        encoder(torch.zeros(2, 800))
