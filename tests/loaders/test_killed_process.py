"""A loader that is killed with no chance to clean up leaves nothing on the machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_datasets import write_m3

PROGRAM = """
import sys
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, Resources, open_split
loader = BatchLoader(
    open_split(sys.argv[1], "train"), 4, resources=Resources(threads=3), cache=sys.argv[2] or False,
    transforms={"image": ImageSettings(size=8), "audio": AudioSettings(seconds=0.05)},
)
for batch in loader:
    print("running", flush=True)
    sys.stdin.read()
"""


def in_session(session):
    """Processes of a session, from /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == session:
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
@pytest.mark.parametrize("cache", [False, True])
def test_kill_9_leaves_no_process_shared_memory_or_file(tmp_path, cache):
    location, kept, scratch = write_m3(tmp_path / "data", 40), tmp_path / "kept", tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", PROGRAM, str(location), str(kept) if cache else ""]
    process = subprocess.Popen(
        command,
        env=os.environ | {"TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
        assert in_session(process.pid) == [process.pid]
        assert "/dev/shm" not in Path(f"/proc/{process.pid}/maps").read_text()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL and not in_session(process.pid)
    assert not list(scratch.iterdir())
    assert [path.name for path in kept.glob(".*")] == []
