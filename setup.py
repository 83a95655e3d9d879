"""Refuse to package a checkout that lost its links: without them most modules would be left out without a word.

`symile_data/builders`, `loaders` and `cards` are relative symbolic links to the folders beside `symile_data/`. A clone
with core.symlinks=false and an archive that cannot hold links turn them into small text files. Everything else is in
pyproject.toml.
"""

from pathlib import Path

from setuptools import setup

for name in ("builders", "loaders", "cards"):
    if not (Path(__file__).parent / "symile_data" / name).is_dir():
        raise SystemExit(
            f"symile_data/{name} is not a directory: this checkout lost its symbolic links. Clone it again on Linux, "
            "macOS or WSL with `git clone -c core.symlinks=true`, or install the wheel or the source distribution."
        )

setup()
