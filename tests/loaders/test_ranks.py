"""Real processes with gloo: uneven shards, fewer shards than ranks, killed and continued by another number of ranks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_datasets import write_vectors

WORKER = Path(__file__).with_name("rank_worker.py")


# 53 rows; three shards have 17 and 18. A run is (ranks, rows of each rank's batch, batches before the kill).
@pytest.mark.parametrize(("shards", "runs"), [(1, [(2, 4, 2), (3, 3, 0)]), (3, [(2, 3, 3), (1, 5, 2), (4, 2, 0)])])
def test_killed_runs_are_continued_by_other_ranks_with_no_row_lost_or_repeated(tmp_path, shards, runs):
    location = write_vectors(tmp_path / "data", 53, group=4, shards=shards)
    command = [sys.executable, str(WORKER), str(location), json.dumps(runs)]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, timeout=280)
    results = json.loads(done.stdout)
    for (ranks, _, stop), result in zip(runs, results, strict=True):
        assert result["codes"] == [-9 if stop else 0] * ranks
        assert {len(batches) for batches in result["seen"]} == {stop or len(result["seen"][0])}
    seen = [row for result in results for batches in result["seen"] for batch in batches for row in batch]
    assert sorted(seen) == list(range(53))
