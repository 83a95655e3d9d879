"""Models from transformers, by their id on the Hugging Face Hub or by a local folder.

No code of a model's folder or repository runs: classes of its own are refused without a question, weights are
safetensors or pickles of tensors and nothing else, and no kernel is fetched because the model's settings name one.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from symile_data.errors import MissingPackageError, SourceError, SymileDataError, UsageError


def load_pretrained(class_name: str, name: str, **options: Any) -> Any:
    """Call `transformers.<class_name>.from_pretrained(name, **options)`.

    Args:
        class_name: Such as "AutoTokenizer"; for models rather use `load_model`.
        name: An id ("openai/clip-vit-large-patch14") or the path of a folder that holds a model.
        options: Further arguments of `from_pretrained`.

    Raises:
        MissingPackageError: transformers is not installed.
        SourceError: there is no such model, it cannot be fetched or read, or it needs code of its own.
    """
    kind = transformers_class(class_name)
    logging = transformers_class("logging")
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # no table of weights that are left out on purpose: `load_model` checks the others
    bars, downloads = logging.is_progress_bar_enabled(), not are_progress_bars_disabled()
    logging.disable_progress_bar()  # of the second that loading takes
    if downloads:  # may take long, and the line before hides their bars too
        enable_progress_bars()
    try:
        # False, not None: with None transformers asks at the terminal whether to run the folder's code.
        return kind.from_pretrained(name, trust_remote_code=False, **options)
    except Exception as error:  # transformers meets a stranger's folder with errors of a dozen families
        raise _unusable(name, error) from None
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
        if not downloads:
            disable_progress_bars()


def load_model(class_name: str, name: str, **options: Any) -> Any:
    """Load a model in float32 and check that none of its weights is missing. Arguments are those of `load_pretrained`.

    Many checkpoints were trained without the pooling layer that their class has (ViT with a classifier, for one). They
    are loaded without that layer where the class allows it.

    Raises:
        MissingPackageError: transformers is not installed.
        SourceError: as `load_pretrained`, its settings name code to fetch from another repository, or it is of another
            class, so that weights would be drawn at random.
    """
    settings = transformers_class("PreTrainedConfig")
    try:
        kernels = list(_kernels(settings.get_config_dict(name)[0]))
    except Exception as error:
        raise _unusable(name, error) from None
    if kernels:
        raise SourceError(
            "the settings of a pretrained model name code of another repository, which never runs",
            where=name,
            got=kernels[0],
            do="remove that entry from its config.json",
        )
    # transformers would keep the type of the file: Whisper's large models are float16, which takes no float32 input.
    whole = {"weights_only": True, "output_loading_info": True, "dtype": "float32", **options}
    model, loaded = load_pretrained(class_name, name, **whole)
    without = without_pooling_layer(type(model))
    if loaded["missing_keys"] and without and all("pooler" in key.split(".") for key in loaded["missing_keys"]):
        model, loaded = load_pretrained(class_name, name, **whole, **without)
    if loaded["missing_keys"]:
        raise SourceError(
            f"the pretrained model has no weights for a part of {type(model).__name__}",
            where=name,
            got=f"no {min(loaded['missing_keys'])}",
            do="choose a model of that class",
        )
    return model


def without_pooling_layer(model_class: type) -> dict[str, bool]:
    """Return the argument that leaves out a class's pooling layer, or nothing where the class has no such argument."""
    arguments = inspect.signature(model_class).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in arguments else {}


def _kernels(settings: Any) -> Iterator[str]:
    """Entries such as `attn_implementation: owner/kernel`, at any depth: transformers would fetch and run these."""
    if not isinstance(settings, Mapping):
        return
    for key, value in settings.items():
        if str(key).endswith("_implementation"):
            named = value.values() if isinstance(value, Mapping) else [value]
            yield from (f"{key}: {choice}" for choice in named if "/" in str(choice))
        yield from _kernels(value)


def _unusable(name: str, error: Exception) -> SymileDataError:
    if isinstance(error, SymileDataError):
        return error
    said = str(error).strip()
    got, do = said.split("\n")[0] or type(error).__name__, "give a folder that transformers can read"
    if "trust_remote_code" in said:
        got = "a model that needs Python code from its own folder or repository, which never runs"
        do = "choose a model whose classes are part of transformers"
    elif not Path(name).is_dir():
        do = "give the folder of a downloaded copy instead of its name, or connect to the Hugging Face Hub"
    return SourceError(f"the pretrained model {name} cannot be loaded", got=got, do=do)


def check_pool(pool: str) -> None:
    """Check the name of a way of averaging over positions.

    Raises:
        UsageError: naming those that there are.
    """
    if pool not in ("all", "observed"):
        raise UsageError("unknown pool of the encoder", got=repr(pool), do="choose all or observed")


def transformers_class(class_name: str) -> Any:
    """Import a class of transformers when it is needed.

    Raises:
        MissingPackageError: transformers is not installed.
    """
    try:
        return getattr(import_module("transformers"), class_name)
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise MissingPackageError("transformers", "pretrained", "the paper's encoders") from None
