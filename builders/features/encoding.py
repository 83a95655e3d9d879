"""Encode the unique values of a dataset's modalities once each, for features in place of media and for those beside."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from symile_data.errors import UsageError
from symile_data.format.manifest import Manifest

from ..engine.build_dir import Artifact, BuildDir
from ..engine.executor import run_stage
from .chunks import MEDIA_PER_CHUNK, EncodeTask, chunk_path, make_chunk
from .lengths import check_lengths
from .media import index_media
from .source import SourceRows
from .spec import Encode, FeatureSpec

KIND = "features"
PACKAGES = ("librosa", "numpy", "pyarrow", "torch", "transformers")  # whose versions decide the features


@dataclass(frozen=True)
class Source:
    """The source dataset with its manifest and the rows of each split."""

    directory: Path
    manifest: Manifest
    splits: dict[str, SourceRows]

    @property
    def first_rows(self) -> dict[str, int]:
        """Return for each split the number of its first row, counted through all splits."""
        firsts, total = {}, 0
        for split, rows in self.splits.items():
            firsts[split] = total
            total += rows.rows
        return firsts


def encode_all(build_dir: BuildDir, pool: Executor | None, source: Source, spec: FeatureSpec, encode: Encode) -> None:
    """Number the unique values of each encoded modality, and encode them in chunks under `.build/`."""
    modalities = {modality.name: modality for modality in source.manifest.modalities}
    for model in spec.models:
        modality = modalities[model.modality]
        index = index_media(modality, source.splits)
        index.write(build_dir.internal, model.modality)
        artifacts = []
        for chunk, start in enumerate(range(0, len(index.owners), MEDIA_PER_CHUNK)):
            stop = min(start + MEDIA_PER_CHUNK, len(index.owners))
            task = EncodeTask(
                source=source.directory,
                internal=build_dir.internal,
                first_rows=source.first_rows,
                spec=spec,
                model=model,
                kind=modality.kind,
                column=modality.column,
                encode=encode,
                start=start,
                stop=stop,
            )
            key = [KIND, model.modality, start, stop]
            artifacts.append(Artifact(path=chunk_path(model.modality, chunk), arguments=task, key=key))
        run_stage(build_dir, f"encoding {model.modality}", artifacts, make_chunk, pool)


def feature_notes(spec: FeatureSpec) -> list[str]:
    """Return a sentence for each model, for the manifest and the card."""
    return [
        f"The column of {model.modality} holds features of {model.to_json()['model']}: {model.size} float16, "
        f"computed once for each medium ({spec.precision} on {spec.device})."
        for model in spec.models
    ]


def check_windows(there: Manifest, splits: Mapping[str, SourceRows], spec: FeatureSpec) -> None:
    """Check that no audio is longer than the window that its model was given.

    Raises:
        UsageError: naming the longest audio.
    """
    modalities = {modality.name: modality for modality in there.modalities}
    for model in spec.models:
        if model.settings.get("seconds") is not None:
            check_lengths(modalities[model.modality], splits, model.settings["seconds"])


def check_models(source: Path, there: Manifest, spec: FeatureSpec) -> None:
    """Check that each model has a modality to encode.

    Raises:
        UsageError: there is no model, or a modality does not exist or holds features already.
    """
    kinds = {modality.name: modality.kind for modality in there.modalities}
    for model in spec.models:
        if model.modality not in kinds:
            raise UsageError(
                "the dataset has no such modality", where=source, got=model.modality, do=f"it has {', '.join(kinds)}"
            )
        if kinds[model.modality] == KIND:
            raise UsageError("the modality holds features already", where=source, got=model.modality)
    if not spec.models:
        raise UsageError("nothing is to be encoded", do="name a model for at least one modality")
