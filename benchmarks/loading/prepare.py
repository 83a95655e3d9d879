"""Write the rows in the format of one peer, in its environment: python -m loading.prepare NAME FOLDER ROWS."""

from __future__ import annotations

import sys
from pathlib import Path

from .table import READERS


def main(name: str, folder: str, rows: str) -> None:
    """Write them anew."""
    prepare, to = READERS[name].prepare, Path(folder) / READERS[name].folder
    if prepare is not None:
        to.mkdir()
        prepare(Path(folder), to, int(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
