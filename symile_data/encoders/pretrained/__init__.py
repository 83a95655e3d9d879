"""Encoders that stand on pretrained models of transformers, by their id on the Hugging Face Hub or by a folder."""

from .loading import check_pool, load_model, load_pretrained, transformers_class

__all__ = ["check_pool", "load_model", "load_pretrained", "transformers_class"]
