"""`BatchLoader`: batches of decoded samples as torch tensors, in a reproducible order that can be continued exactly.

It joins the parts: `shuffle` says which rows, `stream` or `cache` fill them, `redraw_words` and `decoders.augment`
change them by epoch, `checkpoint` says where an interrupted epoch goes on. Each rank is one process with threads and
without worker processes: image and audio kernels release the GIL, and nothing has to be pickled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np

from symile_data.arguments import check_argument, check_call
from symile_data.errors import UsageError
from symile_data.extras import needs_extra
from symile_data.format.schema import joined_names
from symile_data.progress.amounts import counted

from .arguments import Distribution, OlderArguments, Resources, Variation, grouped
from .batches import Array, DecodeErrors, make_batch_spec
from .buckets import make_buckets
from .cache.decode_split import decode_split
from .cache.fetch_ahead import fetched_ahead
from .cache.media_cache import DecodedSplit, Encode, MediaCache
from .checkpoint import make_checkpoint, read_checkpoint
from .checks import check_mix, check_redraw, check_split, check_views
from .decoders.augment import ImageJitter, View
from .misaligned import OwnerRows, check_misaligned, differing_column
from .mixing import Mix
from .redraw_words import collect_words
from .report import FILL, GATHER, LoadClock, LoadReport
from .shuffle import Order, batch_count, slices
from .split import Split
from .stream import PartialBatch, Streaming, within_memory

with needs_extra("train", "loading batches"):
    import torch

Batch = dict[str, Any]


class BatchLoader:
    """Iterate over the batches of one split; each iteration is one epoch, and the next one is the next epoch.

    A batch is a dict: one entry for each modality under its name (tensor with B rows, or a list of B texts; zeros or
    None where missing), and

    - `missing`: (B, M) bool in the order of `loader.split.modalities`;
    - `padding`: (B,) bool, True for rows that repeat another row only so that all ranks have equally many: leave them
      out of metrics;
    - `sample_id`: (B,) int64, and `cls_id` where the split has it;
    - `source`: (B,) int64 number of each row's split, where the split is a `mix`;
    - the `columns`: integers as int64 (null: -100), floats as float32 (null: NaN), others as lists.

    The order is a function of (fingerprint, seed, epoch) and the same for any number of threads; the union of the
    ranks' batches is the same for any number of ranks.

    Args:
        split: From `open_split` or `mix`.
        batch_size: B, rows of each rank.
        seed: Seed of shuffling, missingness, redrawn words and augmentation.
        shuffle: False gives file order.
        drop_last: Leave out the rows that do not fill a global batch; equal to `shuffle` by default. Otherwise the
            last batch is shorter, and padded where ranks would differ.
        modalities: Names of the modalities to deliver; those left out are not read, and () delivers labels only. All by
            default.
        transforms: Decoder settings by modality name (`ImageSettings`, `AudioSettings`, ...); other modalities get
            the defaults of their kind.
        columns: Further columns to deliver.
        missingness: Share of values to take away, for all modalities or by name, drawn per (seed, sample_id,
            modality) independently of the build's draw and in addition to what is missing on disk. All columns of a
            modality that is taken away are blanked.
        encoders: Modality -> function that maps a chunk of decoded values to features; each unique value is encoded
            once, and batches hold the features (with `cache`).
        cache: True decodes each unique value once and keeps it in RAM for this loader; a `MediaCache` keeps it for all
            loaders that are given it; a directory keeps it there, memory-mapped and shared by processes and runs.
        on_error: "skip" passes over samples with a value that cannot be decoded and counts them in `skipped`. With
            one rank such a batch is shorter; with several, another row takes the place, marked as padding.
        bucket_by: "audio_seconds" puts audio of near-equal length into one batch, padded to its longest; the batch then
            has `audio_length`. `AudioSettings(seconds=None)` goes with it. See `symile_data.loaders.buckets`.
        variation: What varies by epoch in training: redrawn words, redrawn images and audio, random views of images.
        resources: Threads, prefetched batches, memory, and the window of row groups that are shuffled together.
        distribution: Rank of this process among those that share the epoch.
        **older: The fields of the three groups as keywords (`threads=2`), which older code passes; each gives a
            DeprecationWarning.

    Raises:
        UsageError: an argument is impossible, does not fit this split or does not fit another argument.
        MissingPackageError: `transforms` ask for a spectrogram, and librosa is not installed.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool | None = None,
        modalities: Sequence[str] | None = None,
        transforms: Mapping[str, Any] | None = None,
        columns: Sequence[str] = (),
        missingness: float | Mapping[str, float] | None = None,
        encoders: Mapping[str, Encode] | None = None,
        cache: bool | str | Path | MediaCache = False,
        on_error: Literal["raise", "skip"] = "raise",
        bucket_by: str | None = None,
        variation: Variation | None = None,
        resources: Resources | None = None,
        distribution: Distribution | None = None,
        **older: Unpack[OlderArguments],
    ) -> None:
        check_call(BatchLoader.__init__, {**locals(), "split": check_split(split)})
        variation, resources, distribution = grouped(older, variation, resources, distribution)
        if batch_size < 1:
            raise UsageError("a batch needs at least one row", got=batch_size, do="raise batch_size")
        if on_error not in ("raise", "skip"):
            raise UsageError("unknown on_error", got=repr(on_error), do="choose raise or skip")
        split = split if modalities is None else split.with_modalities(modalities)
        self.split, self.batch_size, self.seed = split, batch_size, seed
        self.rank, self.world_size = distribution.rank, distribution.world_size
        self._shuffle, self._drop_last = shuffle, shuffle if drop_last is None else drop_last
        if not len(self):
            raise UsageError(
                "the split has fewer rows than one global batch, and drop_last leaves nothing",
                where=split.location,
                got=f"{counted(split.epoch_rows, 'row')}, {batch_size} x {self.world_size} in a batch",
                do="lower batch_size or pass drop_last=False",
            )
        names = [modality.name for modality in split.modalities]
        rates = missingness if isinstance(missingness, Mapping) else dict.fromkeys(names, missingness or 0.0)
        cached = cache is not False
        check_mix(split, variation, cached=cached)
        check_misaligned(variation, split, cached=cached)
        self._clock, rows = LoadClock(), batch_size * self.world_size
        self._buckets = make_buckets(
            bucket_by, split, transforms, rows, resources.threads, self._clock, shuffle=shuffle, cached=cached
        )
        self._spec = make_batch_spec(
            split,
            seed=seed,
            transforms=transforms or {},
            columns=columns,
            rates=rates,
            misaligned=variation.misaligned,
            donors_differ_in=differing_column(variation, split),
            own_length=None if self._buckets is None else self._buckets.modality,
        )
        self._resources = within_memory(resources, self._spec)
        self._value_labels = dict(variation.value_labels)
        self._owners = OwnerRows(split)
        views = variation.augment
        self._augment = {name: view for name, view in views.items() if not isinstance(view, ImageJitter)}
        self._jitter = {name: view for name, view in views.items() if isinstance(view, ImageJitter)}
        self._words = collect_words(split, seed) if variation.redraw_words else None
        stale = {"words", "text"} & set(columns) if variation.redraw_words else set()
        if stale:
            raise UsageError(
                "this column no longer holds once words are redrawn", got=min(stale), do="leave it out of `columns`"
            )
        self._resample_within_class, self._encoders = dict(variation.resample_within_class), dict(encoders or {})
        check_redraw(self._resample_within_class, self._encoders, split, columns, cached=cached)
        check_views(self._spec, views, self._encoders, cached=cached)
        self._cache = cache
        self._decoded: DecodedSplit | None = None
        self._decode_errors = DecodeErrors(skip=on_error == "skip")
        self._epoch = self._position = 0
        self._running: object | None = None  # the iteration that has started the epoch that `_epoch` names

    def __len__(self) -> int:
        """Number of batches of one epoch on each rank."""
        return self._batches_after(0)

    def _batches_after(self, position: int) -> int:
        rows = self.split.epoch_rows - position
        return batch_count(rows, self.batch_size * self.world_size, drop_last=self._drop_last)

    @property
    def epoch(self) -> int:
        """The epoch that runs; from its last batch on, the one that comes next."""
        return self._epoch

    @property
    def skipped(self) -> int:
        """Number of values that could not be decoded and were passed over so far."""
        return self._decode_errors.count

    @property
    def skipped_examples(self) -> list[str]:
        """Sentences about the first ten of them: where they are, and why they cannot be decoded."""
        return list(self._decode_errors.examples)

    def report(self) -> LoadReport:
        """Return where the time of this loader went so far, and what to change; `print` shows it as a table."""
        return self._clock.report(self._resources.threads)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration run this epoch.

        If this epoch is set already, its position stays, so that a call may follow `load_state_dict`.

        Raises:
            UsageError: the epoch is negative or no number.
        """
        check_argument("epoch", epoch, int)
        if epoch < 0:
            raise UsageError("an epoch must not be negative", got=epoch)
        self._position = self._position if epoch == self._epoch else 0
        self._epoch, self._running = epoch, None

    def state_dict(self) -> dict[str, Any]:
        """Return the state after the batches handed out so far, of types that JSON knows.

        It is the same on all ranks after equally many batches. See `symile_data.loaders.checkpoint`.
        """
        return make_checkpoint(self._settings(), epoch=self._epoch, position=self._position)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration continue after the last batch before `state_dict` was called.

        Raises:
            UsageError: the state is of another split, other settings or another version, which the message names.
        """
        self._epoch, self._position = read_checkpoint(state, self._settings(), self.split.epoch_rows)
        self._running = None

    def __iter__(self) -> Iterator[Batch]:
        """Run the rest of the epoch. A new iteration after one that was left early begins the next epoch.

        Raises:
            UsageError: an iteration is continued after another one began, `load_state_dict` or `set_epoch`.
        """
        if self._running is not None or not self._batches_after(self._position):
            self._epoch, self._position = self._epoch + 1, 0
        self._running = mine = object()
        shuffle: Order = self.split.order(self.seed, self._epoch, self._resources.window, self._shuffle)
        if self._buckets is not None:
            shuffle = self._buckets.order(shuffle, self.split, self._resources.window)
        started = time.perf_counter()
        for filled in self._filled(shuffle):
            if self._running is not mine:  # its batches would move the position of the other one
                raise UsageError(
                    "an iteration of a loader cannot go on once another one began, or a state or an epoch was set",
                    do="use a loader for each iteration",
                )
            # With the last batch the next epoch is due: a state saved now must not lead to an epoch without batches.
            if self._batches_after(filled.part.stop):
                self._position = filled.part.stop
            else:
                self._epoch, self._position, self._running = shuffle.epoch + 1, 0, None
            batch = self._finish(filled, shuffle.epoch)
            started = self._clock.delivered(len(filled.part.rows), started)
            yield batch
            started = self._clock.returned(started)

    def _filled(self, shuffle: Order) -> Iterator[PartialBatch]:
        parts = slices(
            shuffle,
            start=self._position,
            batch_size=self.batch_size,
            rank=self.rank,
            world_size=self.world_size,
            drop_last=self._drop_last,
        )
        if self._cache is False:
            streaming = Streaming(spec=self._spec, augment=self._augment, resources=self._resources, clock=self._clock)
            return streaming.batches(shuffle, fetched_ahead(parts, self._spec), self._decode_errors)
        if self._decoded is None:
            memory = self._cache if isinstance(self._cache, MediaCache) else None
            store = memory or (Path(self._cache) if isinstance(self._cache, str | Path) else None)
            with self._clock.stage(FILL):
                decoded = decode_split(
                    self._spec, threads=self._resources.threads, decode_errors=self._decode_errors, store=store
                )
                self._decoded = decoded.encoded(self._encoders, memory)
            self._owners.drawn = decoded.owners
        permutations = {
            part: permutation
            for name, column in self._resample_within_class.items()
            for owners in [self._owners.among(joined_names(name))]
            for permutation in [self._decoded.permutation(name, column, self.seed, shuffle.epoch, owners)]
            for part in joined_names(name)
        }
        return self._clock.timed(GATHER, self._decoded.batches(parts, permutations))

    def _finish(self, filled: PartialBatch, epoch: int) -> Batch:
        arrays = filled.arrays
        arrays["padding"] = filled.part.padding
        if isinstance(self.split, Mix):
            arrays["source"] = self.split.source_of(filled.part.rows)
        if self._words is not None:
            text = [reader.name for reader in self._spec.readers].index("text")
            present = np.flatnonzero(~arrays["missing"][:, text])
            rows, owners = filled.part.rows[present], self._owners.of("text")
            if owners is None:
                arrays["text"][present] = self._words.texts(epoch, rows, arrays["sample_id"][present])
            else:  # a misaligned text is that of its donor in this epoch too
                arrays["text"][present] = self._words.texts(epoch, owners[rows], self._owners.ids[owners[rows]])
        for column, name in self._value_labels.items():
            if (owners := self._owners.of(name)) is not None:
                arrays[column] = self._owners.labels(column)[owners[filled.part.rows]]
        for name, jitter in self._jitter.items():
            arrays[name] = jitter.apply(arrays[name], self.seed, epoch, name, arrays["sample_id"])
        if filled.damaged.any():
            arrays = filled.without_damaged(self.split, self.world_size)
        if self._buckets is not None:
            self._buckets.pad(arrays, self._spec.readers)
        return {name: handed_out(values) for name, values in arrays.items()}

    def _settings(self) -> dict[str, Any]:
        """Collect the settings that decide order and contents of the rows; ranks, batch size and threads do not."""
        views: dict[str, View] = {**self._augment, **self._jitter}
        misaligned = {reader.name: reader.misaligned for reader in self._spec.readers if reader.misaligned}
        differing = {"donors_differ_in": self._spec.donors_differ_in} if self._spec.donors_differ_in else {}
        return {
            "fingerprint": self.split.fingerprint,
            "split": self.split.name,
            "rows": self.split.rows,
            "seed": self.seed,
            "shuffle": self._shuffle,
            "window": self._resources.window,
            "missingness": {reader.name: reader.rate for reader in self._spec.readers},
            "redraw_words": self._words is not None,
            **({"misaligned": misaligned, **differing} if misaligned else {}),
            **({} if self._buckets is None else self._buckets.settings),
            "resample_within_class": self._resample_within_class,
            "augment": {
                name: {"view": type(view).__name__, **{key: str(value) for key, value in asdict(view).items()}}
                for name, view in views.items()
            },
        }


def handed_out(values: Array) -> Any:
    """Return the values of a batch as users get them: a tensor, or a list of Python values."""
    return values.tolist() if values.dtype == object else torch.from_numpy(np.ascontiguousarray(values))
