"""Encoders of the trials on vectors."""

from __future__ import annotations

from typing import Any

from torch import nn

from symile_data.encoders import DataDescription, make_encoder
from symile_data.experiments.objective_plan import MLP, Recipe


def vector_encoder(model: str, size: int, recipe: Recipe, *, imputed: bool) -> nn.Module:
    """Make an encoder of vectors with weights from torch's generator.

    Args:
        model: "linear" or "mlp".
        size: Length of a vector.
        recipe: Size of the embeddings, dropout and hidden units.
        imputed: Whether the encoder fills in what is missing.
    """
    settings: dict[str, Any] = {"model": model, "dropout": recipe.dropout}
    if model == MLP:
        settings["hidden"] = recipe.hidden
    return make_encoder("vector", recipe.dim, settings, DataDescription(size=size, imputed=imputed))
