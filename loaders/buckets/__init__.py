"""Batches of audio of near-equal length, padded to the longest of each batch.

    BatchLoader(split, 32, bucket_by="audio_seconds", transforms={"audio": AudioSettings(seconds=None)})

`order` arranges the rows, `lengths` measures them, `padding` makes the tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from symile_data.errors import UsageError

from ..batches import Array, ModalityReader
from ..decoders.audio import AudioSettings
from ..report import LoadClock
from ..shuffle import Order
from ..split import Split
from .lengths import AudioLengths
from .order import BucketedOrder
from .padding import length_name, padded

SECONDS = "_seconds"


@dataclass(frozen=True)
class Buckets:
    """What a loader needs to deliver batches of near-equal length.

    Args:
        modality: The modality of audio.
        batch: Rows of a global batch; each is one bucket.
        lengths: Measures rows.
    """

    modality: str
    batch: int
    lengths: AudioLengths

    def order(self, shuffled: Order, split: Split, window: int) -> BucketedOrder:
        """Arrange an epoch's shuffled rows.

        Args:
            shuffled: The order of the epoch.
            split: The rows.
            window: Number of row groups that are shuffled together.
        """
        return BucketedOrder(
            inner=shuffled,
            batch=self.batch,
            pool=max(int(split.group_rows.mean() * window) // self.batch, 1) * self.batch,
            lengths=self.lengths,
            fingerprint=split.fingerprint,
        )

    def pad(self, arrays: dict[str, Array], readers: Iterable[ModalityReader]) -> None:
        """Replace the decoded audio of a batch by one padded array, and add its lengths."""
        for reader in readers:
            if reader.name == self.modality:
                arrays[reader.name], arrays[length_name(reader.name)] = padded(arrays[reader.name], reader.settings)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that decide the order, for a loader's state."""
        return {"bucket_by": self.modality + SECONDS, "bucket_rows": self.batch}


def make_buckets(
    bucket_by: str | None,
    split: Split,
    transforms: Mapping[str, Any] | None,
    batch: int,
    threads: int,
    clock: LoadClock,
    *,
    shuffle: bool,
    cached: bool,
) -> Buckets | None:
    """Check the arguments of a loader that asks for buckets; None where it does not.

    Args:
        bucket_by: The length by which rows are put together: "<modality>_seconds" of a modality of audio.
        split: The rows.
        transforms: The decoder settings that the loader was given.
        batch: Rows of a global batch.
        threads: Threads that measure.
        clock: Counts what measuring takes.
        shuffle: Whether rows are shuffled.
        cached: Whether decoded values are kept.

    Raises:
        UsageError: there is no such audio, the audio is to have a fixed length, or another argument does not fit.
    """
    if bucket_by is None:
        return None
    known = {modality.name + SECONDS: modality for modality in split.modalities if modality.kind == "audio"}
    if bucket_by not in known:
        raise UsageError(
            "bucket_by names no audio of this split",
            where=split.location,
            got=repr(bucket_by),
            do=f"choose among {', '.join(known)}" if known else "leave it out: none of its modalities is audio",
        )
    if not shuffle or cached:
        raise UsageError(
            "bucket_by arranges shuffled rows as they are read",
            got="shuffle=False" if not shuffle else "a cache, which keeps audio of one length",
            do="leave it out, or pass shuffle=True without a cache",
        )
    modality = known[bucket_by]
    settings = (transforms or {}).get(modality.name, AudioSettings(seconds=None))
    if not isinstance(settings, AudioSettings) or settings.seconds is not None:
        raise UsageError(
            "bucket_by pads audio to the longest of its batch",
            got=str(settings),
            do=f"pass AudioSettings(seconds=None) for {modality.name} in `transforms`",
        )
    column = bucket_by if bucket_by in split.columns else None
    return Buckets(modality.name, batch, AudioLengths(split, modality, column, threads, clock))
