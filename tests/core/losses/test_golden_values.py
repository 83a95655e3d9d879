"""Values that were computed apart from this code, in 50 digits or by the authors' own, to the digits printed."""

from collections.abc import Callable

import pytest
import torch
from golden_inputs import (
    SCALE,
    WIDTH,
    cell_mask,
    confu,
    cyclic_candidates,
    gated,
    raw_embeddings,
    sigmoid_mip,
    tail_mask,
    unit,
)
from torch import Tensor

from symile_data.losses import (
    AnchorLoss,
    ClipLoss,
    GramLoss,
    MaskedGramLoss,
    NeutralSymileLoss,
    Objective,
    PmrlLoss,
    SimplexLoss,
    SubsetSymileLoss,
    SymileLoss,
    SymilePairLoss,
    TriangleLoss,
)

Make = Callable[[int], Objective]
Mask = Callable[[int], Tensor]

# Per objective: how it is made for M modalities, its mask, and loss and dL/dX_0[1, 2] for M = 3 and M = 4.
GOLDEN: dict[str, tuple[Make, Mask | None, tuple[float, float], tuple[float, float] | None]] = {
    "clip": (
        lambda _: ClipLoss(), None,
        (6.159749296618, -0.5210261994203), (15.62657302091, -1.195749347176),
    ),
    "anchor": (
        lambda _: AnchorLoss(), None,
        (5.153960627366, -0.5210261994203), (8.419138272739, -1.195749347176),
    ),
    "symile, exact": (
        lambda _: SymileLoss("exact"), None,
        (2.628714649533, -0.07959566115625), (4.314839222588, 0.02883292078436),
    ),
    "symile, n": (
        lambda _: SymileLoss("n"), None,
        (1.310508514273, -0.04217782557445), (1.359280160292, 0.01899212648545),
    ),
    "symile pair": (
        lambda _: SymilePairLoss(), None,
        (1.205700593793, -0.06047899684574), (1.47185664768, 0.05265821823894),
    ),
    "symile pair, both": (
        lambda _: SymilePairLoss(both=True), None,
        (1.015420575195, -0.03831974144177), (1.469494346816, 0.05261295433697),
    ),
    "sigmoid mip": (
        sigmoid_mip, None,
        (2.028058793269, -0.09062524613999), (2.311327662214, 0.0528312050984),
    ),
    "gram": (
        lambda _: GramLoss(epsilon=0.0), None,
        (2.857790632855, 0.4468817440236), (3.351939603441, 0.2691138011117),
    ),
    "gram, one anchor": (
        lambda _: GramLoss(epsilon=0.0, anchor=0, smoothing=0.1), None,
        (3.034177223298, 0.5398708605968), (2.719750774175, 0.3751514152221),
    ),
    "simplex": (
        lambda _: SimplexLoss(), None,
        (1.738508873623, -0.04667644228474), (3.479250443562, -0.2384148593272),
    ),
    "simplex, one anchor": (
        lambda _: SimplexLoss(anchor=0, smoothing=0.1), None,
        (2.118430153813, 0.04820875173567), (2.721889684229, -0.1998499538814),
    ),
    "triangle": (lambda _: TriangleLoss(), None, (1.738508873623, -0.04667644228474), None),
    "pmrl": (
        lambda _: PmrlLoss(tau1=0.1), None,
        (0.06017623926957, -0.008484398450145), (0.2096361756157, -0.02830576123014),
    ),
    "confu": (
        confu, None,
        (0.9714603216924, -0.04138706368688), (1.053670816781, -0.06764035418966),
    ),
    "gated": (
        gated, None,
        (1.056733015518, -0.03370555717041), (1.661937251864, 0.07822810155426),
    ),
    "gram masked": (
        lambda _: MaskedGramLoss(epsilon=0.0, by_pattern=False), cell_mask,
        (2.175347761098, -0.0613776551655), (2.88944898503, 0.00135302424618),
    ),
    "symile neutral": (
        lambda m: NeutralSymileLoss(m, WIDTH, negatives="exact").double(), cell_mask,
        (3.80421867953, -0.4119770196518), (6.328255900381, -0.2530132256166),
    ),
    "symile subset": (
        lambda _: SubsetSymileLoss(), tail_mask,
        (1.128778435588, -0.1632016054558), (2.719923460006, 0.3464222546589),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("modalities", [3, 4])
def test_losses_and_gradients(name: str, modalities: int, monkeypatch: pytest.MonkeyPatch) -> None:
    make, mask, *expected = GOLDEN[name]
    golden = expected[modalities - 3]
    if golden is None:
        pytest.skip("TRIANGLE is defined for three modalities")
    monkeypatch.setattr("symile_data.losses.kernels.sampled.draw_candidates", cyclic_candidates)
    rows = raw_embeddings(modalities)
    missing = {} if mask is None else {"missing": mask(modalities)}
    value = make(modalities)(unit(rows), 1.0 if name == "gated" else SCALE, **missing)
    value.backward()
    assert rows[0].grad is not None
    assert value.item() == pytest.approx(golden[0], rel=1e-11)
    # The volumes carry a jitter of 1e-13, the gradients were printed to 13 digits.
    assert rows[0].grad[1, 2].item() == pytest.approx(golden[1], rel=1e-10, abs=2e-13)


# Of candidate row 2 of modality 1 for the query in row 1, for M = 3 and M = 4.
SCORES: dict[str, tuple[Make, tuple[float, float]]] = {
    "clip": (lambda _: ClipLoss(), (0.373292903414, 0.468288899850)),
    "anchor": (lambda _: AnchorLoss(), (0.373292903414, 0.468288899850)),
    "symile": (lambda _: SymileLoss(), (0.099061669017, 0.003679053272)),
    "symile pair": (lambda _: SymilePairLoss(), (0.099061669017, 0.003679053272)),
    "sigmoid mip": (sigmoid_mip, (0.099061669017, 0.003679053272)),
    "symile subset": (lambda _: SubsetSymileLoss(), (0.099061669017, 0.003679053272)),
    "symile neutral": (lambda m: NeutralSymileLoss(m, WIDTH), (0.099061669017, 0.003679053272)),
    "gram": (lambda _: GramLoss(epsilon=0.0), (-0.941327175393, -0.919532326397)),
    "gram masked": (lambda _: MaskedGramLoss(epsilon=0.0), (-0.941327175393, -0.919532326397)),
    "simplex": (lambda _: SimplexLoss(), (-1.044789239914, -1.212230153808)),
    "pmrl": (lambda _: PmrlLoss(), (1.160559015622, 1.191168949698)),
    "confu": (confu, (0.802865521383, 0.799441768556)),
    "gated": (gated, (0.096112669081, 0.003951751407)),
}


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("modalities", [3, 4])
def test_scores(name: str, modalities: int) -> None:
    make, expected = SCORES[name]
    objective, embeddings = make(modalities), [row.detach() for row in unit(raw_embeddings(modalities))]
    queries = {m: embeddings[m][1:2] for m in range(modalities) if m != 1}
    candidate = embeddings[1][2:3]
    tuples = [candidate if m == 1 else queries[m] for m in range(modalities)]
    with torch.no_grad():
        found = [
            objective.scores(queries, candidate, 1).item(),
            objective.set_scores(queries, candidate[None], 1).item(),
            objective.tuple_score(tuples, 1).item(),
        ]
    assert found == pytest.approx([expected[modalities - 3]] * 3, abs=6e-13)
