"""Run frozen encoders on stored media, which the loaders' decoders decode, for `symile-data embed`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from symile_data.cores import usable_cores
from symile_data.errors import DamageError, UsageError

if TYPE_CHECKING:
    import torch

    from symile_data.builders.features.spec import FeatureSpec, FrozenModel, Media

_MODELS_KEPT = 4


def describe_model(modality: str, kind: str, name: str, settings: Mapping[str, Any]) -> FrozenModel:
    """Load a model, encode one blank value with it, and describe its features and weights.

    Args:
        modality: Name of the modality that it encodes.
        kind: Kind of the modality: "image", "audio" or "text".
        name: Model id or folder.
        settings: Settings of the encoder, such as `pool`, `layers`, `tokens` or `seconds`. None stands for the
            encoder's own choice, which the description then names.

    Raises:
        SourceError: the model cannot be loaded, or gives no features.
        UsageError: it is of a type that is not known for the kind, or a setting does not suit it.
    """
    from symile_data.builders.features.spec import FrozenModel
    from symile_data.training.features import weights_fingerprint

    given = {setting: value for setting, value in settings.items() if value is not None}
    encoder = _load(kind, name, tuple(sorted(given.items())))
    return FrozenModel(
        modality=modality,
        name=name,
        settings={setting: given.get(setting, getattr(encoder, setting, None)) for setting in settings},
        size=encoder.feature_size,
        fingerprint=weights_fingerprint(encoder),
    )


def encode_media(spec: FeatureSpec, model: FrozenModel, media: Media) -> npt.NDArray[np.float32]:
    """Decode media as the model expects them and encode them in batches, while the next batch is decoded.

    Returns:
        (n, F) float32 features.

    Raises:
        DamageError: an image, a recording or a text cannot be decoded.
        UsageError: a text has more tokens than the encoder takes.
    """
    import torch

    from symile_data.training.features import compute_features

    encoder = _load(media.kind, model.name, tuple(sorted(model.settings.items())))
    device = torch.device("cpu") if spec.device == "cpu" else _gpu_of_worker()
    batches = _decoded(media, getattr(encoder, "inputs", {}), spec.batch_size)
    return torch.cat([compute_features(encoder, batch, device, spec.precision) for batch in batches]).numpy()


@lru_cache(maxsize=_MODELS_KEPT)
def _load(kind: str, name: str, settings: tuple[tuple[str, Any], ...]) -> Any:
    from symile_data.encoders.frozen import frozen_encoder

    return frozen_encoder(kind, name, dict(settings))


def _gpu_of_worker() -> torch.device:
    """Return the GPU of this worker process. The worker processes of a machine take its GPUs in turn."""
    import torch

    from symile_data.builders.engine.executor import worker_number

    if not torch.cuda.device_count():
        raise UsageError("a worker has no GPU that torch can use", do="give every worker one, or choose `device='cpu'`")
    return torch.device("cuda", worker_number() % torch.cuda.device_count())


def _decoded(media: Media, inputs: Mapping[str, Any], batch_size: int) -> Iterator[Any]:
    """Yield batches of decoded media: tensors, or lists of texts."""
    import torch

    from symile_data.loaders.decoders import DECODERS
    from symile_data.loaders.decoders.base import UndecodableError

    decoder = DECODERS[media.kind]
    settings, raw = decoder.settings(**inputs), decoder.values(media.values)

    def decode(index: int) -> Any:
        try:
            return decoder.decode(raw[index], settings)
        except UndecodableError as error:
            raise DamageError(
                "an image, a recording or a text cannot be decoded",
                where=media.place(index),
                got=error,
                do="fetch or build the shard again",
            ) from None

    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode") as executor:
        waiting: list[Future[Any]] = []
        for start in range(0, len(media.values) + batch_size, batch_size):
            following = [executor.submit(decode, index) for index in range(start, min(start + batch_size, len(raw)))]
            if waiting:
                values = [future.result() for future in waiting]
                yield values if isinstance(values[0], str) else torch.from_numpy(np.stack(values))
            waiting = following
