"""What may be passed on, decided from the manifest."""

from __future__ import annotations

from typing import Any

import pytest

from symile_data.cards.sharing import CREDENTIALED, IMAGES, restriction_of
from symile_data.format.manifest import BuildFingerprint, Manifest


def kind_of(dataset: str, spec: dict[str, Any], sources: dict[str, Any]) -> str | None:
    identity = BuildFingerprint(dataset=dataset, spec=spec, sources=sources, versions={})
    restriction = restriction_of(Manifest(identity=identity, modalities=(), splits={}))
    return restriction.kind if restriction else None


@pytest.mark.parametrize(
    ("dataset", "spec", "sources", "kind"),
    [
        ("symile-m3", {}, {"images": {"kind": "sample"}}, None),
        ("symile-m3", {"images": "sample"}, {}, None),
        ("symile-m3", {}, {"images": {"kind": "imagenet"}}, IMAGES),
        ("symile-m3", {}, {"images": {"kind": "release"}}, IMAGES),
        ("symile-m3", {}, {}, IMAGES),  # not known to be free
        ("symile-mimic", {"sample": True}, {}, None),
        ("symile-mimic", {}, {"records": {"kind": "sample"}}, None),
        ("symile-mimic", {"sample": False}, {"records": {"kind": "physionet"}}, CREDENTIALED),
        ("symile-mimic", {}, {}, CREDENTIALED),
        ("xor", {}, {}, None),
        ("mine", {}, {}, None),
    ],
)
def test_only_what_is_known_to_be_free_is_free(
    dataset: str, spec: dict[str, Any], sources: dict[str, Any], kind: str | None
) -> None:
    assert kind_of(dataset, spec, sources) == kind
