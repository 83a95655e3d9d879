"""The registry of objectives: every row makes a loss and scores candidates, and reading it does not need torch."""

import subprocess
import sys

import pytest
import torch
from torch import nn

import symile_data.losses
from symile_data.errors import UsageError
from symile_data.losses import OBJECTIVES, mip_scores, pairwise_clip_loss, pairwise_scores, symile_loss
from symile_data.losses.objectives import find_objective
from symile_data.training.config import TrainConfig, read_config

ROWS = [torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]


def made(loss: str) -> nn.Module:
    config = read_config("xor", {"loss": loss, "negatives": "exact", "mip_scale": "aligned"})
    return find_objective(loss).make_loss(config)


def test_the_rows_of_the_table_make_the_public_losses() -> None:
    expected = symile_loss(ROWS, 2.0, negatives="exact", mip_scale="aligned")
    torch.testing.assert_close(made("symile")(ROWS, 2.0, None), expected)
    torch.testing.assert_close(made("clip")(ROWS, 2.0, None), pairwise_clip_loss(ROWS, 2.0))


def test_the_sampled_loss_takes_shuffles_and_seed_of_the_config() -> None:
    config = read_config("xor", {"loss": "symile", "negatives": "n", "shuffles": 2, "seed": 5})
    loss = find_objective("symile").make_loss(config)
    generator = torch.Generator().manual_seed(5)
    expected = symile_loss(ROWS, 1.0, shuffles=2, generator=generator, mip_scale=config.mip_scale)
    torch.testing.assert_close(loss(ROWS, 1.0, None), expected)


@pytest.mark.parametrize(("loss", "scores"), [("symile", mip_scores), ("clip", pairwise_scores)])
def test_combined_queries_give_the_public_scores(loss: str, scores: object) -> None:
    *queries, candidates = ROWS
    assert callable(scores)
    torch.testing.assert_close(
        find_objective(loss).combine_queries(queries) @ candidates.t(), scores(queries, candidates)
    )


def test_the_choices_of_a_config_are_the_table() -> None:
    assert list(OBJECTIVES) == ["symile", "clip"] and TrainConfig.loss in OBJECTIVES
    with pytest.raises(UsageError, match=r"unknown loss; got 'mine'.*symile, clip"):
        find_objective("mine")
    with pytest.raises(UsageError, match=r"unknown loss"):
        read_config("xor", {"loss": "mine"})


def test_every_public_name_is_there() -> None:
    for name in symile_data.losses.__all__:
        assert getattr(symile_data.losses, name) is not None and name in dir(symile_data.losses)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        symile_data.losses.nothing  # noqa: B018


def test_reading_the_table_loads_no_torch() -> None:
    code = "import sys; from symile_data.losses import OBJECTIVES, NEGATIVES; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60).strip() == "False"
