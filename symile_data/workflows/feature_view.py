"""A dataset of which some modalities are read from sets of features beside it, as training sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from symile_data.errors import UsageError
from symile_data.format.feature_sets import encoded_modality
from symile_data.format.feature_sets.joined import open_feature_sets
from symile_data.format.location import Location
from symile_data.format.manifest import Manifest


def with_features(directory: Path, manifest: Manifest, whole: Manifest, names: Sequence[str]) -> Manifest:
    """Return a manifest in which features stand in the place of what they encode, under its name.

    Args:
        directory: Directory of the dataset.
        manifest: Its manifest, or that of one of its folds.
        whole: Its manifest as it is stored.
        names: Names of sets of features beside the dataset.

    Raises:
        UsageError: there is no such set, or two sets encode the same modality.
        DamageError: a set is damaged or of other rows.
    """
    if not names:
        return manifest
    sets, modalities = open_feature_sets(Location.of(directory), whole, names)
    chosen = {encoded_modality(modality): modality for modality in modalities}
    if len(chosen) < len(modalities):
        encoded = [encoded_modality(modality) for modality in modalities]
        raise UsageError(
            "two sets of features encode the same modality, and a run takes one",
            where=directory,
            got=", ".join(name for name in chosen if encoded.count(name) > 1),
            do="leave one out of `features`",
        )
    fingerprints = {found.name: found.manifest.identity.fingerprint for found in sets}
    identity = manifest.identity
    return replace(
        manifest,
        identity=replace(identity, sources={**identity.sources, "features": fingerprints}),
        modalities=tuple(
            replace(chosen[modality.name], name=modality.name) if modality.name in chosen else modality
            for modality in manifest.modalities
        ),
    )
