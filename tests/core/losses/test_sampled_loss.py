import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_losses import random_embeddings, slow_sampled, with_gradients, worst_error
from symile import Symile as PackageSymile

from symile_data.errors import UsageError
from symile_data.losses import SymileLoss, symile_loss
from symile_data.losses.kernels import sampled
from symile_data.losses.kernels.sampled import draw_candidates


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_ten_thousand_draws_hold_no_false_negative():
    generator = seeded()
    for _ in range(10_000):
        drawn = draw_candidates(8, 3, 2, generator)
        assert (drawn.rows != torch.arange(8)).all()


@given(rows=st.integers(1, 12), shuffles=st.integers(1, 15), seed=st.integers(0, 1000))
def test_sets_are_permutations_without_a_candidate_in_common(rows, shuffles, seed):
    drawn = draw_candidates(rows, 3, shuffles, seeded(seed))
    assert drawn.rows.shape == (1, min(shuffles, rows - 1), rows)
    assert (drawn.rows.sort(dim=2).values == torch.arange(rows)).all()
    pairs = {(column, row) for chosen in drawn.rows[0].tolist() for column, row in enumerate(chosen)}
    assert len(pairs) == drawn.rows.numel()
    assert sorted(drawn.replaced.tolist()) == list(range(rows))


def test_all_pairs_of_rows_are_drawn_equally_often():
    generator = seeded()
    counts = torch.zeros(5, 5)
    for _ in range(2000):
        counts[torch.arange(5), draw_candidates(5, 3, 1, generator).rows[0, 0]] += 1
    assert (counts.diag() == 0).all()
    assert (counts[~torch.eye(5, dtype=torch.bool)] - 500).abs().max() < 5 * 500**0.5


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_equals_loops_over_the_drawn_candidates(data):
    modalities, rows = data.draw(st.integers(3, 5)), data.draw(st.integers(1, 5))
    shuffles, seed = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 99))
    embeddings = random_embeddings(modalities, rows, data.draw(st.integers(1, 4)), seed=seed)
    ids = st.lists(st.integers(-1, 2), min_size=rows, max_size=rows).map(torch.tensor)
    groups = [data.draw(st.one_of(st.none(), ids)) for _ in range(modalities)]
    scale = data.draw(st.sampled_from([0.3, 5.0, 800.0]))
    results = with_gradients(
        lambda e, s: symile_loss(e, s, shuffles=shuffles, generator=seeded(seed), groups=groups), embeddings, scale
    )
    expected = with_gradients(lambda e, s: slow_sampled(e, s, shuffles, seeded(seed), groups), embeddings, scale)
    assert worst_error(results, expected) < 1e-9


def test_blocks_of_anchors_add_up(monkeypatch):
    embeddings = random_embeddings(3, 50, 6)

    def loss(e, s):
        return symile_loss(e, s, shuffles=2, generator=seeded())

    whole = with_gradients(loss, embeddings, 2.0)
    monkeypatch.setattr("symile_data.losses.kernels.sampled._BLOCK_ELEMENTS", 1)
    assert worst_error(with_gradients(loss, embeddings, 2.0), whole) < 1e-13


@pytest.mark.parametrize("modalities", [3, 4])
@pytest.mark.parametrize("grouped", [False, True])
def test_gradients_pass_gradcheck(modalities, grouped):
    groups = [torch.tensor([0, 0, 0, -1])] * modalities if grouped else None

    def loss(scale, *embeddings):
        return symile_loss(embeddings, scale, shuffles=2, generator=seeded(3), groups=groups)

    inputs = [e.requires_grad_() for e in random_embeddings(modalities, 4, 3)]
    assert torch.autograd.gradcheck(loss, (torch.tensor(0.7, dtype=torch.float64, requires_grad=True), *inputs))


def test_every_set_together_is_the_exact_loss_without_pairs_of_one_row():
    x, y, z = embeddings = random_embeddings(3, 6, 4)
    logits = torch.einsum("id,jd,kd->ijk", x, y, z)
    kept = ~torch.eye(6, dtype=torch.bool)
    losses = []
    for anchored in (logits, logits.movedim(1, 0), logits.movedim(2, 0)):
        for i, row in enumerate(anchored):
            candidates = torch.cat([row[kept], row[i, i][None]])
            losses.append((candidates.logsumexp(0) - row[i, i]).item())
    # One negative an anchor gives its place to the positive, hence the tolerance.
    value = symile_loss(embeddings, 1.0, shuffles=5, generator=seeded())
    assert value.item() == pytest.approx(sum(losses) / len(losses), abs=0.1)


def test_on_average_equals_the_package_on_large_batches():
    embeddings = [e / 3 for e in random_embeddings(3, 64, 8)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        package = PackageSymile("n")
        theirs = torch.stack([package(embeddings, 1.0) for _ in range(60)])
    generator = seeded()
    ours = torch.stack([symile_loss(embeddings, 1.0, generator=generator) for _ in range(60)])
    assert abs(ours.mean() - theirs.mean()) < 4 * (ours.var() / 60 + theirs.var() / 60) ** 0.5
    assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.5)


def test_half_a_batch_of_one_row_has_loss_zero():
    for modalities in (2, 3, 4):
        value, *gradients = with_gradients(
            lambda e, s: symile_loss(e, s, generator=seeded()), random_embeddings(modalities, 1, 3), 2.0
        )
        assert value == 0
        assert all((gradient == 0).all() for gradient in gradients)


def test_float32_stays_close_to_float64_over_a_wide_range_of_logits():
    embeddings = [e * 6 for e in random_embeddings(3, 16, 32, dtype=torch.float32)]

    def loss(e, s):
        return symile_loss(e, s, shuffles=2, generator=seeded())

    expected = with_gradients(loss, [e.double() for e in embeddings], 1.0)
    assert worst_error(with_gradients(loss, embeddings, 1.0), expected) < 1e-5


def test_bfloat16_products_come_close():
    embeddings = [torch.nn.functional.normalize(e) for e in random_embeddings(3, 24, 32, dtype=torch.float32)]

    def loss(dtype):
        return lambda e, s: symile_loss(e, s, generator=seeded(), gemm_dtype=dtype)

    rounded = with_gradients(loss(torch.bfloat16), embeddings, 5.0)
    assert worst_error(rounded, with_gradients(loss(None), embeddings, 5.0)) < 3e-2


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_the_division_into_blocks_changes_no_more_than_rounding(dtype, monkeypatch):
    embeddings = random_embeddings(4, 40, 16, dtype=torch.float32)

    def loss(e, s):
        return symile_loss(e, s, shuffles=2, generator=seeded(), gemm_dtype=dtype)

    whole = with_gradients(loss, embeddings, 0.5)
    monkeypatch.setattr(sampled, "_BLOCK_ELEMENTS", 1)  # blocks of 16 rows, of which the last has 8
    assert worst_error(with_gradients(loss, embeddings, 0.5), whole) < (1e-5 if dtype is None else 3e-2)


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    SymileLoss()(random_embeddings(3, 6, 4), 1.0)
    assert torch.equal(before, torch.get_rng_state())


def test_shuffles_without_a_generator_are_refused():
    with pytest.raises(UsageError, match="needs a generator"):
        symile_loss(random_embeddings(3, 6, 4), 1.0)


def test_a_restored_module_draws_what_the_interrupted_one_would_have():
    embeddings = random_embeddings(3, 20, 4)
    loss = SymileLoss(shuffles=2, seed=5)
    first = loss(embeddings, 1.0)
    saved = copy.deepcopy(loss.state_dict())
    twin = copy.deepcopy(loss)
    following = [loss(embeddings, 1.0) for _ in range(3)]
    assert first not in following

    resumed = SymileLoss(shuffles=2, seed=0)
    resumed.load_state_dict(saved)
    assert [resumed(embeddings, 1.0) for _ in range(3)] == following
    assert [twin(embeddings, 1.0) for _ in range(3)] == following


def test_evaluation_repeats_its_draws_and_leaves_training_alone():
    embeddings = random_embeddings(3, 20, 4)
    loss, other = SymileLoss(seed=5), SymileLoss(seed=5)
    loss.eval()
    assert loss(embeddings, 1.0) == loss(embeddings, 1.0)
    loss.train()
    assert loss(embeddings, 1.0) == other(embeddings, 1.0)


def test_the_module_passes_its_options_on():
    embeddings = random_embeddings(3, 5, 4)
    ids = [torch.tensor([0, 0, 1, 2, 3]), None, None]
    expected = symile_loss(embeddings, 2.0, negatives="exact", mip_scale="unit", groups=ids)
    assert SymileLoss("exact", mip_scale="unit")(embeddings, 2.0, ids) == expected
    with pytest.raises(UsageError, match="max_flops"):
        SymileLoss("exact", max_flops=1.0)(embeddings, 2.0)
    with pytest.raises(UsageError, match="negatives is unknown"):
        SymileLoss("every")
    with pytest.raises(UsageError, match="mip_scale is unknown"):
        SymileLoss(mip_scale="every")
    with pytest.raises(UsageError, match="shuffles is at least 1"):
        SymileLoss(shuffles=0)
    assert "shuffles=3" in repr(SymileLoss(shuffles=3))
