"""All exact numbers of a design in one JSON-like object, for cards and `stats.json`. Information is in nats."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import Any

from .bayes import accuracies, best_by_order
from .decomposition import bipartitions, decompose
from .design import Design
from .information import dual_total_correlation, entropy, interaction, mutual, o_information, total_correlation

_MOST_SETS = 6  # modalities up to which every set is listed; beyond, sets of one and of all but one or two
_DIGITS = 9


def terms_of(design: Design) -> dict[str, Any]:
    """Return the information terms, Bayes accuracies and decompositions of a design.

    Returns:
        "entropies" of each modality; "total_correlation", "dual_total_correlation", "o_information"; "pairs" with
        their mutual information ("nats") and the same given all the rest ("given_rest"); "conditional" for every pair
        and third modality, with the interaction information; "accuracies" by target, one entry for each set of readers;
        "best_by_order" by target and number of readers; "decompositions" for targets and groups of sources.
    """
    names = design.names
    small = len(names) <= _MOST_SETS
    orders = None if small else sorted({0, 1, len(names) - 2, len(names) - 1})
    found = {target: accuracies(design, target, orders) for target in names}
    return {
        "entropies": {name: _told(entropy(design, [name])) for name in names},
        "total_correlation": _told(total_correlation(design)),
        "dual_total_correlation": _told(dual_total_correlation(design)),
        "o_information": _told(o_information(design)),
        "pairs": [_pair(design, one, other) for one, other in itertools.combinations(names, 2)],
        "conditional": _conditional(design) if small else [],
        "accuracies": {
            target: [{"readers": list(readers), "accuracy": _told(value)} for readers, value in of_target.items()]
            for target, of_target in found.items()
        },
        "best_by_order": {
            target: {str(order): _told(value) for order, value in best_by_order(of_target).items()}
            for target, of_target in found.items()
        },
        "decompositions": _decompositions(design, small),
    }


def _pair(design: Design, one: str, other: str) -> dict[str, Any]:
    rest = [name for name in design.names if name not in (one, other)]
    told = {"nats": mutual(design, [one], [other]), "given_rest": mutual(design, [one], [other], rest)}
    return {"between": [one, other], **{name: _told(value) for name, value in told.items()}}


def _conditional(design: Design) -> list[dict[str, Any]]:
    return [
        {
            "between": [one, other],
            "given": third,
            "nats": _told(mutual(design, [one], [other], [third])),
            "interaction": _told(interaction(design, one, other, third)),
        }
        for one, other in itertools.combinations(design.names, 2)
        for third in design.names
        if third not in (one, other)
    ]


def _decompositions(design: Design, small: bool) -> list[dict[str, Any]]:
    """Every target with every division of the others; of many modalities, with each other one against the rest."""
    found = []
    for target in design.names if len(design.names) > 2 else ():
        others = [name for name in design.names if name != target]
        single = [((name,), tuple(other for other in others if other != name)) for name in others]
        for first, second in bipartitions(design, target) if small else single:
            parts = asdict(decompose(design, target, first, second))
            told = {name: _told(value) for name, value in parts.items()}
            found.append({"target": target, "first": list(first), "second": list(second), **told})
    return found


def _told(value: float) -> float:
    """Rounded, so that the last digits of another machine's logarithm do not change a file; and no minus zero."""
    return round(value, _DIGITS) + 0.0
