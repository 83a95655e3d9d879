"""symile-data: build, load and learn from datasets of three and more modalities in which no two give the answer.

Build a dataset on the command line (`symile-data --help`) or here, and look at a row:

    import symile_data

    directory = symile_data.build_m3("build/symile-m3-2", langs=2, rows={"train": 200, "validation": 50, "test": 50})
    print(symile_data.open_split(directory, "train").row(0))

Also `build_mimic`, `build_pid` and `build_xor`; `symile_data.builders.custom` writes rows of your own.

Open a split as batches of tensors with masks, in an order that resumes exactly:

    for batch in symile_data.BatchLoader(symile_data.open_split(directory, "train"), batch_size=32):
        batch["image"], batch["audio"], batch["text"], batch["missing"]

Learn from it, with any number of modalities:

    from symile_data.losses import SymileLoss

    loss = SymileLoss(negatives="n")([image, audio, text], logit_scale.exp())

The parts:

    builders    Symile-M3, Symile-MIMIC, binary XOR, custom datasets: from sources to shards, card and manifest
    loaders     open, shuffle, decode, batch, resume; simulated missing modalities
    cards       statistics, figures, dataset card, Croissant description, preview page
    workflows   train, evaluate, embed and reproduce as functions; the table of datasets
    experiments the paper's experiments: points, published numbers, tables and figures
    training    named configs, pretraining, the Lightning module
    evaluation  zero-shot retrieval, bootstrap and comparison
    losses      Symile and pairwise CLIP, sampled and exact; scores for retrieval; neutral vectors for missing values
    encoders    one small network for each kind of modality
    datasets    the contracts of the bundled datasets: schemas, rules, ceilings, invariants
    format      one dataset on disk: schema, manifest, Parquet and tar shards, verification, publishing
    plotting    the style, colours and fonts of all figures and pages
    errors      the deliberate errors; all derive from `SymileDataError`
    progress    stages with rate and time left; sizes, times and counts as people read them

Importing this package is cheap: torch, polars and transformers are imported only by the parts that need them.
docs/architecture.md shows how the parts fit together; `make docs` builds the reference.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symile_data.moved import serve_moved_modules

if TYPE_CHECKING:
    from symile_data.api import build_m3, build_mimic, build_pid, build_xor
    from symile_data.loaders import BatchLoader, mix, open_split

__all__ = ["BatchLoader", "build_m3", "build_mimic", "build_pid", "build_xor", "mix", "open_split"]
__version__ = "0.2.0"

serve_moved_modules()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "symile_data.api" if name.startswith("build_") else "symile_data.loaders"
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
