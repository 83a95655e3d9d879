from types import SimpleNamespace
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from small_datasets import write_vectors
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from symile_data.errors import UsageError
from symile_data.loaders import BatchLoader, open_split
from symile_data.loaders import torch_dataset as torch_view
from symile_data.loaders.datamodule import DataModule
from symile_data.loaders.torch_dataset import BatchDataset


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    location = tmp_path_factory.mktemp("vectors")
    write_vectors(location, 40)
    return location


def dataset(directory, **options):
    return BatchDataset(BatchLoader(open_split(directory, "train"), 6, **options))


def ids(batches):
    return [batch["sample_id"].tolist() for batch in batches]


def test_torchs_dataloader_passes_batches_through(directory):
    loader = DataLoader(dataset(directory), batch_size=None)
    plain = BatchLoader(open_split(directory, "train"), 6)
    assert len(loader) == 6
    assert ids(loader) == ids(plain) and ids(loader) == ids(plain)


def test_worker_processes_are_refused(directory, monkeypatch):
    monkeypatch.setattr(torch_view, "get_worker_info", lambda: "a worker")
    with pytest.raises(UsageError, match=r"takes no worker processes.*num_workers=0"):
        list(DataLoader(dataset(directory), batch_size=None))


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_torchdata_resumes_exactly(directory, stop):
    whole = ids(StatefulDataLoader(dataset(directory), batch_size=None))
    first = StatefulDataLoader(dataset(directory), batch_size=None)
    taken = []
    for batch in first:
        taken.append(batch["sample_id"].tolist())
        if len(taken) == stop:
            state = first.state_dict()
            break
    second = StatefulDataLoader(dataset(directory), batch_size=None)
    second.load_state_dict(state)
    assert taken + ids(second) == whole


class Recorder(lightning.LightningModule):
    """Learns nothing and notes what it sees."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen, self.validated = [], []

    def training_step(self, batch, _):
        self.seen.append((self.current_epoch, batch["sample_id"].tolist()))
        return (self.weight * batch["a"].mean()).sum()

    def validation_step(self, batch, _):
        self.validated += batch["sample_id"].tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def trainer(tmp_path, **options):
    return lightning.Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        **options,
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("saved", [6, 8, 11, 12])  # six batches make an epoch
def test_lightning_runs_epochs_and_continues_a_checkpoint_exactly(directory, tmp_path, saved):
    def run(model, steps, checkpoint=None, **options):
        module = DataModule(directory, 6, train={"seed": 2, "cache": True})
        trainer(tmp_path, max_steps=steps, limit_val_batches=0, **options).fit(model, module, ckpt_path=checkpoint)
        return model.seen

    through = run(Recorder(), 15)
    saving = ModelCheckpoint(tmp_path, filename="saved", every_n_train_steps=saved)
    first = run(Recorder(), saved + 2, callbacks=[saving])
    second = run(Recorder(), 15, checkpoint=tmp_path / "saved.ckpt")
    assert [epoch for epoch, _ in through] == [0] * 6 + [1] * 6 + [2] * 3
    assert first == through[: saved + 2] and second == through[saved:]


@pytest.mark.filterwarnings("ignore")
def test_lightning_validates_and_tests_on_every_row(tmp_path, monkeypatch):
    for name, split in (("v", "validation"), ("t", "test")):
        location = write_vectors(tmp_path / name, 17, split=split)
        module, recorder = DataModule(location, 5), Recorder()
        monkeypatch.setattr(recorder, "test_step", recorder.validation_step)
        run = trainer(tmp_path, enable_checkpointing=False)
        (run.validate if split == "validation" else run.test)(recorder, module, verbose=False)
        assert recorder.validated == list(range(17))


@pytest.mark.filterwarnings("ignore")
def test_lightning_continues_a_checkpoint_of_an_epochs_end(tmp_path):
    for split in ("train", "validation"):
        write_vectors(tmp_path / split, 40, split=split)

    class Module(DataModule):
        def val_dataloader(self):
            return BatchLoader(open_split(tmp_path / "validation", "validation"), 16, shuffle=False)

    def run(epochs, checkpoint=None, **options):
        model = Recorder()
        trainer(tmp_path, max_epochs=epochs, **options).fit(model, Module(tmp_path / "train", 6), ckpt_path=checkpoint)
        return model

    through = run(4)
    first = run(2, callbacks=[ModelCheckpoint(tmp_path, filename="end")])
    second = run(4, checkpoint=tmp_path / "end.ckpt")
    assert first.seen + second.seen == through.seen
    assert first.validated + second.validated == through.validated == 4 * list(range(40))


def test_a_batch_is_divided_among_the_devices_or_refused(directory):
    def loader_of(rows, rank):
        module: Any = DataModule(directory, rows, train={"shuffle": False})
        module.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        return module.train_dataloader()

    halves = [next(iter(loader_of(6, rank)))["sample_id"].tolist() for rank in range(2)]
    assert halves == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(UsageError, match=r"divided equally among the devices; got 15 rows for 2 devices"):
        loader_of(15, 0)
