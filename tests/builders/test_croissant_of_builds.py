"""croissant.json of every builder: valid, with all fields that the NeurIPS datasets track asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mimic_release_files
import mlcroissant
import numpy as np
import pytest
import release_files
from datasets import Features, List, Value
from factories import build

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.builders.features.build import build_features
from symile_data.builders.features.spec import FeatureSpec, FrozenModel, Media
from symile_data.builders.m3.release.import_release import import_m3
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.release.import_release import import_mimic
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cards import state, write_card
from symile_data.cards.croissant.check import missing_fields
from symile_data.datasets.pid.presets import PRESETS
from symile_data.format import manifest as manifests
from symile_data.format.publication import Publication
from symile_data.format.verify import verify

ROWS = {"train": 12, "validation": 4, "test": 4}
MADE: dict[str, Any] = {"workers": 1, "write_card": write_card}
STATED = Publication(
    licence="CC-BY-4.0",
    summary="Pairs of numbers, drawn for a test.",
    derived_from=({"name": "numpy's generator", "url": "https://numpy.org", "licence": "BSD-3-Clause"},),
    rai={
        "dataUseCases": ["Tests"],
        "dataBiases": ["None: drawn from one law"],
        "dataLimitations": ["A handful of rows"],
        "personalSensitiveInformation": ["None"],
        "dataSocialImpact": "None known.",
        "hasSyntheticData": True,
    },
)


def own(out: Path) -> None:
    """Write a custom dataset of two vectors."""
    schema = own_schema(
        Features({name: List(Value("float32"), length=2) for name in "ab"}), dict.fromkeys("ab", "vector")
    )
    rows = {split: [{"a": [0.0, 1.0], "b": None}] * 3 for split in ("train", "test")}
    spec = {"seed": 7}
    write_dataset(out, name="mine", schema=schema, splits=rows, spec=spec, write_card=write_card, publication=STATED)


def features(tree: Path, place: Path, out: Path) -> None:
    """Replace the images of a dataset by three numbers."""
    model = FrozenModel(modality="image", name="mean", size=3, fingerprint="0" * 64)

    def encode(_spec: FeatureSpec, _model: FrozenModel, media: Media) -> np.ndarray[Any, Any]:
        return np.zeros((len(media.values), 3), dtype=np.float32)

    build(tree, place / "m3", rows=ROWS)
    build_features(place / "m3", out, FeatureSpec(models=(model,), batch_size=4), encode, **MADE)


Build = Callable[[Path, Path, Path], object]
# name -> (images, a folder for sources, where to build)
BUILDS: dict[str, Build] = {
    "m3": lambda tree, _, out: build(tree, out, rows=ROWS, write_card=write_card),
    "m3 of the release": lambda _, place, out: import_m3(
        str(release_files.write_release(place / "r")), out, config=None, rows=20, names=None, **MADE
    ),
    "features": features,
    "mimic": lambda _, __, out: build_mimic(MimicSpec(patients=30, candidates=2, validation=0, train=20), out, **MADE),
    "mimic of the release": lambda _, place, out: import_mimic(
        mimic_release_files.write_release(place / "r"), out, **MADE
    ),
    "pid": lambda _, __, out: build_pid(PidSpec(design=PRESETS["xor"], rows=ROWS), out, **MADE),
    "xor": lambda _, __, out: build_xor(XorSpec(rows=ROWS), out, **MADE),
    "own": lambda _, __, out: own(out),
}


@pytest.mark.parametrize("name", BUILDS)
def test_only_the_date_is_missing_until_it_is_published(
    name: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symile_data.cards.draw_figures", lambda *_: [])
    out = tmp_path / "out"
    BUILDS[name](tree, tmp_path, out)
    issues = mlcroissant.Dataset(jsonld=out / "croissant.json").metadata.ctx.issues
    assert not issues.errors
    assert [warning.split('"')[1] for warning in issues.warnings] == ["https://schema.org/datePublished"]
    unpublished = ["url", "creator", "datePublished"] if name == "own" else ["creator", "datePublished"]
    assert missing_fields(out) == unpublished

    described = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    manifest = manifests.read(out)
    made = described["prov:wasGeneratedBy"][0]
    assert {"propertyID": "fingerprint", "value": manifest.identity.fingerprint} == {
        key: made["identifier"][0][key] for key in ("propertyID", "value")
    }
    versions = {agent["prov:label"]: agent["softwareVersion"] for agent in made["prov:wasAssociatedWith"]}
    assert versions == {name: version for name, version in manifest.identity.versions.items() if name != "writer"}
    assert all(entity["prov:label"] and entity["license"] for entity in described["prov:wasDerivedFrom"])
    conditions = described.get("usageInfo", [])
    assert [term.get("termCode") for term in conditions] == (
        ["DUO_0000042", "DUO_0000026", None] if name == "mimic of the release" else []
    )
    assert described["rai:hasSyntheticData"] is (name != "mimic of the release")

    by = "  author = {Ada Lovelace and {A Lab}},\n  year   = {2026},\n  url    = {https://example.org/d},\n"
    before = (out / "README.md").read_text(encoding="utf-8")
    state(out, Publication(creators=("Ada Lovelace", "org:A Lab"), published="2026-12-01", url="https://example.org/d"))
    after = (out / "README.md").read_text(encoding="utf-8")
    assert by not in before and after.count(by) == 1
    assert after.partition("\n## Citation\n")[0] == before.partition("\n## Citation\n")[0]
    metadata = mlcroissant.Dataset(jsonld=out / "croissant.json").metadata
    assert not metadata.ctx.issues.errors and not metadata.ctx.issues.warnings
    assert [creator.name for creator in metadata.creators] == ["Ada Lovelace", "A Lab"]
    assert metadata.date_published.isoformat().startswith("2026-12-01")
    assert missing_fields(out) == []
    assert not [problem for problem in verify(out) if re.search("manifest|croissant|README", str(problem))]
