"""Learn from rows that lack modalities: masks from the loader, neutral vectors in their place, groups for the loss.

Run it: python examples/missing_modalities.py build/xor (made by `symile-data build xor --out build/xor`). That dataset
is complete, and the loader takes values away. What is missing on disk comes in the same mask.
"""

import sys

import torch
from torch import nn

from symile_data.loaders import BatchLoader, open_split
from symile_data.losses import NeutralVectors, SymileLoss, mip_scores, missing_groups

WIDTH = 16  # of the embeddings
RATE = 0.3  # of the values of each modality that are taken away


def signs(bits: torch.Tensor) -> torch.Tensor:
    """Map bits 0 and 1 to -1 and 1: a linear layer then starts without a constant part, which hides the product."""
    return 2 * bits - 1


def main(directory: str, epochs: int = 15) -> float:
    """Train on incomplete rows, and return the accuracy of retrieval among complete ones."""
    torch.manual_seed(0)
    split = open_split(directory, "train")
    names = [modality.name for modality in split.modalities]
    length = split.schema.field(names[0]).type.list_size
    encoders = nn.ModuleDict({name: nn.Linear(length, WIDTH) for name in names})
    neutral = NeutralVectors(len(names), WIDTH)  # learned; starts as ones, with which a modality drops out of a product
    logit_scale = nn.Parameter(torch.tensor(-0.3))
    parameters = [*encoders.parameters(), *neutral.parameters(), logit_scale]
    optimiser = torch.optim.AdamW(parameters, lr=0.05)
    loss = SymileLoss(negatives="n", seed=0)

    # The same values are missing in every epoch and on every machine; {"a": 0.5} would take from one modality only.
    batches = BatchLoader(split, 250, seed=0, cache=True, missingness=RATE)
    seen = lacking = 0
    for _ in range(epochs):
        for batch in batches:
            missing = batch["missing"]  # (B, M) bool, True where absent; the value itself is zeros
            embeddings = neutral([encoders[name](signs(batch[name])) for name in names], missing)
            # Rows that lack the same modality hold the same value there: copies of a positive are no negatives.
            value = loss(embeddings, logit_scale.exp(), groups=missing_groups(missing))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            seen, lacking = seen + len(missing), lacking + int(missing.any(dim=1).sum())

    test = open_split(directory, "test")
    batch = next(iter(BatchLoader(test, min(test.rows, 2_000), shuffle=False)))
    values, own = batch[names[-1]].unique(dim=0, return_inverse=True)
    with torch.no_grad():
        scores = mip_scores(
            [encoders[name](signs(batch[name])) for name in names[:-1]], encoders[names[-1]](signs(values))
        )
    found = float((scores.argmax(dim=1) == own).float().mean())
    print(f"{100 * lacking / seen:.0f} % of the training rows lacked a modality")
    print(f"the last variable is found in {100 * found:.0f} % of the test rows,")
    print(f"a random candidate is right in {100 / 2**length:.1f} %")
    return found


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "build/xor")
