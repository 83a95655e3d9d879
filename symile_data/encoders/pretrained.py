"""Models from transformers, by their id on the Hugging Face Hub or by a local folder."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from symile_data.errors import MissingPackageError, SourceError, UsageError


def load_pretrained(class_name: str, name: str, **options: Any) -> Any:
    """`transformers.<class_name>.from_pretrained(name, **options)`.

    Args:
        class_name: Such as "CLIPVisionModel".
        name: An id ("openai/clip-vit-large-patch14") or the path of a folder that holds a model.
        options: Of `from_pretrained`.

    Raises:
        MissingPackageError: transformers is not installed.
        SourceError: there is no such model, or it cannot be fetched.
    """
    load: Callable[..., Any] = transformers_class(class_name).from_pretrained
    try:
        return load(name, **options)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise SourceError(
            f"the pretrained model {name} cannot be loaded",
            got=reason,
            do="give the folder of a downloaded copy instead of its name, or connect to the Hugging Face Hub",
        ) from None


def check_pool(pool: str) -> None:
    """Refuse a way of averaging over positions that there is not.

    Raises:
        UsageError: naming those that there are.
    """
    if pool not in ("all", "observed"):
        raise UsageError("unknown pool of the encoder", got=repr(pool), do="choose all or observed")


def transformers_class(class_name: str) -> Any:
    """A class of transformers, imported when needed.

    Raises:
        MissingPackageError: transformers is not installed.
    """
    try:
        return getattr(import_module("transformers"), class_name)
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise MissingPackageError("transformers", "pretrained", "the paper's encoders") from None
