"""Apply small changes to a copy of the code, one at a time, and report which of them no test notices.

The table `mutants.toml` lists the changes. Each entry has the file (`path`), the text that is replaced (`old`), the
text that replaces it (`new`), the tests that should fail then (`tests`: files, or file::test) and a `reason`: what
would go wrong unnoticed. A change is killed when one of its tests fails, and survives when all of them pass.

    python benchmarks/mutants.py                    # all of them
    python benchmarks/mutants.py --only shuffle     # entries whose path, tests or reason contain this text
    python benchmarks/mutants.py --jobs 2

The checkout itself is never changed. The tests run first without any change, since a test that fails anyway proves
nothing. The exit code is 1 where 10 % of the changes or more survive, and 2 where the trial is not possible.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue

REPOSITORY = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_suffix(".toml")
MOST_SURVIVORS = 0.1  # share of the changes from which on the trial fails
MOST_SECONDS = 600  # for the tests of one change; a change that makes them run longer is noticed

_PASSED, _NO_SUCH_TEST, _NO_TESTS = 0, 4, 5  # of pytest's exit codes
# Importing these takes most of the time of a small test file, and no change concerns them.
_PRELOADED = ("datasets", "lightning", "matplotlib.pyplot", "polars", "pyarrow.parquet", "scipy.stats", "torch")


class TrialError(Exception):
    """The trial is not possible; the message says why in one sentence."""


@dataclass(frozen=True)
class Mutant:
    """One small change.

    Args:
        path: File relative to the repository.
        old: Text that occurs exactly once in the file.
        new: Text that takes its place.
        tests: Test files or file::test, relative to the repository, that should fail.
        reason: What would go wrong unnoticed.
    """

    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    reason: str

    def applied(self, root: Path) -> str:
        """Return the changed text of the file below `root`.

        Raises:
            TrialError: the file is missing, or does not hold the old text exactly once.
        """
        file = root / self.path
        if not file.is_file():
            raise TrialError(f"{self.path} does not exist, but an entry of the table changes it ({self.reason}).")
        text = file.read_text(encoding="utf-8")
        found = text.count(self.old)
        if found != 1:
            raise TrialError(
                f"{self.path} holds the old text of an entry {found} times instead of once ({self.reason}): "
                f"{self.old!r}."
            )
        if self.new == self.old:
            raise TrialError(f"an entry for {self.path} changes nothing ({self.reason}).")
        return text.replace(self.old, self.new)


# Runs tests in a copy of the repository; True where all pass.
RunTests = Callable[[Path, Sequence[str]], bool]


def read_table(path: Path = TABLE) -> list[Mutant]:
    """Read the table of changes.

    Raises:
        TrialError: an entry lacks a field or has an unknown one.
    """
    with path.open("rb") as file:
        entries = tomllib.load(file)["mutant"]
    try:
        return [Mutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]
    except (KeyError, TypeError) as error:
        raise TrialError(f"an entry of {path.name} has other fields than it should ({error}).") from None


def run_pytest(copy: Path, tests: Sequence[str], *, bytecode: bool = False) -> bool:
    """Run tests in a copy of the repository, in a process that has imported the large libraries already.

    Args:
        copy: The copy.
        tests: Test files or file::test.
        bytecode: Keep compiled modules for later runs; those of a changed file must not outlive the change.

    Returns:
        Whether all pass. Tests that cannot be imported or take too long do not.

    Raises:
        TrialError: pytest finds no such tests.
    """
    log = _log_of(copy)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    process = context.Process(target=_in_copy, args=(copy, log, tuple(tests), bytecode))
    process.start()
    process.join(MOST_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        return False
    if process.exitcode in (_NO_SUCH_TEST, _NO_TESTS):
        raise TrialError(f"pytest cannot run {' '.join(tests)}:\n{log.read_text(encoding='utf-8')[-2000:]}")
    return process.exitcode == _PASSED


def _log_of(copy: Path) -> Path:
    """Return the file that holds what the latest tests of a copy said."""
    return copy.with_name(f"{copy.name}.log")


def _in_copy(copy: Path, log: Path, tests: Sequence[str], bytecode: bool) -> None:
    """Become a run of pytest in the copy: the code of the copy is imported, here and in processes that tests start."""
    os.chdir(copy)
    sys.path[:] = [str(copy), *(folder for folder in sys.path if folder not in ("", str(Path(__file__).parent)))]
    os.environ["PYTHONPATH"] = str(copy)
    if not bytecode:
        sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    with log.open("wb") as output:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output.fileno(), stream.fileno())
    import pytest

    arguments = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    sys.exit(int(pytest.main(arguments, plugins=[_NoShrinking()])))


class _NoShrinking:
    """A plugin of pytest: hypothesis does not spend minutes on making a failing example small."""

    @staticmethod
    def pytest_configure() -> None:
        from hypothesis import Phase, settings

        settings.register_profile("mutants", settings.default, phases=(Phase.explicit, Phase.generate))
        settings.load_profile("mutants")


def copied(source: Path, target: Path) -> Path:
    """Copy a working tree, without what git ignores.

    Raises:
        TrialError: the folder is no working tree of git.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise TrialError(f"{source} is no working tree of git, so its files cannot be listed.")
    for name in filter(None, listed.stdout.split("\0")):
        if (source / name).is_symlink() or (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name, follow_symlinks=False)
    return target


def check_without_changes(mutants: Sequence[Mutant], copy: Path, run: RunTests) -> None:
    """Run the tests of all changes on the unchanged code, file by file: a test that fails anyway notices nothing.

    Raises:
        TrialError: a test fails or takes too long.
    """
    by_file: dict[str, list[str]] = {}
    for test in sorted({test for mutant in mutants for test in mutant.tests}):
        by_file.setdefault(test.partition("::")[0], []).append(test)
    for number, (file, tests) in enumerate(by_file.items(), start=1):
        print(f"unchanged {number}/{len(by_file)}: {file}", flush=True)
        if not run(copy, tests):
            log = _log_of(copy)
            said = log.read_text(encoding="utf-8")[-2000:] if log.is_file() else ""
            raise TrialError(f"not all of these tests pass on the unchanged code: {' '.join(tests)}\n{said}")


def is_killed(mutant: Mutant, copy: Path, run: RunTests) -> bool:
    """Apply a change to a copy, run its tests, and undo the change."""
    file = copy / mutant.path
    whole, times = file.read_bytes(), file.stat()
    changed = mutant.applied(copy)
    try:
        file.write_text(changed, encoding="utf-8")
        return not run(copy, mutant.tests)
    finally:
        file.write_bytes(whole)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # by which its bytecode is known


def trial(mutants: Sequence[Mutant], places: Sequence[Path], run: RunTests) -> list[bool]:
    """Try every change, several at a time, each in a copy of its own; returns for each whether it was killed."""
    free: SimpleQueue[Path] = SimpleQueue()
    for place in places:
        free.put(place)

    def attempt(mutant: Mutant) -> tuple[bool, float]:
        place, began = free.get(), time.monotonic()
        try:
            return is_killed(mutant, place, run), time.monotonic() - began
        finally:
            free.put(place)

    killed = [False] * len(mutants)
    with ThreadPoolExecutor(len(places)) as pool:
        waiting = {pool.submit(attempt, mutant): number for number, mutant in enumerate(mutants)}
        for done, future in enumerate(as_completed(waiting), start=1):
            number = waiting[future]
            killed[number], seconds = future.result()
            verdict = "killed" if killed[number] else "SURVIVED"
            line = f"{done}/{len(mutants)} {verdict:8} {seconds:5.1f} s  {mutants[number].path}"
            print(f"{line}: {mutants[number].reason}", flush=True)
    return killed


def report(mutants: Sequence[Mutant], killed: Sequence[bool]) -> int:
    """Print the survivors and the rate; returns the exit code."""
    survivors = [mutant for mutant, dead in zip(mutants, killed, strict=True) if not dead]
    for mutant in survivors:
        print(
            f"\n{mutant.path}: {mutant.reason}\n- {mutant.old}\n+ {mutant.new}\nunnoticed by {' '.join(mutant.tests)}"
        )
    rate = len(survivors) / len(mutants)
    print(f"\n{len(mutants) - len(survivors)} of {len(mutants)} changes killed, {len(survivors)} survived ({rate:.1%})")
    return 1 if rate >= MOST_SURVIVORS else 0


def chosen(mutants: Sequence[Mutant], pattern: str) -> list[Mutant]:
    """Select the entries whose path, tests or reason contain a text.

    Raises:
        TrialError: there are none.
    """
    found = [m for m in mutants if any(pattern in text for text in (m.path, m.reason, *m.tests))]
    if not found:
        raise TrialError(f"no entry of the table contains {pattern!r} in its path, tests or reason.")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trial; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", metavar="PATTERN", help="entries whose path, tests or reason contain it")
    parser.add_argument("--jobs", type=int, default=1, help="changes that are tried at a time, each in its own copy")
    options = parser.parse_args(arguments)
    try:
        mutants = chosen(read_table(), options.only)
        for mutant in mutants:
            mutant.applied(REPOSITORY)  # refuses a table that the code has outgrown before anything runs
        jobs = min(max(options.jobs, 1), len(mutants))
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            first = copied(REPOSITORY, Path(folder) / "0")
            check_without_changes(mutants, first, partial(run_pytest, bytecode=True))
            others = [shutil.copytree(first, Path(folder) / str(n), symlinks=True) for n in range(1, jobs)]
            return report(mutants, trial(mutants, [first, *others], run_pytest))
    except TrialError as error:
        print(f"mutants.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
