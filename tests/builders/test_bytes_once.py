"""Work that is done once: a build hashes each file once, and a verification reads each file once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from factories import ROWS, build, problems

from symile_data import files
from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.format import manifest as manifests
from symile_data.format.manifest import Manifest

LAYOUTS: dict[str, dict[str, Any]] = {
    "self-contained Parquet": {},
    "deduplicated Parquet": {"layout": "pooled"},
    "self-contained tar": {"shard_format": "webdataset"},
}
COUNTERS = Path("/proc/self/io")


@contextmanager
def opened(patch: pytest.MonkeyPatch) -> Iterator[Counter[Path]]:
    """Count how often `file_sha256` opens each file."""
    counts: Counter[Path] = Counter()
    original = files.open_regular

    def counted(path: Path) -> BinaryIO:
        counts[path] += 1
        return original(path)

    with patch.context() as scoped:
        scoped.setattr(files, "open_regular", counted)
        yield counts


def hashed(out: Path, manifest: Manifest, counts: Counter[Path]) -> dict[str, int]:
    return {entry.path: counts[out / entry.path] for entry in manifest.files}


@pytest.fixture(scope="module", params=LAYOUTS)
def built(
    request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, int]]:
    """A small Symile-M3, and how often the build hashed each of its files."""
    out = tmp_path_factory.mktemp("once") / "m3"
    with pytest.MonkeyPatch.context() as patch, opened(patch) as counts:
        manifest = build(tree, out, **LAYOUTS[request.param])
    return out, hashed(out, manifest, counts)


def test_a_build_hashes_each_file_once(built: tuple[Path, dict[str, int]]) -> None:
    _, counts = built
    assert len(counts) >= len(ROWS)
    assert set(counts.values()) == {1}


def test_the_manifest_has_the_hashes_and_sizes_of_the_files(built: tuple[Path, dict[str, int]]) -> None:
    out, _ = built
    for entry in manifests.read(out).files:
        assert entry.sha256 == files.file_sha256(out / entry.path)
        assert entry.bytes == (out / entry.path).stat().st_size


@pytest.mark.parametrize("format_", ["parquet", "webdataset"])
def test_a_build_that_goes_on_hashes_what_is_there_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    """The bytes of an earlier run must be looked at again, and once is enough."""
    spec = XorSpec(rows={"train": 30, "validation": 6, "test": 6}, shard_format=format_)

    def stop(*_: Any) -> list[Path]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_xor(spec, tmp_path, workers=1, write_card=stop)
    with opened(monkeypatch) as counts:
        manifest = build_xor(spec, tmp_path, workers=1, write_card=no_card)
    assert set(hashed(tmp_path, manifest, counts).values()) == {1}


@pytest.mark.skipif(not COUNTERS.is_file(), reason="only Linux counts the bytes that a process reads")
@pytest.mark.parametrize("deep", [False, True])
def test_a_verification_reads_each_file_once(built: tuple[Path, dict[str, int]], deep: bool) -> None:
    out, _ = built
    first = problems(out, deep=deep)  # modules and tables of the package are read here for the first time
    before = bytes_read()
    assert problems(out, deep=deep) == first
    read = bytes_read() - before
    manifest = manifests.read(out)
    listed = sum(entry.bytes for entry in manifest.files)
    beside = 3 * (out / manifests.FILE_NAME).stat().st_size + 4096  # the manifest is small, and the counters are a file
    assert beside < listed
    assert listed <= read <= listed + beside


def bytes_read() -> int:
    """The bytes that all threads of this process have read, by any system call."""
    return int(COUNTERS.read_text().split("rchar:")[1].split()[0])
