"""The cohort flow: the rules of a selection in order, with the number of admissions that each leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from symile_data.errors import SourceError
from symile_data.format.disclosure import told
from symile_data.format.manifest import FlowStep


class CohortFlow:
    """The admissions that have passed all rules so far, in their original order.

    A step whose rule begins with "of which" counts some of the admissions that are left, and keeps all.

    Args:
        hadm_ids: All admissions, before any rule.

    >>> flow = CohortFlow([1, 2, 3])
    >>> flow.keep("with labs", {2, 3})
    >>> flow.hadm_ids, flow.steps[-1].count
    ([2, 3], 2)
    """

    def __init__(self, hadm_ids: Iterable[int]) -> None:
        self.hadm_ids = list(hadm_ids)
        self.steps = [FlowStep(rule="admissions", count=len(self.hadm_ids))]

    def keep(self, rule: str, having: Collection[int]) -> None:
        """Keep the admissions in `having`, and note how many are left."""
        self.hadm_ids = [hadm_id for hadm_id in self.hadm_ids if hadm_id in having]
        self.steps.append(FlowStep(rule=rule, count=len(self.hadm_ids)))

    def count(self, rule: str, having: Collection[int]) -> None:
        """Note how many admissions are in `having`, and keep all.

        >>> flow = CohortFlow([1, 2, 3])
        >>> flow.count("with labs", {2, 3})
        >>> flow.hadm_ids, flow.steps[-1].rule, flow.steps[-1].count
        ([1, 2, 3], 'of which with labs', 2)
        """
        number = sum(hadm_id in having for hadm_id in self.hadm_ids)
        self.steps.append(FlowStep(rule=f"of which {rule}", count=number))

    def require_any(self) -> None:
        """Refuse an empty selection.

        Raises:
            SourceError: no admission is left; the message shows every step.
        """
        if self.hadm_ids:
            return
        shown = "; ".join(f"{step.rule}: {told(step.count)}" for step in self.steps)
        raise SourceError(
            "no admission is left for the dataset",
            got=shown,
            do="check that the three folders are of the same patients, and whole",
        )
