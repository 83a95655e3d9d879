"""From stored values to arrays: one row of the table `DECODERS` for each kind of modality.

A decoder is four small functions under a settings dataclass: which raw values a column holds, what one of them
becomes, and its shape and dtype, known beforehand so that batches can be allocated once. Adding a kind is adding a
settings class and a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image, ImageOps

from symile_data.errors import UsageError
from symile_data.media import UnfitMediumError, open_picture, read_clip

from .mel import HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES, log_mel

_ORIENTATION_TAG = 0x0112
_UPRIGHT = 1

Array = npt.NDArray[Any]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the picture


class UndecodableError(Exception):
    """A stored value that is no valid medium; the loader says which shard, row and column it came from."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """Pictures become (size, size, 3) uint8: shorter side resized, centre cropped, upright, RGB.

    Args:
        size: S, pixels.
        shorter_side: To what the shorter side is resized before the crop; `size` where not given (256 with size 224
            is the classical evaluation crop).
        kernel: "exact" is Pillow's antialiased bicubic, computed for the crop only; "fast" lets the JPEG decoder halve
            large pictures and resizes in uint8 with torch: less CPU, and pixels that differ from exact ones by 2 to
            3 of 255 on average.
    """

    size: int = 224
    shorter_side: int | None = None
    kernel: Literal["exact", "fast"] = "exact"

    def __post_init__(self) -> None:
        if self.size < 1 or (self.shorter_side is not None and self.shorter_side < self.size):
            raise UsageError(
                "an image needs 1 <= size <= shorter_side", got=f"size {self.size}, shorter_side {self.shorter_side}"
            )
        if self.kernel not in ("exact", "fast"):
            raise UsageError("unknown image kernel", got=repr(self.kernel), do="choose exact or fast")


@dataclass(frozen=True, kw_only=True)
class AudioSettings:
    """Clips become float32 mono at 16 kHz: (samples,), or (n_mels, samples // 160) log-mel.

    Args:
        seconds: Cut or pad with silence to this length; None keeps each clip's own (single clips only, not batches).
        n_mels: None for the waveform, else the number of filters of Whisper's log-mel spectrogram (80 or 128).
        store: Dtype in which a cache keeps decoded clips; batches are float32 in any case.
    """

    seconds: float | None = 3.0
    n_mels: int | None = None
    store: Literal["float32", "float16"] = "float32"

    def __post_init__(self) -> None:
        if self.seconds is not None and self.seconds * SAMPLE_RATE_HZ < WINDOW_SAMPLES:
            raise UsageError("a clip needs at least 0.025 seconds", got=self.seconds)
        if self.n_mels is not None and not 1 <= self.n_mels <= WINDOW_SAMPLES // 2:
            raise UsageError("n_mels must be from 1 to 200", got=self.n_mels)

    @property
    def samples(self) -> int | None:
        """Samples of a clip of fixed length."""
        return None if self.seconds is None else round(self.seconds * SAMPLE_RATE_HZ)


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """Texts stay Python strings; tokenising is the encoder's business."""


@dataclass(frozen=True, kw_only=True)
class VectorSettings:
    """Fixed-size lists of numbers become (length,) arrays.

    Args:
        dtype: Of the batch; "float16" keeps stored half-precision features as they are.
    """

    dtype: Literal["float32", "float16"] = "float32"


Settings = ImageSettings | AudioSettings | TextSettings | VectorSettings


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a decoded value is.

    Args:
        shape: Of one value.
        dtype: In a batch; object for Python values.
        stored: In a cache, where it differs.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: np.dtype[Any]


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """How one kind of modality is read.

    Args:
        settings: Its settings class; without arguments it gives the defaults.
        layout: (settings, Arrow type of the column) -> shape and dtypes of one value.
        values: Column of one row group -> its raw values, indexable by row.
        decode: (raw value, settings) -> decoded value. Raises UndecodableError. Releases the GIL in its heavy parts.
    """

    settings: type[Any]
    layout: Callable[[Any, pa.DataType], Layout]
    values: Callable[[pa.Array], Sequence[Any] | Array]
    decode: Callable[[Any, Any], Any]


def decode_image(data: bytes, settings: ImageSettings) -> npt.NDArray[np.uint8]:
    """A stored JPEG, PNG, ... as (S, S, 3) uint8.

    Raises:
        UndecodableError: not a picture, or a damaged one.
    """
    wanted = settings.shorter_side or settings.size
    try:
        with open_picture(data) as opened:
            picture = upright(opened, draft=2 * wanted if settings.kernel == "fast" else None)
            return resized(picture, centre_box(picture.size, settings), settings)
    except UnfitMediumError as error:
        raise UndecodableError(f"not a readable picture ({error})") from None


def upright(opened: Image.Image, draft: int | None = None) -> Image.Image:
    """Decode a picture as a camera held upright saw it, in 8 bits, RGB or grey.

    Args:
        opened: From `Image.open`, not yet decoded.
        draft: Let the JPEG decoder scale by 1/2, 1/4 or 1/8 where the shorter side stays at least this long.
    """
    if draft is not None and opened.format == "JPEG":
        scale = min(opened.size) // draft
        if scale >= 2:
            opened.draft(None, (opened.width // scale, opened.height // scale))
    picture = opened
    if picture.getexif().get(_ORIENTATION_TAG, _UPRIGHT) != _UPRIGHT:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip instead of scaling
        deep = np.asarray(picture).astype(np.int64)
        return Image.fromarray((deep.clip(0, 65535) >> 8).astype(np.uint8))
    return picture if picture.mode in ("RGB", "L") else picture.convert("RGB")


def centre_box(size: tuple[int, int], settings: ImageSettings) -> Box:
    """The part of a picture of `size` (width, height) that the resized, centre-cropped result shows.

    >>> centre_box((400, 200), ImageSettings(size=100))
    (100.0, 0.0, 300.0, 200.0)
    """
    shorter = settings.shorter_side or settings.size
    edges = []
    for side in size:
        resized_side = max(shorter, shorter * side // min(size))
        first = (resized_side - settings.size) // 2
        edges.append((first * side / resized_side, (first + settings.size) * side / resized_side))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def resized(picture: Image.Image, box: Box, settings: ImageSettings) -> npt.NDArray[np.uint8]:
    """Part of a picture, resized to (S, S, 3) uint8 by the settings' kernel."""
    size = settings.size
    if settings.kernel == "fast":
        pixels = _resized_fast(picture, box, size)
    else:
        pixels = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, box=box))
    return pixels if pixels.ndim == 3 else np.broadcast_to(pixels[:, :, None], (size, size, 3))


def _resized_fast(picture: Image.Image, box: Box, size: int) -> npt.NDArray[np.uint8]:
    import torch

    left, top, right, bottom = (round(edge) for edge in box)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    part = np.array(picture.crop((left, top, right, bottom)))
    planes = torch.from_numpy(part if part.ndim == 3 else part[:, :, None]).permute(2, 0, 1)[None]
    scaled = torch.nn.functional.interpolate(planes, size=(size, size), mode="bicubic", antialias=True)
    pixels: npt.NDArray[np.uint8] = scaled[0].permute(1, 2, 0).numpy()
    return pixels if part.ndim == 3 else pixels[:, :, 0]


def decode_audio(data: bytes, settings: AudioSettings) -> npt.NDArray[np.float32]:
    """A stored FLAC, WAV, MP3, ... as a waveform or log-mel spectrogram (see `AudioSettings`).

    Raises:
        UndecodableError: not a clip that libsndfile can read, or an empty one.
    """
    try:
        channels, rate = read_clip(data)
    except UnfitMediumError as error:
        raise UndecodableError(f"not a readable clip ({error})") from None
    if not len(channels):
        raise UndecodableError("a clip without samples")
    mono = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    waveform = mono if rate == SAMPLE_RATE_HZ else resampled(mono, rate)
    if settings.samples is not None:
        waveform = fixed_length(waveform, settings.samples)
    if settings.n_mels is None:
        return waveform
    # A clip of less than one window has no spectrogram of its own.
    return log_mel(fixed_length(waveform, max(len(waveform), WINDOW_SAMPLES)), settings.n_mels)


def fixed_length(waveform: npt.NDArray[np.float32], samples: int) -> npt.NDArray[np.float32]:
    """The first `samples` samples, with silence after a shorter clip.

    >>> fixed_length(np.ones(2, dtype=np.float32), 3).tolist()
    [1.0, 1.0, 0.0]
    """
    if len(waveform) >= samples:
        return np.ascontiguousarray(waveform[:samples])
    return np.concatenate([waveform, np.zeros(samples - len(waveform), dtype=np.float32)])


def resampled(waveform: npt.NDArray[np.float32], rate_hz: int) -> npt.NDArray[np.float32]:
    """A clip of any rate at 16 kHz, band-limited in the frequency domain.

    Args:
        waveform: (samples,) float32 at `rate_hz`.
        rate_hz: Samples in a second.

    Returns:
        (ceil(samples * 16000 / rate_hz),) float32.
    """
    common = int(np.gcd(rate_hz, SAMPLE_RATE_HZ))
    up, down = SAMPLE_RATE_HZ // common, rate_hz // common
    # Whole periods of both rates, and silence behind, so that the transform's wrap-around meets nothing.
    blocks = -(-len(waveform) // down) + -(-rate_hz // (50 * down))
    spectrum = np.fft.rfft(waveform, n=blocks * down)
    kept = np.fft.irfft(spectrum[: blocks * up // 2 + 1], n=blocks * up) * (up / down)
    return np.asarray(kept[: -(-len(waveform) * up // down)], dtype=np.float32)


def _media_bytes(column: pa.Array) -> Sequence[Any]:
    """Bytes of each row of a struct<bytes, path> (or plain binary) column, None where null."""
    payload = column.field("bytes") if pa.types.is_struct(column.type) else column
    return _Buffers(payload)


class _Buffers(Sequence[Any]):
    """Binary values that are turned into Python objects only when asked for."""

    def __init__(self, column: pa.Array) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row: Any) -> Any:
        return self._column[int(row)].as_py()


def _fixed_lists(column: pa.Array) -> Array:
    """(rows, length) numbers of a fixed-size-list column; whatever stands in null rows."""
    length = column.type.list_size
    inner = column.values.slice(column.offset * length, len(column) * length)
    return np.asarray(inner.to_numpy(zero_copy_only=False)).reshape(len(column), length)


def _layout(shape: tuple[int, ...], dtype: npt.DTypeLike, stored: npt.DTypeLike | None = None) -> Layout:
    return Layout(shape=shape, dtype=np.dtype(dtype), stored=np.dtype(dtype if stored is None else stored))


def _image_layout(settings: ImageSettings, _: pa.DataType) -> Layout:
    return _layout((settings.size, settings.size, 3), np.uint8)


def _audio_layout(settings: AudioSettings, _: pa.DataType) -> Layout:
    if settings.samples is None:
        raise UsageError("clips of a batch need one length", got="seconds=None", do="give AudioSettings(seconds=...)")
    if settings.n_mels is None:
        return _layout((settings.samples,), np.float32, settings.store)
    return _layout((settings.n_mels, settings.samples // HOP_SAMPLES), np.float32, settings.store)


def _text_layout(_: TextSettings, __: pa.DataType) -> Layout:
    return _layout((), object)


def _vector_layout(settings: VectorSettings, kind: pa.DataType) -> Layout:
    if not pa.types.is_fixed_size_list(kind):
        raise UsageError("a vector column must be a fixed-size list of numbers", got=kind)
    return _layout((kind.list_size,), settings.dtype)


def _text(value: Any, _: TextSettings) -> Any:
    return value


def _vector(value: Array, settings: VectorSettings) -> Array:
    return value.astype(settings.dtype, copy=False)


_VECTOR = Decoder(settings=VectorSettings, layout=_vector_layout, values=_fixed_lists, decode=_vector)

DECODERS: Mapping[str, Decoder] = {
    "image": Decoder(settings=ImageSettings, layout=_image_layout, values=_media_bytes, decode=decode_image),
    "audio": Decoder(settings=AudioSettings, layout=_audio_layout, values=_media_bytes, decode=decode_audio),
    "text": Decoder(settings=TextSettings, layout=_text_layout, values=lambda column: column.to_pylist(), decode=_text),
    "vector": _VECTOR,
    "features": _VECTOR,
}


def decoder_for(name: str, kind: str, settings: object | None) -> tuple[Decoder, Any]:
    """The decoder of a kind, and the settings to use: those given or the defaults.

    Raises:
        UsageError: no such kind, or settings of another kind.
    """
    if kind not in DECODERS:
        raise UsageError(
            f"modality {name} is of a kind without a decoder", got=kind, do=f"known: {', '.join(DECODERS)}"
        )
    decoder = DECODERS[kind]
    if settings is None:
        return decoder, decoder.settings()
    if not isinstance(settings, decoder.settings):
        raise UsageError(
            f"modality {name} takes {decoder.settings.__name__}", got=type(settings).__name__, do="correct `transforms`"
        )
    return decoder, settings
