"""Make what a training run takes from a dataset directory: the loaders of each step, the means that replace missing
values, and what encoders must know of the data. The training code takes any batches, so it is given these loaders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.datasets.m3.keys import KEYS
from symile_data.errors import UsageError, choose_column
from symile_data.format import manifest as manifests

from .feature_view import with_features
from .folds.view import FoldView

if TYPE_CHECKING:
    from torch import Tensor

    from symile_data.evaluation.embeddings import Embeddings
    from symile_data.format.manifest import Manifest
    from symile_data.loaders import BatchLoader, MediaCache, Split
    from symile_data.loaders.datamodule import DataModule
    from symile_data.training.config import TrainConfig
    from symile_data.training.encoding import EncodingModule
    from symile_data.training.module import SymileModule
    from symile_data.training.run_record import FoldChoice, RunInfo, Weights

_IMAGES = "image"  # the kind that can be jittered


def data_of_run(info: RunInfo, directory: Path | None = None, folds: FoldChoice | None = None) -> TrainingData:
    """Open the dataset of a run, with the splits of the run's fold where it has one.

    Args:
        info: Record of the run.
        directory: The dataset, where it has moved; by default where it was when the run was trained.
        folds: The fold, where its file has moved; by default that of the run.
    """
    return TrainingData(directory or Path(info.location), folds=folds or info.folds, features=info.features)


class TrainingData:
    """A dataset directory as training sees it.

    The manifest is read once, each split is opened once, and each image or audio is decoded once for everything that
    is done with the data.

    Args:
        directory: The dataset's directory, with a manifest.
        cache: Directory that keeps decoded images and audio, memory-mapped, for other processes and later runs; where
            it is not given they are kept in memory.
        folds: Fold that gives the splits, in place of the dataset's own; the manifest is then that of the fold.
        features: Names of sets of features beside the dataset. What they encode is then read from them, and is of kind
            "features" in the manifest.

    Raises:
        DamageError: the directory holds no finished dataset, or the file of folds or a set of features is damaged.
        UsageError: the file of folds is of another dataset, or has no such fold; the dataset has no such set of
            features, or two of them encode the same modality.
    """

    def __init__(
        self,
        directory: Path,
        cache: Path | None = None,
        folds: FoldChoice | None = None,
        features: Sequence[str] = (),
    ) -> None:
        whole = manifests.read(directory)
        self.directory, self.folds, self.features = directory, folds, tuple(features)
        self._whole = whole
        self._fold = None if folds is None else FoldView(directory, whole, folds, self.features)
        own: Manifest = whole if self._fold is None else self._fold.manifest
        self.manifest: Manifest = with_features(directory, own, whole, self.features)
        self._directory_cache = cache
        self._splits: dict[str, Split] = {}

    def split(self, name: str) -> Split:
        """Return one split, opened on the first call and handed on by every later one.

        Raises:
            UsageError: the dataset has no such split.
            DamageError: a shard is missing, truncated or differs from the manifest.
        """
        from symile_data.loaders import open_split

        if name not in self._splits:
            if self._fold is None:
                opened = open_split(self.directory, name, manifest=self._whole, features=self.features)
            else:
                opened = self._fold.split(name)
            self._splits[name] = replace(opened, modalities=self.manifest.modalities)
        return self._splits[name]

    def run_info(self, config: TrainConfig) -> RunInfo:
        """Describe a run of this config on these data, as its directory records it."""
        from symile_data.training.run_record import RunInfo

        identity = self.manifest.identity
        return RunInfo(
            config=config,
            dataset=identity.dataset,
            fingerprint=identity.fingerprint,
            location=str(self.directory),
            modalities=self.manifest.modalities,
            vocabularies=self._vocabularies,
            sizes=self._sizes,
            folds=self.folds,
            features=self.features,
        )

    def check(self, config: TrainConfig) -> None:
        """Check that a config can be trained on these data, before anything is done.

        Raises:
            UsageError: the dataset lacks a split, or a modality or column that the config names; the objective does not
                fit the config or the number of modalities; the dataset has features where the config needs images or
                audio; it has too few training rows for a batch, or too few words to redraw; or its rows do not give the
                config's sets of candidates.
        """
        from .checks import check_config

        check_config(self, config)

    def pretrained(self, config: TrainConfig) -> Weights:
        """Pretrain the encoders that the config names on the training split, with jittered images.

        Returns:
            The weights of each encoder, by modality; empty where the config pretrains none.
        """
        from symile_data.loaders import ImageJitter, Variation
        from symile_data.training.pretrain import pretrain

        settings = config.pretrain
        if settings is None:
            return {}
        split = self.split("train")
        modalities = self.manifest.modalities
        flips = {m.name: 0.0 if m.name in KEYS else 0.5 for m in modalities if m.kind == _IMAGES and settings.jitter}
        views = {name: ImageJitter(shift=settings.jitter, flip=flip) for name, flip in flips.items()}
        batches = self._loader(
            config,
            "train",
            batch_size=settings.batch_size,
            shuffle=True,
            columns=self.columns(*settings.labels.values()),
            variation=Variation(augment=views, value_labels=self._value_labels(settings.labels)),
        )
        values = {
            name: sorted(set(split.read_all([column])[column].to_pylist())) for name, column in settings.labels.items()
        }
        return pretrain(config, settings, modalities, batches, values)

    def fitting(self, module: EncodingModule) -> DataModule:
        """Make the training and validation loaders, which deliver features in place of what frozen encoders encode."""
        from symile_data.loaders import Variation
        from symile_data.loaders.datamodule import DataModule

        config = module.config
        common = {
            "seed": config.seed,
            "cache": self._cache,
            "transforms": self._transforms(config),
            "encoders": module.frozen_features(),
        }
        masked = config.missingness if config.missingness_in_validation else 0.0
        value_labels = self._value_labels({config.target: config.label})
        variation = Variation(
            redraw_words=config.redraw_words,
            resample_within_class=config.resample_within_class,
            value_labels=value_labels,
        )
        labels = self.columns(config.label, *config.resample_within_class.values())
        return DataModule(
            self.split,
            config.batch_size,
            train={**common, "missingness": config.missingness, "columns": labels, "variation": variation},
            evaluation={
                **common,
                "missingness": masked,
                "variation": Variation(value_labels=value_labels),
                "columns": [*labels, *self.candidate_columns(config.candidates, "validation", config.target, masked)],
            },
        )

    def means(self, module: EncodingModule) -> dict[str, Tensor]:
        """Compute the means over the training split by which the module's encoders replace missing values.

        For frozen features and vectors it is the mean over the rows that have the modality; for laboratory values it is
        the mean of each one over the rows in which it was measured.

        Returns:
            By modality, (F,) float32; empty where the module wants none.

        Raises:
            DamageError: a mean is not finite.
        """
        from .means import training_means

        wanted, config = module.means_wanted(), module.config
        if not wanted:
            return {}
        encoders = {name: encode for name, encode in module.frozen_features().items() if name in wanted}
        batches = self._loader(config, "train", encoders=encoders, missingness=config.missingness)
        return training_means(module, batches, wanted, self.directory)

    def embedded(
        self,
        module: SymileModule,
        split: str,
        label: str | None = None,
        candidates: int = 0,
        target: str | None = None,
    ) -> Embeddings:
        """Embed the complete rows of a split.

        Args:
            module: The trained module.
            split: Name of the split.
            label: Column by which rows are told apart; that of the config where it is not given.
            candidates: Unless this is 0, also deliver the dataset's sets of candidates, if it has any.
            target: Modality that is retrieved, the config's where it is not given. Where a row shows another row's
                value of it, the label is that of the other row, so that a hit is judged by what is shown.
        """
        from symile_data.loaders import Variation
        from symile_data.training.features import best_device
        from symile_data.training.fit import embed_split

        target = target or module.config.target
        columns = [*self.columns(label or module.config.label), *self.candidate_columns(candidates, split, target)]
        shown = self._value_labels({target: label or module.config.label})
        batches = self.encoded(module, split, columns, variation=Variation(value_labels=shown))
        return embed_split(module.to(best_device()), batches, self.split(split).rows, label)

    def encoded(self, module: EncodingModule, split: str, columns: Sequence[str] = (), **options: Any) -> BatchLoader:
        """Make a loader of all rows of a split in file order, with features in place of what frozen encoders encode.

        Args:
            module: With the frozen encoders.
            split: Name of the split.
            columns: Label columns that batches hold besides; `options` are other arguments of the loader.
        """
        options |= {"columns": self.columns(*columns), "encoders": module.frozen_features()}
        return self._loader(module.config, split, **options)

    def _loader(self, config: TrainConfig, split: str, **options: Any) -> BatchLoader:
        """Make a loader of all rows of a split in file order; `options` change its arguments."""
        from symile_data.loaders import BatchLoader

        settings = {"batch_size": config.batch_size, "shuffle": False, "seed": config.seed, **options}
        return BatchLoader(self.split(split), cache=self._cache, transforms=self._transforms(config), **settings)

    @cached_property
    def _cache(self) -> Path | MediaCache:
        from symile_data.loaders import MediaCache

        return self._directory_cache or MediaCache()

    @cached_property
    def _vocabularies(self) -> dict[str, list[str]]:
        from symile_data.encoders.text import vocabulary_of

        split = self.split("train")
        texts = [modality for modality in self.manifest.modalities if modality.kind == "text"]
        return {
            modality.name: vocabulary_of(split.read_all([modality.column])[modality.column].to_pylist())
            for modality in texts
        }

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Read the length of the fixed-size lists among the modalities."""
        schema = self.split("train").schema
        kinds = {modality.name: schema.field(modality.column).type for modality in self.manifest.modalities}
        return {name: kind.list_size for name, kind in kinds.items() if hasattr(kind, "list_size")}

    def _value_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Of modality -> label column, column -> modality for those in which the build misaligned rows.

        Raises:
            UsageError: a column is the label of two modalities, of which one is misaligned.
        """
        modalities = [modality.name for modality in self.manifest.modalities]
        there, found = self.split("train").columns, dict[str, str]()
        for name, column in labels.items():
            if column in (*modalities, "sample_id") or f"{name}_donor" not in there:
                continue
            if list(labels.values()).count(column) > 1:
                raise UsageError(
                    "a label of misaligned values serves one modality",
                    where=self.directory,
                    got=f"{column} of {', '.join(labels)}",
                    do="leave the others out of the labels of [pretrain]",
                )
            found[column] = name
        return found

    def columns(self, *columns: str) -> list[str]:
        """Select those of the columns, each once, that a batch does not hold anyway.

        Raises:
            UsageError: the dataset lacks one of the columns.
        """
        modalities = [modality.name for modality in self.manifest.modalities]
        there = self.split("train").columns
        for column in columns:
            if column not in (*modalities, *there, "sample_id"):
                raise UsageError(
                    "the dataset lacks a column that the config names",
                    where=self.directory,
                    got=column,
                    do=choose_column(column, there),
                )
        return [column for column in dict.fromkeys(columns) if column not in (*modalities, "sample_id")]

    def candidate_columns(self, candidates: int, split: str, target: str, missingness: float = 0.0) -> list[str]:
        """Name the column of the sets of candidates, where they are wanted and the split has it.

        It is used only where all rows of the split are complete, because a set may name any row that has the target,
        and retrieval is measured among complete rows; and where each row shows its own target, since a set names rows
        by what they show. Otherwise sets are drawn among the complete rows.
        """
        from symile_data.training.module import CANDIDATES

        opened = self.split(split)
        if not candidates or CANDIDATES not in opened.columns or missingness:
            return []
        flags = [*(modality.mask for modality in self.manifest.modalities), f"{target}_misaligned"]
        masks = opened.read_all([name for name in flags if name in opened.columns])
        return [] if any(any(masks[name].to_pylist()) for name in masks.column_names) else [CANDIDATES]

    def _transforms(self, config: TrainConfig) -> dict[str, Any]:
        from symile_data.loaders.decoders import decoder_of

        return {
            modality.name: decoder.settings(**config.inputs[modality.kind])
            for modality in self.manifest.modalities
            if modality.kind in config.inputs and (decoder := decoder_of(modality.kind)) is not None
        }
