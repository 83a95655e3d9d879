"""The published checkpoint as a run: every weight in its place, the paper's protocol, and what is refused."""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import call, outcome
from factories import rows_of
from mimic_release_files import SET, labs, planes, scaled, write_release
from published_mimic_model import PublishedModel, checkpoint

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.release.import_release import import_mimic
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.errors import OutputError, SourceError, UsageError
from symile_data.training.run_record import read_run
from symile_data.workflows.evaluate import Evaluation, evaluate_in_full
from symile_data.workflows.published.checkpoint import import_checkpoint
from symile_data.workflows.train import embed_run
from symile_data.workflows.training_data import TrainingData, data_of_run

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The imported release, a checkpoint and its run; not to be changed."""
    out = tmp_path_factory.mktemp("published")
    import_mimic(write_release(out / "release"), out / "data", workers=1, write_card=no_card)
    torch.save(checkpoint(PublishedModel()), out / "model.ckpt")
    import_checkpoint(out / "model.ckpt", TrainingData(out / "data"), out / "run")
    return out


@pytest.fixture(scope="module")
def embeddings(place: Path) -> dict[int, dict[str, torch.Tensor]]:
    """What the public model makes of the arrays of the release, by admission of the test split."""
    train = [labs(row["hadm_id"]) for row in rows_of(place / "data", "train")]
    columns = [sorted(value for value in column if value is not None) for column in zip(*train, strict=True)]
    found = {}
    model = PublishedModel()
    for row in rows_of(place / "data", "test"):
        values, percentiles, observed = labs(row["hadm_id"]), [], []
        for value, known in zip(values, columns, strict=True):
            ranks = [np.mean([other <= one for other in known]) for one in known]
            mean = float(np.mean(ranks)) if known else 0.5
            percentile = np.mean([other <= value for other in known]) if known and value is not None else 0.0
            percentiles.append(mean if value is None else float(percentile))
            observed.append(float(value is not None))
        with torch.inference_mode():
            found[row["hadm_id"]] = {
                "cxr": model.cxr_encoder(torch.from_numpy(planes(row["hadm_id"])[None]))[0],
                "ecg": model.ecg_encoder(torch.from_numpy(scaled(row["hadm_id"])[None]))[0],
                "labs": model.labs_encoder(torch.tensor([percentiles + observed]))[0],
            }
    return found


def test_embeddings_are_those_of_the_public_model(place: Path, embeddings: dict[int, dict[str, torch.Tensor]]) -> None:
    info = read_run(place / "run")
    found, _, _ = embed_run(place / "run", data_of_run(info), "test")
    assert found.labels.tolist() == list(embeddings)
    for row, expected in enumerate(embeddings.values()):
        for name, value in expected.items():
            torch.testing.assert_close(found.values[name][row], value, rtol=2e-3, atol=2e-3)
    assert len({tuple(found.values["cxr"][row].tolist()) for row in range(3)}) == 3


def test_evaluation_follows_the_papers_protocol(place: Path, embeddings: dict[int, dict[str, torch.Tensor]]) -> None:
    hits = []
    for row in rows_of(place / "data", "test"):
        query = embeddings[row["hadm_id"]]["ecg"] * embeddings[row["hadm_id"]]["labs"]
        scores = [float((query * embeddings[other]["cxr"]).sum()) for other in row["candidates"]]
        hits.append(int(np.argmax(scores)) == 0)
    info = read_run(place / "run")
    results = evaluate_in_full(place / "run", data_of_run(info), Evaluation()).results
    assert results["accuracy"] == pytest.approx(np.mean(hits))
    assert (results["candidates"], results["rows"]) == (SET, 3)


def test_the_record_says_where_the_weights_come_from(place: Path) -> None:
    config = read_run(place / "run").config
    assert (config.objective, config.dim, config.settings["negatives"]) == ("symile", 16, "exact")
    assert (config.lr, config.batch_size, config.epochs, config.select) == (0.1, 280, 80, "val_loss")
    assert (config.target, config.label, config.normalise) == ("cxr", "hadm_id", False)
    told = json.loads((place / "run" / "imported.json").read_text())
    assert (told["file"], told["epoch"], told["step"]) == ("model.ckpt", 20, 756) and len(told["sha256"]) == 64


COLOURED = torch.ones(64, 3, 7, 7)  # a first layer of three channels


def changed(place: Path, tmp_path: Path, change: Any) -> Path:
    """A file of weights without the many that no test looks at."""
    state = OrderedDict(torch.load(place / "model.ckpt", weights_only=False)["state_dict"])
    change(state)
    path = tmp_path / "changed.ckpt"
    torch.save({"state_dict": state}, path)
    return path


def without_ecg(state: OrderedDict[str, torch.Tensor]) -> None:
    for name in [name for name in state if name.startswith("ecg_encoder.resnet.layer")]:
        del state[name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("cxr_encoder.resnet.layer2.0.downsample.0.weight"),
         r"got it lacks cxr_encoder\.resnet\.layer2\.0\.downsample\.0\.weight\. Give symile_mimic_model"),
        (without_ecg, r"it lacks ecg_encoder\.resnet\.layer1\.0\.bn1\.bias, .* and 111 more"),
        (lambda state: state.update({"ecg_encoder.resnet.conv1.weight": COLOURED, "extra": COLOURED}),
         r"it has extra; it has ecg_encoder\.resnet\.conv1\.weight of \(64, 3, 7, 7\), not \(64, 1, 7, 7\)"),
        (lambda state: state["labs_encoder.fc1.bias"][7:8].fill_(torch.nan),
         r"is not finite .*labs_encoder\.fc1\.bias"),
        (lambda state: state.clear(), "has no state_dict of tensors"),
    ],
    ids=["one lacks", "many lack", "others", "nan", "empty"],
)  # fmt: skip
def test_other_weights_are_refused_with_their_names(place: Path, tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        import_checkpoint(changed(place, tmp_path, change), TrainingData(place / "data"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Evil:
    """Runs code where it is unpickled as usual."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit(77)",)


def test_nothing_in_the_file_is_executed(place: Path, tmp_path: Path) -> None:
    data, path = TrainingData(place / "data"), tmp_path / "evil.ckpt"
    torch.save({"state_dict": {"a": torch.ones(1)}, "hyper_parameters": {"x": Evil()}}, path)
    with pytest.raises(SourceError, match=r"would execute code .*got .*exec.* Where you trust it"):
        import_checkpoint(path, data, tmp_path / "run")
    for content in (pickle.dumps({"a": 1}), b"no zip", b""):
        path.write_bytes(content)
        with pytest.raises(SourceError, match="cannot be read"):
            import_checkpoint(path, data, tmp_path / "run")
    with pytest.raises(SourceError, match="cannot be opened"):
        import_checkpoint(tmp_path / "none.ckpt", data, tmp_path / "run")


def test_other_data_and_other_runs_are_refused(place: Path, tmp_path: Path) -> None:
    data = TrainingData(place / "data")
    build_xor(XorSpec(dims=1, rows={"train": 8, "validation": 4, "test": 4}), tmp_path / "xor", workers=1,
              write_card=no_card)  # fmt: skip
    with pytest.raises(UsageError, match=r"has other modalities .*got a \(vector\), b \(vector\)"):
        import_checkpoint(place / "model.ckpt", TrainingData(tmp_path / "xor"), tmp_path / "run")
    with pytest.raises(UsageError, match="trained with Symile or CLIP; got 'gram'"):
        import_checkpoint(place / "model.ckpt", data, tmp_path / "run", objective="gram")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.ckpt").write_bytes(b"mine")
    with pytest.raises(OutputError, match="has other weights"):
        import_checkpoint(place / "model.ckpt", data, tmp_path / "run")


def test_the_command(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "base" / "clip"
    words = ("import", "checkpoint", place / "model.ckpt", "--data", place / "data", "--out", run)
    assert call(*words, "--objective", "clip") == 0
    assert "evaluate it with: symile-data evaluate" in capsys.readouterr().out
    assert read_run(run).config.objective == "clip" and "negatives" not in read_run(run).config.settings
    again = (*words, "--objective", "clip")
    assert call(*again) == 0
    assert call("evaluate", run, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["clip"]["candidates"] == SET
    small = [
        f"--set={name}={value}"
        for name, value in {"batch_size": 4, "epochs": 1, "dim": 16, "lr": 0.1, "candidates": SET}.items()
    ]
    found = outcome(
        capsys, "train", place / "data", "--config", "paper-mimic", "--objective", "clip", "--out", run.parent, *small
    )
    assert found.code == 1 and "imported weights, which a training would replace" in found.err
