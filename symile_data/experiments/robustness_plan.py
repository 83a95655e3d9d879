"""The comparison of objectives on unreliable training rows: at which rates, and how long each trial trains.

`PRESETS` holds the full plan and a small one; `objective_plan` says what a plan is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from .objective_plan import (
    BATCHES,
    M3,
    M3_RECIPE,
    MISALIGNED,
    MISSING,
    NOISY,
    PID_RECIPE,
    VECTOR_ROWS,
    XOR_RECIPE,
    Plan,
    Point,
    m3_point,
    pid_point,
    splits,
)

NOISE_LEVEL = 0.25  # probability that a bit of a noisy vector is flipped


def unreliable_points(complete: Point, rates: Sequence[float]) -> Iterator[Point]:
    """Yield a point of complete data, and those at which its training rows are unreliable.

    Every modality is missing, or misaligned, at the rate; one reader of XOR and of PID data is noisy. With Symile-M3
    only the image is misaligned: with all three misaligned in half of the rows no more than an eighth is left.
    """
    yield complete
    for rate in rates:
        yield replace(complete, rate=rate, unreliable=MISSING)
    for rate in rates:
        affected = ("image",) if complete.dataset == M3 else ()
        yield replace(complete, rate=rate, unreliable=MISALIGNED, affected=affected)
    for rate in rates if complete.dataset != M3 else ():
        yield replace(complete, rate=rate, unreliable=NOISY, affected=("a",), level=NOISE_LEVEL)


def _points(rates: Sequence[float]) -> tuple[Point, ...]:
    complete = (Point(dataset="xor", modalities=3, dims=5), pid_point("mixed"), m3_point(5))
    return tuple(point for one in complete for point in unreliable_points(one, rates))


PRESETS: Mapping[str, Plan] = {
    "full": Plan(
        points=_points((0.25, 0.5, 0.75)),
        seeds=3,
        vector_rows=VECTOR_ROWS,
        m3_rows=splits(8_000, 1_000, 1_000),
        recipes={
            "xor": replace(XOR_RECIPE, lrs=(0.03, 0.1)),
            "pid": replace(PID_RECIPE, steps=300, tuning_steps=150),
            "m3": replace(M3_RECIPE, steps=600, tuning_steps=300, lrs=(0.01, 0.003), scales=(1.0,)),
        },
        batches=BATCHES,
        filled=None,
    ),
    "small": Plan(
        points=_points((0.5, 0.75)),
        seeds=2,
        vector_rows=VECTOR_ROWS,
        m3_rows=splits(4_000, 500, 1_000),
        recipes={
            "xor": replace(XOR_RECIPE, steps=200, tuning_steps=100, lrs=(0.03, 0.1), scales=(1.0,)),
            "pid": replace(PID_RECIPE, steps=200, tuning_steps=100, scales=(1.0,)),
            "m3": replace(M3_RECIPE, steps=250, tuning_steps=100, lrs=(0.01, 0.003), scales=(1.0,)),
        },
        batches=BATCHES,
        filled=None,
    ),
}
