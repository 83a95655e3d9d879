"""How many workers run where nobody says, on Linux and where the system keeps no list of usable cores (macOS)."""

from __future__ import annotations

import os

import pytest

from symile_data.cores import usable_cores, worker_count
from symile_data.errors import UsageError


def test_only_the_cores_that_this_process_may_use_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert (usable_cores(), worker_count(0), worker_count(2)) == (3, 3, 2)


@pytest.mark.parametrize("asked", [-1, 10_001, 10**20])
def test_an_absurd_number_of_workers_is_refused(asked: int) -> None:
    with pytest.raises(UsageError, match=f"`workers` is from 0, .* to 10,000; got {asked}"):
        worker_count(asked)
    assert worker_count(10_000) == 10_000


@pytest.mark.parametrize(("told", "cores"), [(8, 8), (None, 1)])
def test_without_a_list_all_cores_count(monkeypatch: pytest.MonkeyPatch, told: int | None, cores: int) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: told)
    assert (usable_cores(), worker_count(0)) == (cores, cores)
