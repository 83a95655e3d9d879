"""Write the files that document a dataset: statistics, figures, Croissant description and dataset card.

They are generated from the manifest, the schema and the shards; equal inputs give equal bytes. `write_card` and
`refresh_card` are the interface. The texts of a dataset's card are one row in `descriptions` and one template.
`preview` makes a page of samples, and `sharing` decides what may be passed on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from symile_data.files import pretty_json, write_text
from symile_data.format import manifest as manifests
from symile_data.format.disclosure import disclosed, is_confidential
from symile_data.format.location import Location
from symile_data.format.manifest import Manifest, file_entry
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.deduplicated import pooled_media

from .croissant import FILE_NAME as CROISSANT
from .croissant import croissant_of
from .deduplicated import tables_of
from .descriptions import description_of
from .figures.draw import draw_figures
from .figures.drawing import FOLDER, Drawing
from .readme import FILE_NAME as README
from .readme import readme_of
from .samples import choose_samples
from .sources import citations
from .statistics.clinical import clinical_statistics
from .statistics.collect import compute_statistics, open_listed, used_splits
from .statistics.design import design_statistics, sample_statistics
from .statistics.suppression import publishable

__all__ = ["CROISSANT", "README", "STATISTICS", "refresh_card", "write_card"]

STATISTICS = "stats.json"


def write_card(directory: Path, manifest: Manifest, schema: DatasetSchema) -> list[Path]:
    """Write stats.json, figures/*.png, croissant.json and README.md beside the shards.

    Args:
        directory: The dataset's directory; the shards that `manifest` lists are in it.
        manifest: Fingerprint, splits and shards of the dataset; other files in it are ignored.
        schema: Columns and modalities of the shards.

    Returns:
        The files written. A figure of an earlier card that is no longer drawn is removed.

    Raises:
        DamageError: a shard cannot be read.
        OutputError: a file cannot be written.
    """
    manifest = disclosed(manifest)
    description = description_of(manifest)
    statistics = compute_statistics(directory, manifest, schema, description)
    statistics |= clinical_statistics(directory, manifest, schema, description)
    statistics |= design_statistics(manifest)
    statistics |= sample_statistics(manifest, schema)
    if is_confidential(manifest):
        statistics = publishable(statistics, schema.modalities, description)
    samples = choose_samples(directory, manifest, schema)
    statistics["samples"] = [sample.to_json() for sample in samples]
    drawings = draw_figures(directory, statistics, samples, description, schema.modalities)
    _remove_others(directory, drawings)
    bibtex = citations(description.sources(manifest))[0]
    tables = tables_of(directory, manifest, schema)
    croissant = croissant_of(manifest, schema, description, description.licence(manifest), bibtex, tables)
    texts = {
        STATISTICS: pretty_json(statistics),
        CROISSANT: pretty_json(croissant),
        README: readme_of(manifest, schema, description, statistics, drawings, samples, tables),
    }
    for name, text in texts.items():
        write_text(directory / name, text)
    return [*(directory / name for name in texts), *(directory / drawing.path for drawing in drawings)]


def refresh_card(directory: Path) -> list[Path]:
    """Write a finished dataset's card anew and enter it in the manifest; the shards are only read.

    Args:
        directory: With manifest.json and Parquet shards.

    Returns:
        The files written, without the manifest.

    Raises:
        DamageError: the manifest or a shard cannot be read.
        OutputError: a file cannot be written.
    """
    manifest = disclosed(manifests.read(directory))
    written = write_card(directory, manifest, schema_of(directory, manifest))
    documents = [file_entry(directory, path) for path in sorted(written)]
    manifests.write(directory, replace(manifest, files=[*manifest.shards(), *manifest.pool_files(), *documents]))
    return written


def schema_of(directory: Path, manifest: Manifest) -> DatasetSchema:
    """The schema of a finished dataset, from its first shard and its manifest.

    Raises:
        DamageError: the first shard cannot be read.
    """
    from datasets import Features

    split = used_splits(manifest)[0]
    media = pooled_media(Location.of(directory), manifest, split)
    features = Features.from_arrow_schema(open_listed(directory, manifest.shards(split)[0], media).schema)
    return DatasetSchema(features=features, modalities=manifest.modalities)


def _remove_others(directory: Path, drawings: list[Drawing]) -> None:
    drawn = {directory / drawing.path for drawing in drawings}
    for path in (directory / FOLDER).glob("*.png"):
        if path not in drawn:
            path.unlink()
