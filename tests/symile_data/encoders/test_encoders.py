"""Encoders: shapes, words, the division into features and head, and what is refused."""

import pytest
import torch

from symile_data.encoders import ENCODERS, FeatureEncoder, WordEncoder, make_encoder
from symile_data.encoders.text import vocabulary_of
from symile_data.errors import UsageError

MEDIA = {
    "image": torch.arange(3 * 16 * 16 * 3).remainder(256).to(torch.uint8).view(3, 16, 16, 3),
    "audio": torch.linspace(-1, 1, 3 * 8 * 30).view(3, 8, 30),
    "vector": torch.linspace(0, 1, 15).view(3, 5),
    "text": ["bee_lion", None, "lion"],
}
SETTINGS = {"image": {"width": 2}, "audio": {"mels": 8, "width": 4}, "text": {"vocabulary": ["bee", "lion"]}}


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_kind_gives_one_embedding_a_row(kind: str) -> None:
    encoder = make_encoder(kind, 6, SETTINGS.get(kind, {}))
    embedding = encoder(MEDIA[kind])
    assert embedding.shape == (3, 6) and embedding.isfinite().all()
    embedding.square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_features_and_head_make_the_embedding(kind: str) -> None:
    encoder = make_encoder(kind, 6, SETTINGS[kind] | {"dropout": 0.5}).eval()
    assert isinstance(encoder, FeatureEncoder)
    features = encoder.features(MEDIA[kind])
    assert features.shape == (3, encoder.feature_size)
    assert torch.equal(encoder.embed_features(features), encoder(MEDIA[kind]))


def test_dropout_works_on_the_features_in_training_only() -> None:
    encoder = make_encoder("image", 6, {"width": 2, "dropout": 0.5})
    assert isinstance(encoder, FeatureEncoder)
    features = torch.ones(4, encoder.feature_size)
    assert not torch.equal(encoder.embed_features(features)[0], encoder.embed_features(features)[1])
    encoder.eval()
    assert torch.equal(encoder.embed_features(features)[0], encoder.embed_features(features)[1])


def test_a_text_is_the_mean_of_its_words_in_any_order() -> None:
    encoder = WordEncoder(4, ["bee", "lion"])
    vectors = encoder.words.weight
    both, turned, lion, missing = encoder(["bee_lion", "lion_bee", "lion", None])
    torch.testing.assert_close(both, (vectors[1] + vectors[2]) / 2)
    assert torch.equal(both, turned) and torch.equal(lion, vectors[2]) and not missing.any()


def test_missing_texts_anywhere_leave_the_others_alone() -> None:
    encoder = WordEncoder(4, ["bee", "lion"])
    texts = [None, "bee", None, None, "lion_bee", None]
    together = encoder(texts)
    assert torch.equal(together, torch.cat([encoder([text]) for text in texts]))
    assert not encoder([None, None]).any()


def test_unknown_words_share_one_vector() -> None:
    encoder = WordEncoder(4, ["bee"])
    one, other, known = encoder(["wasp", "fly", "bee"])
    assert torch.equal(one, other) and torch.equal(one, encoder.words.weight[0]) and not torch.equal(one, known)


def test_a_vocabulary_is_sorted_and_without_repeats() -> None:
    assert vocabulary_of(["b_a", None, "a_c"]) == ["a", "b", "c"] and vocabulary_of([None]) == []


def test_an_unknown_kind_or_setting_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no encoder for a kind.*smell.*Choose among image, audio, text, vector"):
        make_encoder("smell", 4, {})
    with pytest.raises(UsageError, match=r"a setting that the image encoder does not know.*depth"):
        make_encoder("image", 4, {"depth": 3})


def test_an_encoder_without_features_says_so() -> None:
    with pytest.raises(TypeError, match="FeatureEncoder does not define features"):
        FeatureEncoder(4, 2, 0.0)(torch.zeros(2, 4))
