import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_losses import random_embeddings, slow_exact, with_gradients, worst_error
from symile import Symile as PackageSymile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from symile_data.errors import UsageError
from symile_data.losses import symile_loss
from symile_data.losses.gather import RankShard
from symile_data.losses.inputs import LossInputs
from symile_data.losses.kernels.budget import Options, flops
from symile_data.losses.kernels.tiles import Tiles


def exact(**options):
    return lambda embeddings, scale: symile_loss(embeddings, scale, negatives="exact", **options)


LAYOUTS = [{}, {"cache_bytes": 0}, {"tile_rows": 3}, {"tile_rows": 20, "cache_bytes": 1500}]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("modalities", "rows", "width"), [(3, 9, 7), (4, 6, 5), (5, 4, 3), (3, 1, 2), (4, 1, 2)])
@pytest.mark.parametrize("scale", [0.5, 14.0, 500.0])
@pytest.mark.parametrize("unit_norm", [True, False])
def test_equals_the_package(modalities, rows, width, scale, unit_norm, layout):
    embeddings = random_embeddings(modalities, rows, width)
    if unit_norm:
        embeddings = [F.normalize(embedding) for embedding in embeddings]
    expected = with_gradients(PackageSymile("n_squared"), embeddings, scale)
    assert worst_error(with_gradients(exact(**layout), embeddings, scale), expected) < 1e-12


@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_equals_the_package_where_rows_are_wide_enough_to_loop(layout):
    embeddings = random_embeddings(3, 32, 1100)
    expected = with_gradients(PackageSymile("n_squared"), embeddings, 0.05)
    assert worst_error(with_gradients(exact(**layout), embeddings, 0.05), expected) < 1e-12


@pytest.mark.parametrize("negatives", ["n", "exact"])
@pytest.mark.parametrize("scale", [1.0, 50.0, 5000.0])
def test_two_modalities_are_clip(scale, negatives):
    def clip(embeddings, s):
        logits = s * embeddings[0] @ embeddings[1].T
        labels = torch.arange(len(logits))
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2

    embeddings = random_embeddings(2, 40, 6)
    for layout in ({}, {"tile_rows": 7}, {"tile_rows": 7, "cache_bytes": 0}):
        results = with_gradients(lambda e, s, o=layout: symile_loss(e, s, negatives=negatives, **o), embeddings, scale)
        assert worst_error(results, with_gradients(clip, embeddings, scale)) < 1e-12


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_equals_loops_over_all_combinations_with_groups(data):
    modalities = data.draw(st.integers(2, 4))
    rows = data.draw(st.integers(1, {2: 5, 3: 4, 4: 3}[modalities]))
    embeddings = random_embeddings(modalities, rows, data.draw(st.integers(1, 4)), seed=data.draw(st.integers(0, 99)))
    ids = st.lists(st.integers(-1, 2), min_size=rows, max_size=rows).map(torch.tensor)
    groups = [data.draw(st.one_of(st.none(), ids)) for _ in range(modalities)]
    scale = data.draw(st.sampled_from([0.3, 5.0, 800.0]))
    layout = {"tile_rows": data.draw(st.integers(1, 9)), "cache_bytes": data.draw(st.sampled_from([None, 0, 200]))}
    results = with_gradients(exact(groups=groups, **layout), embeddings, scale)
    assert worst_error(results, with_gradients(lambda e, s: slow_exact(e, s, groups), embeddings, scale)) < 1e-9


def test_rows_that_all_share_one_value_have_no_negatives():
    everyone = torch.zeros(4, dtype=torch.int64)
    value, *gradients = with_gradients(exact(groups=[everyone] * 3), random_embeddings(3, 4, 5), 2.0)
    assert value == 0
    assert all((gradient == 0).all() for gradient in gradients)


def test_groups_of_values_that_all_differ_change_nothing():
    embeddings = random_embeddings(3, 5, 4)
    ids = [torch.arange(5), None, torch.full((5,), -1)]
    assert symile_loss(embeddings, 3.0, negatives="exact", groups=ids) == symile_loss(
        embeddings, 3.0, negatives="exact"
    )


@pytest.mark.parametrize("modalities", [2, 3, 4])
@pytest.mark.parametrize("scale", [1.0, 2000.0])
@pytest.mark.parametrize("grouped", [False, True])
def test_gradients_pass_gradcheck(modalities, scale, grouped):
    # At the large scale positives lead by far, so what is left to differentiate is smooth again.
    aligned = torch.linspace(0.5, 1.5, 12, dtype=torch.float64).view(4, 3).softmax(1)
    inputs = random_embeddings(modalities, 4, 3) if scale == 1.0 else [aligned.clone() for _ in range(modalities)]
    groups = [torch.tensor([0, 0, -1, -1])] * modalities if grouped else None
    log_scale = torch.tensor(scale, dtype=torch.float64).log().requires_grad_()

    def loss(log_scale, *embeddings):
        return symile_loss(embeddings, log_scale.exp(), negatives="exact", groups=groups)

    assert torch.autograd.gradcheck(loss, (log_scale, *[tensor.requires_grad_() for tensor in inputs]))


@pytest.mark.parametrize("modalities", [3, 4])
def test_float32_stays_close_to_float64_over_a_wide_range_of_logits(modalities):
    embeddings = [F.layer_norm(e, (64,)) for e in random_embeddings(modalities, 8, 64, dtype=torch.float32)]
    expected = with_gradients(exact(), [e.double() for e in embeddings], 12.0)
    logits = torch.einsum("id,jd,kd->ijk", *embeddings[:3]) * 12
    assert logits.max() - logits.min() > 500
    for layout in LAYOUTS:
        assert worst_error(with_gradients(exact(**layout), embeddings, 12.0), expected) < 1e-5


def test_range_that_shows_only_late_in_the_batch_is_still_exact():
    embeddings = random_embeddings(3, 12, 8, dtype=torch.float32)
    for embedding in embeddings:
        embedding[6:] *= 12
    expected = with_gradients(exact(), [e.double() for e in embeddings], 0.5)
    for layout in ({"tile_rows": 12}, {"tile_rows": 12, "cache_bytes": 0}):
        assert worst_error(with_gradients(exact(**layout), embeddings, 0.5), expected) < 1e-5


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float32, 150.0), (torch.float64, 1100.0)])
def test_anchors_beyond_the_safe_range_are_taken_relative_to_themselves(dtype, bits):
    """One positive lies far above the middle and the others, with all their negatives, far below it. Relative to the
    middle these negatives would vanish, and with them the loss.
    """
    nats = bits * math.log(2)
    high = (2 * nats) ** (1 / 3)
    a, b, c = (torch.tensor([[high, other], [0, other], [0, other]], dtype=dtype) for other in (-nats, 1.0, 1.0))
    *found, _ = with_gradients(exact(), [a, b, c], 1.0)  # the scale's gradient is zero but for rounding
    *expected, _ = with_gradients(slow_exact, [a.double(), b.double(), c.double()], 1.0)
    assert expected[0] > 1
    assert worst_error(found, expected) < (1e-5 if dtype == torch.float32 else 1e-9)


def test_gradients_of_a_loss_near_zero_keep_their_digits():
    found = with_gradients(exact(), [torch.eye(5)] * 3, 40.0)
    expected = with_gradients(slow_exact, [torch.eye(5, dtype=torch.float64)] * 3, 40.0)
    for gradient, right in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(gradient.double(), right, rtol=1e-4, atol=0)


@pytest.mark.parametrize("cache_bytes", [0, 100, 1000, 1 << 20])
def test_the_cache_holds_no_more_than_it_may(cache_bytes):
    embeddings = random_embeddings(3, 9, 4, dtype=torch.float32)
    inputs = LossInputs(embeddings, torch.ones(()), None, RankShard(0, (9,)))
    tiles = Tiles(inputs, Options(tile_rows=20, cache_bytes=cache_bytes))
    for tile in tiles.plan:
        tiles.logits(tile, tiles.products(tile, tiles.lead_rows(tile)[0]))
    kept = [logits.numel() * logits.element_size() for logits in tiles.cache.values()]
    assert sum(kept) <= cache_bytes
    assert len(kept) == len(tiles.plan) if cache_bytes == 1 << 20 else len(kept) < len(tiles.plan)


@pytest.mark.parametrize(("modalities", "tile_rows"), [(2, 3), (3, 20), (3, 4), (4, 20)])
def test_a_tile_takes_whole_rows_of_products_where_it_may(modalities, tile_rows):
    n = 9
    inputs = LossInputs(random_embeddings(modalities, n, 4), torch.ones(()), None, RankShard(0, (n,)))
    plan = Tiles(inputs, Options(tile_rows=tile_rows)).plan
    pairs = [(i, j) for tile in plan for i in range(tile.a, tile.b) for j in range(tile.j0, tile.j1)]
    assert sorted(pairs) == list(itertools.product(range(n ** (modalities - 2)), range(n)))
    assert max(tile.rows for tile in plan) <= tile_rows
    assert all((tile.j0, tile.j1) == (0, n) if tile_rows >= n else tile.b - tile.a == 1 for tile in plan)


def test_a_loss_near_zero_keeps_its_digits():
    embeddings = [torch.eye(5)] * 3
    value = symile_loss(embeddings, 40.0, negatives="exact")
    assert value.item() == pytest.approx(24 * torch.tensor(-40.0).double().exp().item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("negatives", ["n", "exact"])
def test_half_precision_under_autocast_is_computed_in_float32(dtype, negatives):
    full = [F.normalize(e) for e in random_embeddings(3, 16, 512, dtype=torch.float32)]
    half = [e.to(dtype).requires_grad_() for e in full]
    same = [e.detach().float().requires_grad_() for e in half]

    def value_of(embeddings):
        generator = torch.Generator().manual_seed(0)
        return symile_loss(embeddings, 200.0, negatives=negatives, generator=generator)

    with torch.autocast("cpu", dtype=dtype):
        value = value_of(half)
    value.backward()
    expected = value_of(same)
    expected.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    for low, high in zip(half, same, strict=True):
        assert low.grad is not None and high.grad is not None
        assert low.grad.dtype == dtype
        assert low.grad.isfinite().all()
        assert torch.equal(low.grad, high.grad.to(dtype))


@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize("cache_bytes", [0, None])
def test_bfloat16_products_come_close(scale, cache_bytes):
    embeddings = [F.normalize(e) for e in random_embeddings(3, 24, 32, dtype=torch.float32)]
    rounded = with_gradients(exact(gemm_dtype=torch.bfloat16, cache_bytes=cache_bytes), embeddings, scale)
    assert worst_error(rounded, with_gradients(exact(), embeddings, scale)) < 3e-2


def test_mip_scale_multiplies_the_logits():
    embeddings = random_embeddings(3, 5, 16)
    for name, factor in (("none", 1.0), ("aligned", 4.0), ("unit", 16.0)):
        results = with_gradients(exact(mip_scale=name), embeddings, 2.0)
        expected = with_gradients(lambda e, s, f=factor: symile_loss(e, s * f, negatives="exact"), embeddings, 2.0)
        assert worst_error(results, expected) < 1e-14


def test_a_loss_can_be_differentiated_twice_in_a_row_but_has_no_second_derivative():
    embeddings = [e.requires_grad_() for e in random_embeddings(3, 5, 4)]
    value = symile_loss(embeddings, 2.0, negatives="exact")
    (once,) = torch.autograd.grad(value, embeddings[0], retain_graph=True)
    (again,) = torch.autograd.grad(3 * value, embeddings[0], retain_graph=True)
    assert torch.equal(3 * once, again)
    with pytest.raises(UsageError, match="no second derivative"):
        torch.autograd.grad(value, embeddings[0], create_graph=True)


def test_value_is_the_same_without_gradients():
    embeddings = [e.requires_grad_() for e in random_embeddings(3, 6, 4)]
    with torch.no_grad():
        value = symile_loss(embeddings, 2.0, negatives="exact")
    assert not value.requires_grad
    assert torch.equal(value, symile_loss(embeddings, 2.0, negatives="exact").detach())


class LargestTensor(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        sizes = [t.untyped_storage().nbytes() for t in tree_flatten(result)[0] if isinstance(t, torch.Tensor)]
        self.bytes = max([self.bytes, *sizes])
        return result


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_no_tensor_outgrows_the_tile(scale):
    rows, width, tile_rows = 48, 40, 96
    embeddings = [e.requires_grad_() for e in random_embeddings(3, rows, width, dtype=torch.float32)]
    with LargestTensor() as largest:
        symile_loss(embeddings, scale, negatives="exact", tile_rows=tile_rows, cache_bytes=0).backward()
    assert largest.bytes <= 4 * tile_rows * max(rows, width)
    assert largest.bytes < 4 * rows**3 / 10


def test_work_above_the_budget_is_refused_with_advice():
    embeddings = random_embeddings(4, 10, 8)
    with pytest.raises(UsageError) as refusal:
        symile_loss(embeddings, 1.0, negatives="exact", max_flops=1e5)
    assert "10^4 combinations of 4 modalities needs 6.4e+05 operations a step, above the budget of 1.0e+05" in str(
        refusal.value
    )
    assert 'Use negatives="n"' in str(refusal.value)
    assert symile_loss(embeddings, 1.0, negatives="exact", max_flops=flops(10, 8, 4)).isfinite()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": random_embeddings(1, 4, 3)}, "two modalities or more; got 1"),
        ({"embeddings": [torch.ones(4, 3), torch.ones(4, 2)]}, r"one shape; got \(4, 3\), \(4, 2\)"),
        ({"embeddings": [torch.ones(4, 3, dtype=torch.int64)] * 2}, "floating point; got torch.int64"),
        ({"embeddings": [torch.ones(0, 3)] * 2}, "no rows"),
        ({"embeddings": []}, "two modalities or more; got 0"),
        ({"embeddings": [torch.ones(())] * 3}, r"\(rows, width\) tensors of one shape; got \(\), \(\), \(\)"),
        ({"logit_scale": torch.ones(2)}, r"one number; got shape \(2,\)"),
        ({"negatives": "all"}, "negatives is unknown; got 'all'. Choose among n, exact"),
        ({"mip_scale": "big"}, "mip_scale is unknown; got 'big'. Choose among none, aligned, unit"),
        ({"groups": [None]}, "each of the 3 modalities; got 1"),
        ({"groups": [None, None, torch.zeros(4)]}, r"int64 tensor of 4 rows; got torch.float32, shape \(4,\)"),
        ({"groups": [None, None, torch.zeros(3, dtype=torch.int64)]}, r"4 rows; got torch.int64, shape \(3,\)"),
        ({"tile_rows": 0}, "tile_rows is at least 1; got 0"),
        ({"cache_bytes": -1}, "cache_bytes is at least 0; got -1"),
        ({"shuffles": 0}, "shuffles is at least 1; got 0"),
    ],
)
def test_arguments_that_do_not_fit_are_named(change, message):
    arguments = {"embeddings": random_embeddings(3, 4, 3), "logit_scale": 1.0, "negatives": "exact", **change}
    with pytest.raises(UsageError, match=message):
        symile_loss(**arguments)
