"""Open Parquet files whose footers were overwritten at random, and print how it went, one answer a line.

Run as a script by `test_parquet_footer`: pyarrow ends the process where a getter of a damaged footer throws.

    python fuzz_footers.py SHARD EXAMPLES
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec

from symile_data.errors import SymileDataError
from symile_data.format.location import Location
from symile_data.format.shards import open_shard


def damaged(whole: bytes, count: int) -> Iterator[bytes]:
    """Copies with one to three bytes of the column chunks' description changed, nothing of the schema's text."""
    randomness = random.Random(0)
    start = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    stop = whole.rindex(b"huggingface")
    for _ in range(count):
        changed = bytearray(whole)
        for _ in range(randomness.choice([1, 1, 1, 2, 3])):
            at = randomness.randrange(start, stop)
            flipped = changed[at] ^ 1 << randomness.randrange(8)
            changed[at] = randomness.choice([0, 255, randomness.randrange(256), flipped])
        yield bytes(changed)


def answer(name: str, data: bytes) -> str:
    """What reading the file here and from elsewhere came to."""
    system = fsspec.filesystem("memory")
    system.pipe_file(f"/{name}", data)
    try:
        shard = open_shard(Location.of("memory://"), name)
        shard.column_bytes()
        for group in range(len(shard.group_rows)):
            shard.read(group, shard.schema.names[:2])
    except SymileDataError as error:
        return str(error)
    return "read"


def main() -> None:
    """Print an answer for each damaged file."""
    path, count = Path(sys.argv[1]), int(sys.argv[2])
    for data in damaged(path.read_bytes(), count):
        sys.stdout.write(f"{answer(path.name, data)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
