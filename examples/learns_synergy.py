"""Does my loss learn synergy? Train it where a rule always holds, and probe rows in which the rule holds in half.

Only all three modalities together tell whether the rule holds. Run it: python examples/learns_synergy.py symile,clip
"""

import sys
from dataclasses import replace
from pathlib import Path

from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.cards import write_card
from symile_data.datasets.pid import PRESETS, Design
from symile_data.training.config import read_config
from symile_data.workflows.classification import probe_runs
from symile_data.workflows.evaluate import Experiment, run_experiment
from symile_data.workflows.training_data import TrainingData


def main(
    objectives: str = "symile,clip", out: str = "build/learns-synergy", design: Design = PRESETS["trifeature"],
    rows: int = 8_000, **settings: int
) -> dict[str, float]:  # fmt: skip
    """Build both datasets, train each objective, and return the accuracy with which a probe tells if the rule holds."""
    (rule,) = (block for block in design.blocks if block.relation == "synergistic")
    balanced = replace(rule, strength=(rule.values - 2) / (2 * (rule.values - 1)))  # true of half of the rows
    blocks = tuple(balanced if block == rule else block for block in design.blocks)
    sizes = {"train": rows, "validation": rows // 8, "test": rows // 4}
    for name, its in (("always", design), ("half", replace(design, blocks=blocks))):
        build_pid(PidSpec(design=its, rows=sizes), Path(out) / name, workers=1, write_card=write_card)
    configs = {name: read_config("pid-vectors", {**settings, "objective": name}) for name in objectives.split(",")}
    run_experiment(Experiment(configs=configs), TrainingData(Path(out) / "always"), Path(out) / "runs")
    label = f"{rule.name}_holds"
    runs = probe_runs(Path(out) / "runs", Path(out) / "half", [label])["runs"]
    for name, run in runs.items():
        trained, fresh = (run[network][label]["product"]["mean"] for network in ("trained", "untrained"))
        print(f"{name}: {trained:.3f} from the product of the embeddings; {fresh:.3f} untrained; a guess has 0.5")
    return {name: run["trained"][label]["product"]["mean"] for name, run in runs.items()}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "symile,clip")
