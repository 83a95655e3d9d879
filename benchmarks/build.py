"""Building Symile-M3: rows and megabytes a second of each stage, growth with the number of rows, and where time goes.

Run: python benchmarks/build.py [--images PATH] [--rows 2000] [--scale 1000,10000,100000] [--layout shards|pooled]

Three tables. Stages: wall time and speed with 1 and 2 workers, for the sample images and, with --images, for
photographs. Growth: wall time of the plan, of encoding the media and of writing the rows at several sizes. Share: CPU
time inside codecs (JPEG, FLAC, Parquet), drawing, speech synthesis and hashing, of a build in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from symile_data.builders.engine import stages as frame
from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.m3 import build, prepare_media
from symile_data.builders.m3 import deduplicated as pooled
from symile_data.builders.m3.spec import M3Spec
from symile_data.format.manifest import Manifest

LANGUAGES = ("ar", "el", "en", "hi", "ja", "ko", "te", "th", "uk", "zh-CN")

Times = dict[str, float]
MediaLayout = Literal["shards", "pooled"]


def spec(rows: int, images: Path | None, layout: MediaLayout) -> M3Spec:
    """A build of `rows` training rows, and a tenth as many in each other split."""
    split_rows = {"train": rows, "validation": max(rows // 10, 10), "test": max(rows // 10, 10)}
    policy: Literal["disjoint", "shared"] = (
        "disjoint" if images is None else "shared"
    )  # a folder of examples may have few images a class
    return M3Spec(languages=LANGUAGES, words=10, rows=split_rows, images=images, layout=layout, split_policy=policy)


@contextlib.contextmanager
def timed_stages(times: Times, clock: Callable[[], float]) -> Iterator[None]:
    """Note the time of every stage, by its title without the pool's name."""
    with contextlib.ExitStack() as stack:
        for module in (build, prepare_media, pooled, frame):
            original = module.run_stage

            def timed(build_dir: Any, title: str, *rest: Any, original: Any = original) -> Any:
                start = clock()
                try:
                    return original(build_dir, title, *rest)
                finally:
                    times[title.partition(" (")[0]] += clock() - start

            setattr(module, "run_stage", timed)  # noqa: B010
            stack.callback(setattr, module, "run_stage", original)
        original_used = build._used_media

        def used(*arguments: Any) -> Any:
            start = clock()
            try:
                return original_used(*arguments)
            finally:
                times["plan"] += clock() - start

        setattr(build, "_used_media", used)  # noqa: B010
        stack.callback(setattr, build, "_used_media", original_used)
        yield


@contextlib.contextmanager
def timed_calls(times: Times) -> Iterator[None]:
    """Note CPU seconds inside codecs, drawing, synthesis and hashing, each without the others that it calls (one
    process).
    """
    import PIL.Image
    import PIL.ImageFile
    import pyarrow.parquet
    import soundfile

    from symile_data import files
    from symile_data.builders.engine import executor as execution
    from symile_data.builders.m3.audio import spoken
    from symile_data.builders.m3.images import sample as sample_images
    from symile_data.format import manifest

    places = [
        (PIL.ImageFile.ImageFile, "load", "JPEG"),
        (PIL.Image.Image, "save", "JPEG"),
        (soundfile, "write", "FLAC"),
        (pyarrow.parquet.ParquetWriter, "write_batch", "Parquet"),
        (spoken, "synthesise", "synthesis"),
        (sample_images, "draw_image", "drawing"),
        (execution, "file_sha256", "hashing"),
        (manifest, "file_sha256", "hashing"),
        (files, "file_sha256", "hashing"),
    ]
    with contextlib.ExitStack() as stack:
        for owner, name, kind in places:
            original = getattr(owner, name)

            def timed(*arguments: Any, original: Any = original, kind: str = kind, **options: Any) -> Any:
                start, noted = time.process_time(), sum(times.values())
                try:
                    return original(*arguments, **options)
                finally:
                    times[kind] += time.process_time() - start - (sum(times.values()) - noted)

            setattr(owner, name, timed)
            stack.callback(setattr, owner, name, original)
        yield


def run(what: M3Spec, workers: int, clock: Callable[[], float] = time.perf_counter) -> tuple[Manifest, Times]:
    """Build in a temporary directory; times of the stages and of everything."""
    times: Times = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder, timed_stages(times, clock):
        start = clock()
        manifest = build.build_m3(what, Path(folder) / "m3", workers=workers, write_card=no_card)
        times["total"] = clock() - start
    return manifest, times


def stages(kinds: dict[str, Path | None], rows: int, layout: MediaLayout) -> Table:
    """Speed of each stage."""
    table = Table("images", "workers", "stage", "s", "rows/s", "MB/s", title=f"Stages, {layout}")
    for kind, images in kinds.items():
        for workers in (1, 2):
            manifest, times = run(spec(rows, images, layout), workers)
            count = sum(manifest.splits.values())
            size = sum(entry.bytes for entry in manifest.files)
            for stage, seconds in times.items():
                written = f"{size / 1e6 / seconds:,.1f}" if stage in ("shards", "total") else ""
                table.add_row(
                    kind, str(workers), stage, f"{seconds:.2f}", f"{count / max(seconds, 1e-9):,.0f}", written
                )
    return table


def growth(sizes: Sequence[int], layout: MediaLayout) -> Table:
    """Time against rows."""
    table = Table("rows", "plan s", "media s", "rows written s", "total s", "MB", title=f"Growth, {layout}, 2 workers")
    for rows in sizes:
        manifest, times = run(spec(rows, None, layout), 2)
        media = sum(times[name] for name in ("sample images", "images", "audio"))
        written = sum(times[name] for name in ("shards", "pairs", "media tables"))
        size = sum(entry.bytes for entry in manifest.files) / 1e6
        count = sum(manifest.splits.values())
        cells = (times["plan"], media, written, times["total"])
        table.add_row(f"{count:,}", *(f"{seconds:.2f}" for seconds in cells), f"{size:,.0f}")
    return table


def share(kinds: dict[str, Path | None], rows: int, layout: MediaLayout) -> Table:
    """Where the CPU time goes."""
    table = Table("images", "where", "CPU s", "%", title=f"Share of one process's CPU time, {layout}")
    for kind, images in kinds.items():
        inside: Times = defaultdict(float)
        with timed_calls(inside):
            _, times = run(spec(rows, images, layout), 1, time.process_time)
        total = times["total"]
        inside["everything else"] = total - sum(inside.values())
        for where, seconds in inside.items():
            table.add_row(kind, where, f"{seconds:.2f}", f"{100 * seconds / total:.1f}")
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--scale", default="1000,10000")
    parser.add_argument("--layout", choices=("shards", "pooled"), default="shards")
    arguments = parser.parse_args()
    kinds: dict[str, Path | None] = {"sample": None}
    if arguments.images is not None:
        kinds["photographs"] = arguments.images
    console = Console()
    console.print(stages(kinds, arguments.rows, arguments.layout))
    console.print(growth([int(size) for size in arguments.scale.split(",")], arguments.layout))
    console.print(share(kinds, arguments.rows, arguments.layout))


if __name__ == "__main__":
    main()
