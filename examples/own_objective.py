"""An objective of your own beside Symile and CLIP: a contrast of whole tuples with a margin on the positives.

Its class states the loss and inherits its score. Once registered, it is trained, evaluated and compared like the
bundled ones. Run it: python examples/own_objective.py build/xor (made by `symile-data build xor --out build/xor`)
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from symile_data.losses import register
from symile_data.losses.objective import ProductObjective
from symile_data.training.config import read_config
from symile_data.workflows.evaluate import Evaluation, Experiment, evaluate_in_full, run_experiment
from symile_data.workflows.training_data import TrainingData


class MarginLoss(ProductObjective):
    """Symile pair whose positives must beat the negatives by a margin; it ranks by the product, as Symile does."""

    def __init__(self, *, margin: float = 0.5, gather: bool = False) -> None:
        super().__init__(gather=gather)
        self.margin = margin  # in logits; a keyword of the class is a setting of the config

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        """Return the mean over targets of the contrast of each tuple with all candidates."""
        rows, terms = len(embeddings[0]), []
        for target in range(len(embeddings)):
            query = torch.stack([e for m, e in enumerate(embeddings) if m != target]).prod(dim=0)
            logits = scale * query @ embeddings[target].t() - self.margin * torch.eye(rows).to(query)
            terms.append(F.cross_entropy(logits, torch.arange(rows, device=query.device)))
        return torch.stack(terms).mean()


register("margin", MarginLoss, title="Margin")


def main(directory: str, out: str = "runs/own-objective", epochs: int = 20, batch_size: int = 250) -> dict[str, float]:
    """Train the three objectives, evaluate the new one again, and return the test accuracy of each."""
    data = TrainingData(Path(directory))
    changes = {"epochs": epochs, "batch_size": batch_size}
    configs = {
        "symile": read_config("xor", {**changes, "objective": "symile"}),
        "clip": read_config("xor", {**changes, "objective": "clip"}),
        "margin": read_config("xor", {**changes, "objective": "margin", "settings": {"margin": 1.0}}),
    }
    tests = run_experiment(Experiment(configs=configs), data, Path(out))["tests"]
    print("| objective | accuracy | recall at 5 |\n|---|---|---|")
    for name, figures in tests.items():
        print(f"| {name} | {figures['accuracy']:.3f} | {figures['recall_at_5']:.3f} |")
    again = evaluate_in_full(Path(out) / "margin", data, Evaluation()).results
    print(f"evaluated again, margin has {again['accuracy']:.3f}; a random candidate {again['random_candidate']:.3f}")
    return {name: figures["accuracy"] for name, figures in tests.items()}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "build/xor")
