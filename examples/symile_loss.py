"""The Symile loss in a training loop of your own, on XOR: no two variables tell the third, all three together do.

Run it: python examples/symile_loss.py build/xor (made by `symile-data build xor --out build/xor`)
"""

import sys

import torch
from torch import nn

from symile_data.loaders import BatchLoader, open_split
from symile_data.losses import SymileLoss, mip_scores

WIDTH = 16  # of the embeddings


def embed(encoders: nn.ModuleList, batch: dict[str, torch.Tensor], names: list[str]) -> list[torch.Tensor]:
    """Return one (B, WIDTH) tensor for each modality."""
    return [encoder(batch[name]) for encoder, name in zip(encoders, names, strict=True)]


def accuracy(encoders: nn.ModuleList, directory: str, names: list[str]) -> float:
    """Return how often the third variable is found among all its values, given the other two."""
    split = open_split(directory, "test")
    batch = next(iter(BatchLoader(split, min(split.rows, 2_000), shuffle=False)))
    values, own = batch[names[2]].unique(dim=0, return_inverse=True)
    first, second, _ = embed(encoders, batch, names)
    scores = mip_scores([first, second], encoders[2](values))  # (B, values)
    return float((scores.argmax(dim=1) == own).float().mean())


def main(directory: str, epochs: int = 15) -> float:
    """Train, then return the accuracy of retrieval on the test split."""
    torch.manual_seed(0)
    split = open_split(directory, "train")
    names = [modality.name for modality in split.modalities]
    length = split.schema.field(names[0]).type.list_size
    encoders = nn.ModuleList([nn.Linear(length, WIDTH) for _ in names])
    logit_scale = nn.Parameter(torch.tensor(-0.3))  # the loss takes its exponential
    loss = SymileLoss(negatives="n", seed=0)
    optimiser = torch.optim.AdamW([*encoders.parameters(), logit_scale], lr=0.05)
    batches = BatchLoader(split, 250, seed=0, cache=True)  # each iteration is the next epoch
    for _ in range(epochs):
        for batch in batches:
            value = loss(embed(encoders, batch, names), logit_scale.exp())
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
    with torch.no_grad():
        found = accuracy(encoders, directory, names)
    print(f"the third variable is found in {100 * found:.0f} % of the test rows,")
    print(f"a random candidate is right in {100 / 2**length:.1f} %")
    return found


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "build/xor")
