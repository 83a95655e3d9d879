"""What leaves each family of objectives as it is, and what does not; whichever way it is computed."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_cases import CASES, unit_rows, value_and_gradients
from slow_losses import worst_error
from slow_objectives import slow_volumes, unit_diagonal_volume
from torch import Tensor
from torch.nn import functional as F

from symile_data.errors import UsageError
from symile_data.losses import (
    AnchorLoss,
    ClipLoss,
    GramLoss,
    MaskedGramLoss,
    Objective,
    PmrlLoss,
    SigmoidMipLoss,
    SimplexLoss,
    SubsetSymileLoss,
    SymileLoss,
    SymilePairLoss,
)

Rows = list[Tensor]
SCALE, MODALITIES, ROWS, WIDTH = 10.0, 3, 6, 7
seeds = st.integers(0, 10_000)
few = settings(max_examples=3)

FAMILIES: dict[str, Callable[[], Objective]] = {
    "clip": ClipLoss,
    "symile": partial(SymileLoss, "exact"),
    "pair": SymilePairLoss,
    "sigmoid": partial(SigmoidMipLoss, ROWS),
    "gram": GramLoss,
    "simplex": SimplexLoss,
    "pmrl": partial(PmrlLoss, tau1=0.1, tau2=0.1),
}


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed + 1)


def reordered_rows(embeddings: Rows, seed: int) -> Rows:
    order = torch.randperm(ROWS, generator=drawn(seed))
    return [embedding[order] for embedding in embeddings]


def reordered_modalities(embeddings: Rows, seed: int) -> Rows:
    return [embeddings[m] for m in torch.randperm(len(embeddings), generator=drawn(seed))]


def rotated(embeddings: Rows, seed: int) -> Rows:
    rotation = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=drawn(seed), dtype=torch.float64))[0]
    return [embedding @ rotation for embedding in embeddings]


def reordered_dimensions(embeddings: Rows, seed: int) -> Rows:
    order = torch.randperm(WIDTH, generator=drawn(seed))
    return [embedding[:, order] for embedding in embeddings]


def signs_of_rows(embeddings: Rows, seed: int) -> Rows:
    """One modality with a sign of its own in each row, of which some differ."""
    signs = torch.ones(ROWS, 1, dtype=torch.float64)
    signs[torch.randperm(ROWS, generator=drawn(seed))[:3]] = -1
    return [embeddings[0], embeddings[1] * signs, embeddings[2]]


def signs_of_two(embeddings: Rows, seed: int) -> Rows:
    return [-embeddings[0], embeddings[1], -embeddings[2]]


ALL = set(FAMILIES)
PRODUCTS = {"symile", "pair", "sigmoid"}
UNCHANGED: dict[Callable[[Rows, int], Rows], set[str]] = {
    reordered_rows: ALL,
    reordered_modalities: ALL,
    rotated: ALL - PRODUCTS,
    reordered_dimensions: ALL,
    signs_of_rows: {"gram", "pmrl"},
    signs_of_two: PRODUCTS | {"gram", "pmrl"},
}


@pytest.mark.parametrize("change", UNCHANGED, ids=lambda change: change.__name__)
@pytest.mark.parametrize("family", FAMILIES)
@given(seed=seeds)
@few
def test_symmetries(family: str, change: Callable[[Rows, int], Rows], seed: int) -> None:
    loss, embeddings = FAMILIES[family](), unit_rows(MODALITIES, ROWS, seed, WIDTH)
    before, after = (loss(rows, SCALE).item() for rows in (embeddings, change(embeddings, seed)))
    if family in UNCHANGED[change]:
        assert after == pytest.approx(before, rel=1e-9)
    else:
        assert abs(after - before) > 1e-3


@given(seed=seeds)
@few
def test_the_anchor_follows_its_modality(seed: int) -> None:
    first, second, third = unit_rows(3, ROWS, seed, WIDTH)
    for objective in (AnchorLoss, GramLoss, SimplexLoss):
        losses = [
            objective(anchor=anchor)(rows, SCALE).item()
            for anchor, rows in ((0, [first, second, third]), (2, [third, second, first]), (0, [third, second, first]))
        ]
        assert losses[1] == pytest.approx(losses[0], rel=1e-9)
        assert abs(losses[2] - losses[0]) > 1e-3


@given(seed=seeds)
@few
def test_two_modalities(seed: int) -> None:
    left, right = unit_rows(2, ROWS, seed, WIDTH)
    cosines = left @ right.t()
    labels = torch.arange(ROWS)

    def symmetric(logits: Tensor) -> float:
        return ((F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2).item()

    clip = symmetric(SCALE * cosines)
    same: list[Objective] = [
        ClipLoss(),
        AnchorLoss(),
        AnchorLoss(anchor=1),
        SymileLoss("exact"),
        SymileLoss("n"),
        SymilePairLoss(),
        SymilePairLoss(both=True),
        SimplexLoss(),
        SubsetSymileLoss(),
    ]
    for loss in same:
        assert loss([left, right], SCALE).item() == pytest.approx(clip, rel=1e-9)
    assert abs(SigmoidMipLoss(ROWS)([left, right], SCALE).item() - clip) > 1e-3
    volumes = symmetric(-SCALE * (1 - cosines**2).sqrt())
    assert GramLoss(epsilon=0.0)([left, right], SCALE).item() == pytest.approx(volumes, rel=1e-9)
    own = cosines.diagonal().abs()
    singular = torch.stack([(1 + own).sqrt(), (1 - own).sqrt()], dim=1)
    leading = F.normalize(left + cosines.diagonal().sign()[:, None] * right, dim=1)
    expected = F.cross_entropy(singular / 0.1, torch.zeros(ROWS, dtype=torch.long)) + F.cross_entropy(
        (leading @ leading.t()).abs() / 0.1, labels
    )
    assert FAMILIES["pmrl"]()([left, right], SCALE).item() == pytest.approx(expected.item(), rel=1e-9)


E10 = math.exp(-10)
ALIGNED = {
    "clip": 3 * math.log(1 + 5 * E10),
    "symile": math.log(1 + 35 * E10),
    "pair": math.log(1 + 5 * E10),
    "sigmoid": math.log(1 + 5 * E10) + 5 * math.log(1.2),
    "gram": math.log(6),
    "simplex": math.log(6),
    "pmrl": math.log(1 + 2 * math.exp(-10 * math.sqrt(3))) + math.log(1 + 5 * E10),
}
ORTHONORMAL = {
    "clip": 3 * math.log(6),
    "symile": 2 * math.log(6),
    "pair": math.log(6),
    "sigmoid": math.log(6) + 5 * math.log(1.2),
    "gram": math.log(6),
    "simplex": math.log(6),
    "pmrl": math.log(3) + math.log(1 + 5 * E10),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_aligned_and_orthonormal_rows(family: str) -> None:
    loss = FAMILIES[family]().double()
    if isinstance(loss, SigmoidMipLoss):
        loss.bias.data.fill_(-math.log(5))
    every = torch.eye(18, dtype=torch.float64)
    # Determinants carry a jitter, whose root shows beside the volumes' epsilon; singular values have a floor.
    near = {"gram": 1e-7, "pmrl": 1e-6}.get(family, 1e-9)
    assert loss([every[:6]] * 3, SCALE).item() == pytest.approx(ALIGNED[family], rel=near)
    assert loss([every[:6], every[6:12], every[12:]], SCALE).item() == pytest.approx(ORTHONORMAL[family], rel=near)


DEGENERATE: dict[str, Callable[[int], Rows]] = {
    "modalities equal": lambda m: [torch.eye(5)] * m,
    "all rows equal": lambda m: [torch.ones(5, 5)] * m,
    "two modalities equal": lambda m: [torch.eye(5).flip(0), *[torch.eye(5)] * (m - 1)],
    "rows orthonormal": lambda m: [torch.eye(5 * m)[5 * k : 5 * k + 5] for k in range(m)],
    "opposite rows": lambda m: [torch.eye(5) * (-1) ** k for k in range(m)],
}


@pytest.mark.parametrize("rows", DEGENERATE)
@pytest.mark.parametrize("name", [name for name in CASES if "," not in name and name not in ("confu", "gated")])
def test_gradients_are_finite_at_degenerate_rows(name: str, rows: str) -> None:
    case = CASES[name]
    modalities = case.modalities[-1]
    mask = case.mask(modalities, 5)
    missing = {} if mask is None or case.name == "symile-neutral" else {"missing": mask}
    loss = case.make(modalities, 5).float()
    raw = [row.clone().requires_grad_() for row in DEGENERATE[rows](modalities)]
    scale = torch.tensor(20.0, requires_grad=True)
    loss([F.normalize(row, dim=1) for row in raw], scale, **missing).backward()
    for leaf in [*raw, scale, *loss.parameters()]:
        assert leaf.grad is None or leaf.grad.isfinite().all()


@pytest.mark.parametrize("name", CASES)
def test_blocks_of_rows_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    modalities, rows = case.modalities[0] if len(case.modalities) == 1 else 3, 7
    mask = case.mask(modalities, rows)
    missing = {} if mask is None else {"missing": mask}
    loss, embeddings = case.make(modalities, rows), unit_rows(modalities, rows)

    def solved() -> list[Tensor]:
        return value_and_gradients(lambda e, s: loss(e, s, **missing), embeddings, case.scale, loss)

    whole = solved()
    monkeypatch.setattr("symile_data.losses.kernels.blocks._BLOCK_ELEMENTS", 3 * rows)
    assert worst_error(solved(), whole) < 1e-11


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("modalities", [3, 4])
def test_the_matrix_of_scores_holds_the_scores_of_its_tuples(
    name: str, modalities: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    if modalities not in case.modalities:
        pytest.skip(f"not tested for {modalities} modalities")
    monkeypatch.setattr("symile_data.losses.objectives.pmrl._CHUNK", 10)
    loss, rows = case.make(modalities, 5), unit_rows(modalities, 5)
    with torch.no_grad():
        for target in range(modalities):
            queries = {m: rows[m][:3] for m in range(modalities) if m != target}
            matrix = loss.scores(queries, rows[target], target)
            # Row c of a column's tuples is candidate c for one query.
            single = [
                loss.tuple_score([row if m == target else row[q].expand_as(row) for m, row in enumerate(rows)], target)
                for q in range(3)
            ]
            expected = torch.stack(single)
            torch.testing.assert_close(matrix, expected, rtol=1e-9, atol=1e-9)
            sets = rows[target][torch.tensor([[0, 2], [4, 1], [3, 3]])]
            of_sets = loss.set_scores(queries, sets, target)
            wanted = expected.gather(1, torch.tensor([[0, 2], [4, 1], [3, 3]]))
            torch.testing.assert_close(of_sets, wanted, rtol=1e-9, atol=1e-9)
            assert expected.std() > 1e-4


def test_the_scores_rank_by_what_the_loss_contrasts() -> None:
    """With one target as the only anchor, the loss of rows is the cross-entropy of the scores."""
    rows, labels = unit_rows(3, 5), torch.arange(5)
    for loss in (GramLoss(anchor=1), SimplexLoss(anchor=1)):
        scores = SCALE * loss.scores({0: rows[0], 2: rows[2]}, rows[1], 1)
        expected = (F.cross_entropy(scores, labels) + F.cross_entropy(scores.t(), labels)) / 2
        assert loss(rows, SCALE).item() == pytest.approx(expected.item(), rel=1e-9)


@given(seed=seeds)
@few
def test_unit_diagonal_and_full_volumes_agree_through_the_normalisation_only(seed: int) -> None:
    loss = GramLoss()
    raw = [3 * row for row in unit_rows(3, 5, seed)]

    def gradients(normalise: bool, volumes: Callable[[Rows, Tensor], Tensor]) -> Rows:
        def solve(embeddings: Rows, scale: Tensor) -> Tensor:
            return volumes([F.normalize(e, dim=1) for e in embeddings] if normalise else embeddings, scale)

        return value_and_gradients(solve, raw if normalise else [row / 3 for row in raw], SCALE, loss)

    def polynomial(embeddings: Rows, scale: Tensor) -> Tensor:
        return slow_volumes(unit_diagonal_volume)(loss, embeddings, scale, None)

    assert worst_error(gradients(True, loss), gradients(True, polynomial)) < 1e-9
    full, unit_diagonal = gradients(False, loss), gradients(False, polynomial)
    assert full[0].item() == pytest.approx(unit_diagonal[0].item(), rel=1e-9)
    assert worst_error(full, unit_diagonal) > 1e-2


def test_gates_without_strength_are_symile_pair_at_their_scale() -> None:
    # As volumes do, gates normalise what they are given, so gradients agree through the normalisation.
    for modalities in (2, 3, 4):
        gated, rows = CASES["gated"].make(modalities, 5), unit_rows(modalities, 5)
        gated.get_parameter("strength").data.fill_(-torch.inf)
        factor = rows[0].shape[1] ** ((modalities - 1) / 2)
        pair = SymilePairLoss()

        def through_lengths(loss: Objective, factor: float) -> Callable[[Rows, Tensor], Tensor]:
            return lambda raw, scale: loss([F.normalize(row, dim=1) for row in raw], scale * factor)

        found = value_and_gradients(through_lengths(gated, 1.0), rows, 0.8, gated)
        expected = value_and_gradients(through_lengths(pair, factor), rows, 0.8, pair)
        assert worst_error(found[: modalities + 2], expected) < 1e-11
        assert all((gradient == 0).all() for gradient in found[modalities + 2 :])


def test_masked_volumes_by_pattern_are_the_volumes_of_each_pattern() -> None:
    rows, missing = unit_rows(3, 6), torch.zeros(6, 3, dtype=torch.bool)
    missing[4:, 2] = True
    whole, pairs = [row[:4] for row in rows], [row[4:] for row in rows[:2]]
    terms = [(4 * GramLoss(anchor=m)(whole, SCALE) + 2 * GramLoss(anchor=m)(pairs, SCALE)) / 6 for m in (0, 1)]
    expected = torch.stack([*terms, GramLoss(anchor=2)(whole, SCALE)]).mean()
    torch.testing.assert_close(MaskedGramLoss()(rows, SCALE, missing=missing), expected, rtol=1e-10, atol=0)
    across = MaskedGramLoss(by_pattern=False)(rows, SCALE, missing=missing)
    assert (across - expected).abs() > 1e-2
    complete = torch.zeros(6, 3, dtype=torch.bool)
    for loss in (MaskedGramLoss(), MaskedGramLoss(by_pattern=False)):
        for mask in (complete, None):
            torch.testing.assert_close(loss(rows, SCALE, missing=mask), GramLoss()(rows, SCALE), rtol=1e-11, atol=0)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.missing])
def test_what_stands_in_for_a_missing_value_changes_nothing(name: str) -> None:
    case = CASES[name]
    rows, missing, loss = unit_rows(3, 9), case.mask(3, 9), case.make(3, 9)
    assert missing is not None and loss.takes_missing
    results = []
    for seed in (1, 2):
        others = unit_rows(3, 9, seed)
        filled = [torch.where(missing[:, m, None], others[m], rows[m]) for m in range(3)]
        results.append(value_and_gradients(lambda e, s: loss(e, s, missing=missing), filled, case.scale, loss))
    assert worst_error(results[0], results[1]) < 1e-12
    for m in range(3):
        assert (results[0][1 + m][missing[:, m]] == 0).all()


Settings = dict[str, Any]
REFUSED: dict[str, tuple[type[Objective], Settings]] = {
    "smoothing is at least 0 and below 1; got 1": (GramLoss, {"smoothing": 1.0}),
    "anchor is the index of a modality, from 0; got -1": (SimplexLoss, {"anchor": -1}),
    "epsilon is at least 0; got -1": (GramLoss, {"epsilon": -1.0}),
    "tau2 is above 0; got 0": (PmrlLoss, {"tau2": 0.0}),
    "least_rows is at least 2; got 1": (SubsetSymileLoss, {"least_rows": 1}),
    "weights is unknown; got 'row'": (SubsetSymileLoss, {"weights": "row"}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_settings_out_of_range_are_refused(message: str) -> None:
    objective, options = REFUSED[message]
    with pytest.raises(UsageError, match=message):
        objective(**options)
