"""Random models of the paper's classes, small enough to make on the spot, saved as a download would be."""

from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

VOCABULARY = ["<s>", "<pad>", "</s>", "<unk>", "bee", "lion", "_", "<mask>"]


def tiny_clip(folder: Path, size: int = 16) -> str:
    """A CLIP model with a vision tower of width 8 for pictures of `size` pixels."""
    shape = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPVisionConfig(image_size=size, patch_size=8, **shape)
    transformers.CLIPVisionModel(config).save_pretrained(folder)
    return str(folder)


def tiny_vision(folder: Path, family: str) -> tuple[str, transformers.PreTrainedModel]:
    """A ViT or ResNet model for images of 16 pixels, and itself."""
    if family == "ViT":
        shape: dict[str, Any] = {
            "hidden_size": 8,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
        }
        model = transformers.ViTModel(transformers.ViTConfig(image_size=16, patch_size=8, **shape))
    else:
        shape = {"embedding_size": 4, "hidden_sizes": [4, 6], "depths": [1, 1], "layer_type": "basic"}
        model = transformers.ResNetModel(transformers.ResNetConfig(**shape))
    model.save_pretrained(folder)
    return str(folder), model


def tiny_whisper(folder: Path, mels: int = 20, frames: int = 50) -> str:
    """A Whisper model of width 8 for `frames` frames of `mels` bands."""
    config = transformers.WhisperConfig(
        d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=mels, max_source_positions=frames // 2,
        vocab_size=20, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        begin_suppress_tokens=None,
    )  # fmt: skip
    transformers.WhisperModel(config).save_pretrained(folder)
    return str(folder)


def tiny_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """A tokenizer of eight words."""
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split("_", "isolated")
    backend.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        mask_token="<mask>",
    )  # fmt: skip


def tiny_xlm_roberta(folder: Path) -> str:
    """An XLM-RoBERTa model of width 8 with two layers, and a tokenizer of eight words."""
    tiny_tokenizer().save_pretrained(folder)
    config = transformers.XLMRobertaConfig(
        vocab_size=len(VOCABULARY), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=40, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    transformers.XLMRobertaModel(config).save_pretrained(folder)
    return str(folder)
