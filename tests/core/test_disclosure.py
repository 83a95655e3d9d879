"""What a manifest of patients' data tells of its selection and of what was left out."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from symile_data.datasets.confidential import disclosed
from symile_data.format.disclosure import LEAST, withheld, withheld_steps
from symile_data.format.manifest import BuildFingerprint, Dropped, FlowStep, Manifest, parse

SMALL = range(1, LEAST)


def manifest(counts: list[int], dropped: dict[str, int], kind: str = "mimic") -> Manifest:
    identity = BuildFingerprint(dataset="symile-mimic", spec={}, sources={"records": {"kind": kind}}, versions={})
    return Manifest(
        identity=identity,
        modalities=(),
        splits={"train": counts[-1]},
        cohort_flow=[FlowStep(rule=str(place), count=count) for place, count in enumerate(counts)],
        dropped=[Dropped(reason=reason, count=count, examples=["p10/s5"]) for reason, count in dropped.items()],
    )


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.integers(0, 400))
def test_no_step_of_a_selection_loses_a_few(losses: list[int], left: int) -> None:
    counts = [left + sum(losses[place:]) for place in range(len(losses))] + [left]
    hidden = withheld_steps(counts, left)
    published = [count for place, count in enumerate(counts) if place not in hidden]
    assert not any(count in SMALL for count in published)
    assert not any(abs(one - other) in SMALL for one, other in combinations([*published, left], 2))


@given(st.dictionaries(st.integers(), st.integers(0, 40), max_size=6), st.integers(0, 30), st.booleans())
def test_what_is_withheld_is_enough_or_everything(counts: dict[int, int], unpublished: int, shared: bool) -> None:
    hidden = withheld(counts, unpublished=unpublished, shared=shared)
    assert all(key in hidden for key, count in counts.items() if count in SMALL)
    rest = sum(counts[key] for key in hidden) + unpublished
    if shared or rest:
        several = len(hidden) + (unpublished > 0) + shared > 1
        everything = all(key in hidden or not count for key, count in counts.items())
        assert everything or (rest >= LEAST and (several or not hidden))


def test_a_large_selection_is_told() -> None:
    whole = manifest([1000, 900, 500], {"X-ray: no file": 100, "X-ray: not readable": 40})
    shown = disclosed(whole)
    assert shown.cohort_flow == whole.cohort_flow
    assert [entry.count for entry in shown.dropped] == [100, 40]
    assert all(entry.examples == [] for entry in shown.dropped)


def test_a_small_loss_takes_all_of_its_kind_with_it() -> None:
    shown = disclosed(manifest([1000, 500], {"X-ray: no file": 97, "X-ray: dark": 3, "electrocardiogram: flat": 12}))
    assert [entry.count for entry in shown.dropped] == [None, None, 12]


def test_a_withheld_step_withholds_all_losses() -> None:
    shown = disclosed(manifest([1000, 997, 500], {"X-ray: no file": 497}))
    assert [step.count for step in shown.cohort_flow] == [1000, None, 500]
    assert [entry.count for entry in shown.dropped] == [None]


def test_withheld_counts_are_written_and_read_and_stay_withheld() -> None:
    import json

    shown = disclosed(manifest([1000, 997, 500], {"X-ray: no file": 4}))
    again = parse(json.dumps(shown.to_json()), "manifest.json")
    assert again == shown == disclosed(again)


def test_invented_records_are_told_in_full() -> None:
    whole = manifest([30, 28, 20], {"X-ray: dark": 2}, kind="sample")
    assert disclosed(whole) is whole


def test_no_more_is_withheld_than_must_be() -> None:
    assert withheld({"a": 3, "b": 50}, unpublished=20) == {"a"}
    assert withheld({"a": 3, "b": 50, "c": 90}) == {"a", "b"}
    assert withheld({"a": 3, "b": 50, "c": 90}, least=60) == {"a", "b", "c"}
    assert withheld({"a": 50}, unpublished=20) == withheld({"a": 50, "b": 0}) == frozenset()
    assert withheld({"a": 50}, unpublished=20, shared=True) == frozenset()
    assert withheld({"a": 50}, shared=True) == {"a"}
