"""The exact terms of the law by which synthetic rows were drawn, for stats.json."""

from __future__ import annotations

from symile_data.datasets import PID
from symile_data.datasets.mimic.sample_law import MODALITIES
from symile_data.datasets.mimic.sample_terms import sample_terms
from symile_data.datasets.pid import design_of
from symile_data.datasets.pid.terms import terms_of
from symile_data.format.manifest import Manifest
from symile_data.format.schema import DatasetSchema

from .collect import Statistics


def design_statistics(manifest: Manifest) -> Statistics:
    """`terms`, as `terms_of` has them; empty for a dataset that is made by no design."""
    design = manifest.identity.spec.get("design") if manifest.identity.dataset == PID else None
    return {} if design is None else {"terms": terms_of(design_of(design))}


def sample_statistics(manifest: Manifest, schema: DatasetSchema) -> Statistics:
    """`sample`, the terms of synthetic admissions as `sample_terms` has them; empty for any other dataset, and for
    samples of versions that did not say how they were drawn.
    """
    candidates = manifest.identity.spec.get("candidates")
    modalities = {modality.name for modality in schema.modalities}
    if not isinstance(candidates, int) or not modalities.issuperset(MODALITIES):
        return {}
    terms = sample_terms(manifest, list(schema.features), candidates)
    return {"sample": terms} if terms else {}
