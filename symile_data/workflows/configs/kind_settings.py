"""Check the settings that a config has for kinds of modalities, in its tables [encoders] and [inputs]."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import TYPE_CHECKING

from symile_data.errors import UsageError, choose_similar
from symile_data.format.kinds import KINDS

if TYPE_CHECKING:
    from symile_data.training.config import TrainConfig


def check_kind_settings(kinds: Collection[str], config: TrainConfig) -> None:
    """See that the tables name kinds of modalities, and settings that the encoders and decoders of a dataset know.

    Args:
        kinds: The kinds of the dataset's modalities.
        config: The config; it may have settings for kinds that the dataset lacks, which have no effect.

    Raises:
        UsageError: a kind or a setting is unknown, or the value of a setting is of another type.
    """
    from symile_data.encoders import ENCODERS, check_encoder_settings
    from symile_data.loaders.decoders import decoder_of

    known = sorted({*ENCODERS, *KINDS, *kinds})
    for table, given in (("encoders", config.encoders), ("inputs", config.inputs)):
        for kind in given:
            if kind not in known:
                raise UsageError(
                    f"[{table}] of the config names no kind of modality", got=kind, do=choose_similar(kind, known)
                )
    for kind in kinds:
        check_encoder_settings(kind, config.encoders.get(kind, {}))
        decoder = decoder_of(kind)
        if decoder is None or kind not in config.inputs:
            continue
        names = list(inspect.signature(decoder.settings).parameters)
        unknown = [name for name in config.inputs[kind] if name not in names]
        if unknown:
            raise UsageError(
                f"[inputs.{kind}] of the config has an unknown setting",
                got=unknown[0],
                do=choose_similar(unknown[0], names),
            )
        decoder.settings(**config.inputs[kind])
