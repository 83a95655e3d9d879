import pytest
import torch
from slow_losses import random_embeddings

from symile_data.errors import UsageError
from symile_data.losses import NeutralVectors, mip_scores, missing_groups, symile_loss

MISSING = torch.tensor([[True, False, False], [False, False, True], [False, False, False], [True, False, True]])


def test_missing_rows_are_replaced_and_others_kept():
    neutral = NeutralVectors(3, 5)
    torch.nn.init.normal_(neutral.vectors)
    embeddings = random_embeddings(3, 4, 5, dtype=torch.float32)
    for m, replaced in enumerate(neutral(embeddings, MISSING)):
        assert torch.equal(replaced[MISSING[:, m]], neutral.vectors[m].expand(int(MISSING[:, m].sum()), 5))
        assert torch.equal(replaced[~MISSING[:, m]], embeddings[m][~MISSING[:, m]])


def test_ones_leave_the_product_of_the_modalities_that_are_present():
    x, y, z = random_embeddings(3, 4, 5, dtype=torch.float32)
    x_there, y_there, _ = NeutralVectors(3, 5, learned=False)([x, y, z], MISSING)
    assert torch.allclose(mip_scores([x_there, y_there], z)[0], y[0] @ z.T)


def test_gradients_reach_the_vectors_and_not_what_was_missing():
    neutral = NeutralVectors(3, 5)
    embeddings = [e.requires_grad_() for e in random_embeddings(3, 4, 5, dtype=torch.float32)]
    with torch.no_grad():
        embeddings[0][0] = float("nan")  # whatever an encoder makes of a missing input
    symile_loss(neutral(embeddings, MISSING), 1.0, negatives="exact").backward()
    for m, embedding in enumerate(embeddings):
        assert (embedding.grad[MISSING[:, m]] == 0).all()
        assert (embedding.grad[~MISSING[:, m]] != 0).all()
    assert neutral.vectors.grad is not None
    assert neutral.vectors.grad[0].abs().sum() > 0
    assert neutral.vectors.grad[1].abs().sum() == 0


def test_fixed_vectors_are_saved_but_not_trained():
    fixed = NeutralVectors(3, 5, learned=False)
    assert list(fixed.parameters()) == []
    assert "vectors" in fixed.state_dict()
    assert NeutralVectors(3, 5).vectors.requires_grad


def test_output_keeps_the_dtype_of_the_embeddings():
    embeddings = random_embeddings(3, 4, 5, dtype=torch.bfloat16)
    assert {e.dtype for e in NeutralVectors(3, 5)(embeddings, MISSING)} == {torch.bfloat16}


def test_groups_lift_the_floor_that_copies_put_under_the_loss():
    missing = torch.zeros(8, 3, dtype=torch.bool)
    missing[:, 1:] = True
    embeddings = NeutralVectors(3, 8)([torch.eye(8)] * 3, missing)
    with_copies = symile_loss(embeddings, 100.0, negatives="exact")
    without = symile_loss(embeddings, 100.0, negatives="exact", groups=missing_groups(missing))
    assert with_copies > without + 1
    assert without < torch.tensor(64.0).log()


def test_wrong_shapes_are_named():
    neutral = NeutralVectors(3, 5)
    with pytest.raises(UsageError, match="3 embeddings of width 5"):
        neutral(random_embeddings(2, 4, 5), MISSING)
    with pytest.raises(UsageError, match=r"bool tensor of shape \(4, 3\); got torch.int64"):
        neutral(random_embeddings(3, 4, 5), MISSING.long())
    with pytest.raises(UsageError, match=r"shape \(4, 3\); got torch.bool, \(3, 3\)"):
        neutral(random_embeddings(3, 4, 5), MISSING[:3])
