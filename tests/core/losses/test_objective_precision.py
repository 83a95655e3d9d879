"""Objectives compute in float32 or better whatever surrounds them, and make no tensor of rows by rows by width."""

from typing import Any

import pytest
import torch
from objective_cases import CASES, unit_rows
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from symile_data.losses import BatchShape, all_objectives, make_objective


def low_and_same(name: str, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """Rows in half precision, and the same numbers in float32; both leaves."""
    modalities = CASES[name].modalities[0] if len(CASES[name].modalities) == 1 else 3
    low = [row.to(dtype).requires_grad_() for row in unit_rows(modalities, 9)]
    return low, [row.detach().float().requires_grad_() for row in low]


@pytest.mark.parametrize("name", CASES)
def test_under_autocast_a_loss_is_that_in_float32(name: str) -> None:
    case = CASES[name]
    low, same = low_and_same(name, torch.bfloat16)
    mask = case.mask(len(low), 9)
    missing = {} if mask is None else {"missing": mask}
    results = []
    for rows, autocast in ((low, True), (same, False)):
        loss, scale = case.make(len(low), 9).float(), torch.tensor(case.scale, requires_grad=True)
        for parameter in loss.parameters():
            parameter.data = parameter.data.bfloat16().float()  # stand-ins take the type of the rows
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            value = loss(rows, scale, **missing)
        value.backward()
        results.append((value, [row.grad for row in rows], scale.grad, [p.grad for p in loss.parameters()]))
    (value, gradients, by_scale, by_parameters), (expected, exact, exact_by_scale, exact_by_parameters) = results
    assert value.dtype == torch.float32 and torch.equal(value, expected)
    for ours, theirs in zip(gradients, exact, strict=True):
        assert ours is not None and theirs is not None
        assert ours.dtype == torch.bfloat16 and torch.equal(ours, theirs.to(torch.bfloat16))
    torch.testing.assert_close(by_scale, exact_by_scale)
    near = 1e-2 if case.name == "symile-neutral" else 1e-6
    torch.testing.assert_close(by_parameters, exact_by_parameters, rtol=near, atol=near)


@pytest.mark.parametrize("name", [name for name in CASES if "," not in name])
def test_under_autocast_scores_are_those_in_float32(name: str) -> None:
    rows, same = ([row.detach() for row in rows] for rows in low_and_same(name, torch.bfloat16))
    loss = CASES[name].make(len(rows), 9).float()
    found = []
    for own, autocast in ((rows, True), (same, False)):
        queries = {m: row for m, row in enumerate(own) if m != 1}
        sets = own[1].expand(9, 9, -1)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            found.append((loss.scores(queries, own[1], 1), loss.set_scores(queries, sets, 1)))
    for ours, expected in zip(*found, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in CASES if "," not in name])
def test_float32_is_near_float64(name: str) -> None:
    case = CASES[name]
    modalities = case.modalities[0] if len(case.modalities) == 1 else 3
    mask = case.mask(modalities, 9)
    missing = {} if mask is None else {"missing": mask}
    results = []
    for dtype in (torch.float32, torch.float64):
        rows = [row.to(dtype).requires_grad_() for row in unit_rows(modalities, 9)]
        value = case.make(modalities, 9).to(dtype)(rows, case.scale, **missing)
        value.backward()
        assert value.dtype == dtype
        results.append([value.detach(), *(row.grad for row in rows)])
    for low, high in zip(*results, strict=True):
        assert low is not None and high is not None
        torch.testing.assert_close(low.double(), high, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gram", "simplex"])
@pytest.mark.parametrize("modalities", [3, 4])
def test_gradients_keep_their_digits_where_modalities_nearly_align(name: str, modalities: int) -> None:
    """A polynomial of inner products would lose a tenth of them and more in float32."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(9, 32, generator=generator, dtype=torch.float64)
    noise = [torch.randn(9, 32, generator=generator, dtype=torch.float64) for _ in range(modalities)]
    nearly = [F.normalize(centre + 0.03 * one, dim=1).float() for one in noise]
    results = []
    for dtype in (torch.float32, torch.float64):
        rows = [row.detach().clone().to(dtype).requires_grad_() for row in nearly]
        make_objective(name, BatchShape(modalities=modalities, dim=32, rows=9))(rows, 14.3).backward()
        results.append([row.grad for row in rows])
    for low, high in zip(*results, strict=True):
        assert low is not None and high is not None
        assert (low - high).norm() < 1e-3 * high.norm()


class Largest(TorchDispatchMode):
    """Notes the largest number of elements of a tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            # Of a view the memory counts, of an expanded tensor what it stands on.
            if isinstance(leaf, Tensor):
                self.elements = max(self.elements, leaf.untyped_storage().nbytes() // leaf.element_size())
        return result


SMALL_NETWORKS = {"confu": {"hidden": 16}, "gated": {"width": 16}}


@pytest.mark.parametrize("name", [name for name in CASES if "," not in name and name != "symile-exact"])
def test_no_tensor_has_rows_by_rows_by_width(name: str) -> None:
    modalities, rows, width = 3, 64, 512
    shape = BatchShape(modalities=modalities, dim=width, rows=rows)
    loss = make_objective(name, shape, SMALL_NETWORKS.get(name))
    embeddings = [row.float().requires_grad_() for row in unit_rows(modalities, rows, width=width)]
    mask = torch.arange(rows)[:, None] % 7 == torch.arange(modalities)
    with Largest() as largest:
        loss(embeddings, 2.0, **({"missing": mask} if loss.takes_missing else {})).backward()
    assert rows * width <= largest.elements <= max(rows * rows * 8, modalities * rows * width)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", all_objectives())
def test_a_model_in_half_precision_has_a_loss_with_finite_gradients(name: str, precision: torch.dtype) -> None:
    torch.manual_seed(0)
    loss = make_objective(name, BatchShape(modalities=3, dim=8, rows=6)).to(precision)
    rows = [F.normalize(torch.randn(6, 8), dim=1) for _ in range(3)]
    short = [one.to(precision).requires_grad_() for one in rows]
    value = loss(short, 2.0)
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in short)
    full = make_objective(name, BatchShape(modalities=3, dim=8, rows=6))([one.detach().float() for one in short], 2.0)
    assert value.item() == pytest.approx(full.item(), rel=0.05)
