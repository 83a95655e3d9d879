"""Write the files that document a dataset: statistics, figures, Croissant description and dataset card.

They are generated from the manifest, the schema and the shards; equal inputs give equal bytes. `write_card`,
`refresh_card` and `state` are the interface. The texts of a dataset's card are one row in `descriptions` and one
template. `preview` makes a page of samples, and `sharing` decides what may be passed on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from symile_data.datasets.confidential import disclosed, is_confidential
from symile_data.files import pretty_json, write_text
from symile_data.format import manifest as manifests
from symile_data.format.location import Location
from symile_data.format.manifest import Manifest, file_entry
from symile_data.format.publication import Publication
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.deduplicated import pooled_media

from .citation import with_citations
from .croissant import FILE_NAME as CROISSANT
from .croissant import croissant_of
from .deduplicated import tables_of
from .descriptions import description_of
from .figures.draw import draw_figures
from .figures.drawing import FOLDER, Drawing
from .figures.own_kinds import draw_own_kinds
from .hub_info import FILE_NAME as INFOS
from .hub_info import has_many_names, infos_of
from .publication import check_publication, with_publication
from .readme import FILE_NAME as README
from .readme import readme_of
from .samples import choose_samples
from .statistics.clinical import clinical_statistics
from .statistics.collect import compute_statistics, open_listed, used_splits
from .statistics.design import design_statistics, sample_statistics
from .statistics.suppression import publishable

__all__ = ["CROISSANT", "README", "STATISTICS", "refresh_card", "state", "write_card"]

STATISTICS = "stats.json"

_NOTHING = Publication()


def write_card(directory: Path, manifest: Manifest, schema: DatasetSchema) -> list[Path]:
    """Write stats.json, figures/*.png, croissant.json and README.md beside the shards, and dataset_infos.json where the
    dataset has very many class names.

    Args:
        directory: The dataset's directory; the shards that `manifest` lists are in it.
        manifest: Fingerprint, splits and shards of the dataset; other files in it are ignored.
        schema: Columns and modalities of the shards.

    Returns:
        The files written. A figure of an earlier card that is no longer drawn is removed.

    Raises:
        DamageError: a shard cannot be read.
        OutputError: a file cannot be written.
        UsageError: the manifest's `publication` has a statement that the card cannot show.
    """
    manifest = disclosed(manifest)
    check_publication(manifest)
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
    if not is_confidential(manifest):
        drawings += draw_own_kinds(directory, manifest)
    _remove_others(directory, drawings)
    tables = tables_of(directory, manifest, schema)
    croissant = croissant_of(manifest, schema, description, tables)
    infos = infos_of(manifest, schema, tables)
    (directory / INFOS).unlink(missing_ok=True)
    texts = {
        **({INFOS: pretty_json({info.name: info.to_json() for info in infos})} if has_many_names(infos) else {}),
        STATISTICS: pretty_json(statistics),
        CROISSANT: pretty_json(croissant),
        README: readme_of(manifest, schema, description, statistics, drawings, samples, tables),
    }
    for name, text in texts.items():
        write_text(directory / name, text)
    return [*(directory / name for name in texts), *(directory / drawing.path for drawing in drawings)]


def refresh_card(directory: Path, stated: Publication = _NOTHING) -> list[Path]:
    """Write a finished dataset's card anew and enter it in the manifest; the shards are only read.

    Args:
        directory: With manifest.json and shards.
        stated: What people state of the dataset, in place of what the manifest says; what is not stated stays.

    Returns:
        The files written, without the manifest.

    Raises:
        DamageError: the manifest or a shard cannot be read.
        OutputError: a file cannot be written.
        UsageError: a statement has no fitting form, or the dataset does not take it.
    """
    manifest = with_publication(disclosed(manifests.read(directory)), stated)
    written = write_card(directory, manifest, schema_of(directory, manifest))
    documents = [file_entry(directory, path) for path in sorted(written)]
    manifests.write(directory, replace(manifest, files=[*manifest.shards(), *manifest.pool_files(), *documents]))
    return written


def state(directory: Path, stated: Publication) -> Manifest:
    """Enter what people state of a finished dataset in its manifest, croissant.json and the citation of its card. No
    statistic is counted again and no figure drawn. Where everything is stated already, no file changes.

    Returns:
        The manifest, which is the new one.

    Raises:
        DamageError: the manifest or the first shard cannot be read.
        OutputError: a file cannot be written.
        UsageError: a statement has no fitting form, or the dataset does not take it.
    """
    before = manifests.read(directory)
    manifest = with_publication(disclosed(before), stated)
    if manifest == before:
        return before
    schema, description = schema_of(directory, manifest), description_of(manifest)
    croissant = croissant_of(manifest, schema, description, tables_of(directory, manifest, schema))
    write_text(directory / CROISSANT, pretty_json(croissant))
    changed = [directory / CROISSANT]
    if (directory / README).is_file():
        text = (directory / README).read_text(encoding="utf-8")
        write_text(directory / README, with_citations(text, manifest, description))
        changed.append(directory / README)
    entries = {entry.path: entry for entry in [*manifest.files, *(file_entry(directory, path) for path in changed)]}
    manifest = replace(manifest, files=list(entries.values()))
    manifests.write(directory, manifest)
    return manifest


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
