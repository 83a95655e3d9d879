"""The record of a run, also of a run that an older version trained."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from symile_data.errors import UsageError
from symile_data.format.schema import Modality
from symile_data.training.config import TrainConfig
from symile_data.training.run import check_run, claim, load_module
from symile_data.training.run_record import RunInfo, read_run

MODALITIES = tuple(Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in ("a", "b"))


def info(**changes: Any) -> RunInfo:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 4, "dim": 6, "lr": 0.1, "target": "a", "label": "y"}
    config = TrainConfig(**settings | {"logit_scale_init": 0.0} | changes)
    return RunInfo(
        config=config, dataset="mine", fingerprint="f", location="here", modalities=MODALITIES, vocabularies={},
        sizes={"a": 3, "b": 3},
    )  # fmt: skip


def written_by_an_older_version(run: Path, **changes: Any) -> None:
    """Write a run.json with the names of version 0.1, whose settings of Symile stood beside all others."""
    record = info().to_json()
    config = record["config"]
    del config["settings"], config["missingness_in_validation"]
    config["loss"], config["redraw_media"] = config.pop("objective"), config.pop("resample_within_class")
    config |= {"negatives": "n", "shuffles": 1, "mip_scale": "none", "normalise": False} | changes
    run.mkdir(exist_ok=True)
    (run / "run.json").write_text(json.dumps(record))


def test_a_record_of_an_older_version_is_read_without_a_warning(tmp_path: Path) -> None:
    written_by_an_older_version(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_run(tmp_path) == info(normalise=False)
    written_by_an_older_version(tmp_path, negatives="exact", shuffles=2, redraw_media={"a": "y"})
    found = read_run(tmp_path).config
    assert found.settings == {"negatives": "exact", "shuffles": 2} and found.resample_within_class == {"a": "y"}
    written_by_an_older_version(tmp_path, loss="clip", negatives="exact")
    assert read_run(tmp_path).config.objective == "clip" and not read_run(tmp_path).config.settings


def test_a_run_of_an_older_version_is_continued_and_loaded(tmp_path: Path) -> None:
    import torch

    written_by_an_older_version(tmp_path)
    module = info(normalise=False).make_module()
    torch.save({"state_dict": module.state_dict()}, tmp_path / "best.ckpt")
    loaded = load_module(tmp_path)
    assert loaded.state_dict().keys() == module.state_dict().keys()
    torch.testing.assert_close(loaded.encoders.state_dict(), module.encoders.state_dict())
    claim(tmp_path, info(normalise=False))  # the config of the run there is this one


@pytest.mark.parametrize("place", [".", "runs/a"])
def test_a_run_inside_a_dataset_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{\n  "format": "symile-data/1"\n}\n')
    for take in (lambda run: check_run(run, info().config), lambda run: claim(run, info())):
        with pytest.raises(UsageError, match="the run would be inside a dataset"):
            take(tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_an_objective_that_is_not_registered_is_named(tmp_path: Path) -> None:
    written_by_an_older_version(tmp_path, loss="theirs")
    with pytest.raises(UsageError, match=r"unknown objective \(.*run\.json\); got 'theirs'"):
        read_run(tmp_path)
