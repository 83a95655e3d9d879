"""What a build says when a target has more values than its test rows can show."""

from __future__ import annotations

from symile_data.datasets.pid.bayes import bayes_accuracy
from symile_data.datasets.pid.ceilings import retrieval_ceiling

from .draw import draw_rows
from .spec import PidSpec

_ROWS_PER_VALUE = 7  # with more, hardly a value is missing among the candidates: one in e^7
_MOST_ROWS = 5_000  # candidates of a ceiling; its cost grows with their square


def candidate_notes(spec: PidSpec) -> list[str]:
    """A sentence for each modality that has more values than a seventh of the test rows.

    Retrieval by its value among those rows exceeds the Bayes rate, since values that do not occur are no candidates.
    The sentence has the exact ceiling of this build's test rows for the reader of one other modality.
    """
    design, tested = spec.design, spec.rows.get("test", 0)
    crowded = [name for name in design.names if design.values_of(name) * _ROWS_PER_VALUE > tested]
    if not tested or not crowded:
        return []
    rows = draw_rows(spec, "test", 0, min(tested, _MOST_ROWS)).symbols
    among = "them" if tested <= _MOST_ROWS else f"the first {_MOST_ROWS:,} of them"
    notes = []
    for target in crowded:
        others = [name for name in design.names if name != target]
        ceilings = {name: retrieval_ceiling(design, rows, target, [name]) for name in others}
        best = max(others, key=lambda name: ceilings[name])
        rate = bayes_accuracy(design, target, [best])
        notes.append(
            f"{target} has {design.values_of(target):,} values, more than a seventh of the {tested:,} test rows: "
            f"retrieval of {target}_value from {best} alone can reach {ceilings[best]:.4f} among {among}, and its "
            f"Bayes accuracy is {rate:.4f}. Take more test rows, or judge by the label of one block."
        )
    return notes
