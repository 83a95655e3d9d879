"""Which loss suits my data? Write rows of your own, train several objectives on them alike, and compare their accuracy.

Two dials and a meter: the meter shows the sum of both dials, so neither dial alone tells anything of it. Put your own
rows in the place of `rows`. Run it: python examples/compare_objectives.py symile,clip,gram
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Features, List, Value

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.cards import write_card
from symile_data.training.config import TrainConfig
from symile_data.workflows.evaluate import Experiment, run_experiment
from symile_data.workflows.training_data import TrainingData

PLACES = 8  # of each dial
SCHEMA = own_schema(
    Features(
        {
            "left": List(Value("float32"), length=PLACES),
            "right": List(Value("float32"), length=PLACES),
            "meter": List(Value("float32"), length=PLACES),
            "sum": Value("int64"),
        }
    ),
    modalities={"left": "vector", "right": "vector", "meter": "vector"},
)


def rows(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Rows one by one: noisy readings of both dials and of the meter."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        left, right = rng.integers(PLACES, size=2)
        total = int(left + right) % PLACES
        seen = {"left": left, "right": right, "meter": total}
        yield {**{name: np.eye(PLACES)[at] + rng.normal(0, 0.1, PLACES) for name, at in seen.items()}, "sum": total}


def main(
    objectives: str = "symile,clip,gram", out: str = "build/compare-objectives", seeds: int = 3, epochs: int = 30,
    count: int = 2_000,
) -> dict[str, float]:  # fmt: skip
    """Write the data, train each objective with some seeds, and return the mean test accuracy of each."""
    data = Path(out) / "data"
    sizes = {"train": count, "validation": count // 8, "test": count // 4}
    write_dataset(
        data,
        name="dials",
        schema=SCHEMA,
        splits={split: rows(size, seed) for seed, (split, size) in enumerate(sizes.items())},
        spec={"version": 1, "rows": sizes},
        write_card=write_card,
    )
    shared: dict[str, Any] = {"batch_size": 250, "dim": 64, "lr": 0.01, "schedule": "cosine", "weight_decay": 0.1}
    configs = {
        name: TrainConfig(
            objective=name, epochs=epochs, target="meter", label="sum", logit_scale_init=-2.0, val_every=10, **shared
        )
        for name in objectives.split(",")
    }
    results = run_experiment(Experiment(configs=configs, seeds=seeds), TrainingData(data), Path(out) / "runs")
    compared = results["comparison"]["figures"]["accuracy"]
    first = next(iter(configs))
    print(f"| objective | test accuracy, mean of {seeds} seeds | paired test against {first} |\n|---|---|---|")
    for name in configs:
        test = compared.get("differences", {}).get(name)
        told = "" if test is None or test["p_holm"] is None else f"p = {test['p_holm']:.2g}"
        print(f"| {name} | {compared[name]['mean']:.3f} | {told} |")
    print(f"a random candidate is right once in {PLACES}; curves and tables are in {Path(out) / 'runs'}")
    return {name: float(compared[name]["mean"]) for name in configs}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "symile,clip,gram")
