"""Training data whose modalities are read from sets of features beside the dataset, also on a fold of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from datasets import Features, List, Value

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.builders.features.beside import build_beside
from symile_data.builders.features.spec import FeatureSpec, FrozenModel, Media
from symile_data.errors import UsageError
from symile_data.format import manifest as manifests
from symile_data.loaders import BatchLoader
from symile_data.training.run_record import FoldChoice
from symile_data.workflows.folds.fold_file import fold_rows, write_folds
from symile_data.workflows.folds.make import make_folds
from symile_data.workflows.training_data import TrainingData

ROWS = 24


def tenfold(spec: FeatureSpec, model: FrozenModel, media: Media) -> npt.NDArray[np.float32]:
    """Three times ten times the first number of each value."""
    first = np.array([value[0] for value in media.values.to_pylist()], dtype=np.float32)
    return np.repeat(10 * first[:, None], model.size, axis=1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows whose vector `a` begins with their number, with two sets of features of it."""
    out = tmp_path_factory.mktemp("view") / "vectors"
    features = Features({name: List(Value("float32"), length=2) for name in "ab"} | {"group": Value("int64")})
    rows = [
        {"sample_id": number, "a": [number, 1.0], "b": [1.0, number], "group": number // 2} for number in range(ROWS)
    ]
    splits = {"train": rows[:16], "validation": rows[16:20], "test": rows[20:]}
    write_dataset(out, name="mine", schema=own_schema(features, {"a": "vector", "b": "vector"}), splits=splits, spec={})
    for name in ("ten", "again"):
        spec = FeatureSpec(models=(FrozenModel(modality="a", name=name, size=3, fingerprint=name),))
        build_beside(out, name, spec, tenfold, workers=1)
    return out


def check(data: TrainingData, split: str, expected: list[int]) -> None:
    opened = data.split(split)
    assert [(m.name, m.kind, m.column) for m in opened.modalities] == [("a", "features", "a_ten"), ("b", "vector", "b")]
    assert opened.modalities == data.manifest.modalities
    batch = next(iter(BatchLoader(opened, opened.rows, shuffle=False)))
    assert batch["sample_id"].tolist() == expected
    assert batch["a"].tolist() == [[10.0 * number] * 3 for number in expected]


def test_features_stand_in_place_of_what_they_encode(dataset: Path) -> None:
    data = TrainingData(dataset, features=["ten"])
    check(data, "train", list(range(16)))
    plain = TrainingData(dataset)
    assert plain.split("train").modalities == manifests.read(dataset).modalities
    assert data.manifest.identity.fingerprint != plain.manifest.identity.fingerprint
    assert TrainingData(dataset, features=["again"]).manifest.identity.fingerprint != data.manifest.identity.fingerprint


def test_a_fold_has_the_features_of_its_rows(dataset: Path, tmp_path: Path) -> None:
    made = make_folds(dataset, repeats=1, folds=4, group="group", seed=0)
    write_folds(tmp_path / "folds.json", made)
    data = TrainingData(dataset, folds=FoldChoice(file=str(tmp_path / "folds.json"), fold=1), features=["ten"])
    for split, rows in fold_rows(made, 1, 0).items():
        check(data, split, sorted(rows.tolist()))


def test_two_sets_of_one_modality_are_refused(dataset: Path) -> None:
    with pytest.raises(UsageError, match=r"two sets of features encode the same modality.*; got a\. Leave one out of"):
        TrainingData(dataset, features=["ten", "again"])
    with pytest.raises(UsageError, match=r"no such set of features .*Choose among again, ten"):
        TrainingData(dataset, features=["five"])
