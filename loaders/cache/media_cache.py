"""Batches from memory: every unique value is decoded once, and an epoch then costs one gather.

The decoded arrays are kept in RAM, for one loader or in a `MediaCache` for all loaders of a process, or in a directory
as memory-mapped .npy files, which every process and every later run shares while the operating system decides what
stays in memory. A directory is also the way to read precomputed features. Values are told apart by the id column of
their modality (`Modality.id_column`); without one, each row has its own. Values are images, audio or lists of numbers.

Legend: N rows, U unique values of a modality, M modalities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import UsageError
from symile_data.extras import needs_extra
from symile_data.format.schema import joined_names
from symile_data.format.shards.arrow_numpy import arrow_int64
from symile_data.misalignment import NO_DONOR
from symile_data.rng import Stream

from ..batches import Array, BatchSpec, BoolArray
from ..shuffle import BatchSlice
from ..stream import PartialBatch
from .stored_media import CachedMedia

with needs_extra("train", "loading batches"):
    import torch

_ENCODE_CHUNK = 512  # values that are encoded together

IntArray = npt.NDArray[np.int64]


class Encode(Protocol):
    """A function of a chunk of decoded values (U, ...) to features (U, F)."""

    @property
    def key(self) -> str:
        """A key that is equal for functions that make equal features; a `MediaCache` makes such features once."""
        ...

    def __call__(self, media: torch.Tensor, /) -> torch.Tensor:
        """Encode a chunk of decoded values (U, ...) to features (U, F)."""
        ...


@dataclass(frozen=True)
class MediaCache:
    """Keeps decoded values and their features in RAM, for all loaders of a process that are given this cache.

    Args:
        decoded: By the key of a decoding: the index of each row's value, and the unique values.
        features: By that key and the encoder's: the features of the unique values.
    """

    decoded: dict[str, tuple[IntArray, Array]] = field(default_factory=dict)
    features: dict[tuple[str, str], torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DecodedSplit:
    """A split whose images, audio and lists of numbers are decoded.

    Args:
        spec: The contents of a sample.
        sample_ids: (N,) int64.
        missing: (N, M), stored or simulated.
        damaged: (N,) True for rows with a value that cannot be decoded.
        labels: (N, ...) values, by label column.
        index: By modality, (N,) index of each row's value; 0 where there is none.
        media: By modality, (U, ...) decoded values; texts as an Arrow array of N rows.
        keys: By modality, a key that is equal for equal values.
        encoded_names: Modalities whose values were replaced by features.
        mapped: By modality, values of a cache directory, whose checksums are compared when they are used.
        owners: By modality that is misaligned at load, (N,) the row whose value each row shows.
    """

    spec: BatchSpec
    sample_ids: IntArray
    missing: BoolArray
    damaged: BoolArray
    labels: dict[str, Array]
    index: dict[str, torch.Tensor]
    media: dict[str, torch.Tensor | pa.Array]
    keys: dict[str, str]
    encoded_names: frozenset[str] = frozenset()
    mapped: Mapping[str, CachedMedia] = field(default_factory=dict)
    owners: Mapping[str, IntArray] = field(default_factory=dict)

    def batches(self, parts: Iterable[BatchSlice], permutations: Mapping[str, IntArray]) -> Iterator[PartialBatch]:
        """Gather the batches of an epoch, in order.

        Args:
            parts: The rows of each batch.
            permutations: By modality, (N,) the row whose value each row gets instead of its own; see `permutation`.
        """
        for part in parts:
            yield PartialBatch(part, self._gather(part.rows, permutations), self.damaged[part.rows])

    def permutation(self, name: str, column: str, seed: int, epoch: int, owners: Sequence[IntArray] = ()) -> IntArray:
        """Permute the values of modalities at random among rows of the same label.

        Args:
            name: Name of the modality, or names joined by "+" of modalities that stay together.
            column: Label column that the batches deliver.
            seed: Seed of the draw.
            epoch: The epoch, from 0.
            owners: Of each modality in which rows are misaligned, (N,) the row to which each value belongs. Its label
                counts; where modalities stay together, misaligned rows stay where they are.

        Returns:
            (N,) the row whose values each row gets; rows that lack one of the values stay where they are.
        """
        names = [reader.name for reader in self.spec.readers]
        positions = [names.index(part) for part in joined_names(name)]
        rows = np.flatnonzero(~self.missing[:, positions].any(axis=1) & ~self.damaged)
        labelled = rows
        if len(positions) == 1 and owners:
            labelled = owners[0][rows]
        elif owners:  # of values that no longer belong together no label tells
            rows = labelled = rows[np.all([owner[rows] == rows for owner in owners], axis=0)]
        _, labels = np.unique(self.labels[column][labelled].astype(str), return_inverse=True)
        order = Stream(seed, f"redraw/{name}/{epoch}").generator().permutation(len(rows))
        permutation = np.arange(len(self.sample_ids))
        # Both sides sorted by label: the k-th row of a label gets the k-th of its label in random order.
        permutation[rows[np.argsort(labels, kind="stable")]] = rows[order[np.argsort(labels[order], kind="stable")]]
        return permutation

    def encoded(self, encoders: Mapping[str, Encode], memory: MediaCache | None = None) -> DecodedSplit:
        """Return the same split with the values of some modalities replaced by their features, each encoded once.

        Args:
            encoders: Functions that make features, by modality.
            memory: Keeps the features for other loaders.

        Raises:
            UsageError: a modality holds texts.
        """
        media = dict(self.media)
        features = MediaCache().features if memory is None else memory.features
        for name, encode in encoders.items():
            values = media[name]
            if not isinstance(values, torch.Tensor):
                raise UsageError("encoders are for images, audio and lists of numbers, not for texts", got=name)
            key = (self.keys[name], encode.key)
            if key not in features:
                if found := self.mapped.get(name):
                    found.compare(np.arange(len(values)))
                features[key] = torch.cat([encode(chunk) for chunk in torch.split(values, _ENCODE_CHUNK)])
            media[name] = features[key]
        mapped_media = {name: self.mapped[name] for name in self.mapped.keys() - encoders.keys()}
        return replace(self, media=media, encoded_names=frozenset(encoders), mapped=mapped_media)

    def _gather(self, rows: IntArray, permutations: Mapping[str, IntArray]) -> dict[str, Array]:
        missing = self.missing[rows]
        batch: dict[str, Array] = {}
        for position, reader in enumerate(self.spec.readers):
            media, absent = self.media[reader.name], np.flatnonzero(missing[:, position])
            shown = permutations[reader.name][rows] if reader.name in permutations else rows
            shown = self.owners[reader.name][shown] if reader.name in self.owners else shown
            if isinstance(media, torch.Tensor):
                # First the numbers, then the values: `rows` are in reading order, so both run through memory forwards.
                numbers = self.index[reader.name].index_select(0, torch.from_numpy(shown))
                if reader.name in self.mapped:
                    self.mapped[reader.name].compare(numbers.numpy())
                values = media.index_select(0, numbers).numpy()
                if reader.name not in self.encoded_names:
                    values = values.astype(reader.layout.dtype, copy=False)
            else:
                values = np.empty(len(rows), dtype=object)
                values[:] = media.take(arrow_int64(shown)).to_pylist()
            if len(absent):
                values[absent] = None if values.dtype == object else 0
            batch[reader.name] = values
        batch["missing"] = missing
        batch["padding"] = np.zeros(len(rows), dtype=bool)
        batch["sample_id"] = self.sample_ids[rows]
        for name, owners in self.owners.items():
            swapped = owners[rows] != rows
            swapped[missing[:, [reader.name for reader in self.spec.readers].index(name)]] = False
            batch[f"{name}_misaligned"] = swapped
            batch[f"{name}_donor"] = np.where(swapped, self.sample_ids[owners[rows]], NO_DONOR)
        for name, labels in self.labels.items():
            batch[name] = labels[rows]
        return batch
