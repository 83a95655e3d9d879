"""Draw docs/images/symile-m3-10.png, the first picture of README.md: `python .ci/first_picture.py build/symile-m3-10`.

It shows the first row of samples of the card of that build, which is the default one of `make build-m3 LANGS=10`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from symile_data.cards import schema_of
from symile_data.cards.figures.contact_sheet import COLUMNS, draw_contact_sheet
from symile_data.cards.samples import choose_samples
from symile_data.format.manifest import read

# Shades of each colour that are kept: what nobody sees takes a fifth of the space.
SHADES = 128
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "symile-m3-10.png"


def main(directory: Path) -> None:
    """Draw the samples, without transparency and with half of all shades."""
    manifest = read(directory)
    draw_contact_sheet(PICTURE, choose_samples(directory, manifest, schema_of(directory, manifest))[:COLUMNS])
    with Image.open(PICTURE) as whole:
        opaque = whole.convert("RGB")
    last = SHADES - 1
    nearest = [round(round(value * last / 255) * 255 / last) for value in range(256)]
    opaque.point(nearest * 3).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
