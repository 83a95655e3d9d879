"""The exact information terms of a design, for stats.json."""

from __future__ import annotations

from symile_data.datasets.pid import design_of
from symile_data.datasets.pid.terms import terms_of
from symile_data.format.manifest import Manifest

from .collect import Statistics


def design_statistics(manifest: Manifest) -> Statistics:
    """`terms`, as `terms_of` has them; empty for a dataset that is made by no design."""
    design = manifest.identity.spec.get("design") if manifest.identity.dataset == "pid" else None
    return {} if design is None else {"terms": terms_of(design_of(design))}
