"""How a dataset's synthetic admissions were drawn, as its manifest states it, and the numbers of its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symile_data.datasets.confidential import is_synthetic
from symile_data.format.manifest import Manifest

from .sample_labels import FINDING_RULES, label_aurocs
from .sample_law import pair_bits, retrieval_ceilings

LAW = 2  # raised by whoever changes what equal settings of a sample give; without a number five findings were filled
LAW_KEY = "law"  # its key among the manifest's sources of records


def pair_information_of(manifest: Manifest) -> float | None:
    """Return the setting by which the synthetic admissions of a dataset were drawn.

    None for real admissions, for other datasets, and for samples of versions that did not say how they were drawn.
    """
    if not is_synthetic(manifest):
        return None
    stated = _records(manifest).get("pair_information")
    found = manifest.identity.spec.get("pair_information", stated)
    return float(found) if isinstance(found, int | float) and 0 <= found <= 1 else None


def sample_terms(manifest: Manifest, columns: Sequence[str], candidates: int) -> dict[str, Any]:
    """Collect the exact numbers of a sample for its card; none for other data.

    Args:
        manifest: The manifest of the dataset.
        columns: Columns of the dataset; labels that it lacks are left out.
        candidates: Number of candidates of a retrieval set.

    Returns:
        "pair_information", "pair_bits", "retrieval" (see `retrieval_ceilings`) and "labels" (see `known_aurocs`).
    """
    pair_information = pair_information_of(manifest)
    if pair_information is None:
        return {}
    labels = {column: found for column, found in known_aurocs(manifest).items() if column in columns}
    return {
        "pair_information": pair_information,
        "pair_bits": pair_bits(pair_information),
        "retrieval": retrieval_ceilings(pair_information, candidates),
        "labels": labels,
    }


def known_aurocs(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """Compute `label_aurocs` for the labels of a dataset that follow the law; none for real admissions.

    Findings follow it in samples of this version of the law only.
    """
    pair_information = pair_information_of(manifest)
    if pair_information is None:
        return {}
    findings = {rule.column for rule in FINDING_RULES}
    same = _records(manifest).get(LAW_KEY) == LAW
    return {column: of for column, of in label_aurocs(pair_information).items() if same or column not in findings}


def _records(manifest: Manifest) -> Mapping[str, Any]:
    """Return what the manifest says of the source of the records."""
    records = manifest.identity.sources.get("records")
    return records if isinstance(records, Mapping) else {}
