"""symile-data: build, load and learn from datasets of three and more modalities in which no two give the answer.

Build a dataset, or bring your own rows, on the command line (`symile-data --help`) or here:

    from symile_data.builders.custom import own_schema, write_dataset

Open it, as batches of tensors with masks, in an order that resumes exactly:

    from symile_data.loaders import BatchLoader, open_split

    for batch in BatchLoader(open_split("build/symile-m3-10", "train"), batch_size=256):
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
    errors      the deliberate errors; all derive from `SymileDataError`

Importing this package is cheap: torch, polars and transformers are imported only by the parts that need them.
docs/architecture.md shows how the parts fit together; `make docs` builds the reference.
"""

from symile_data.moved import serve_moved_modules

__version__ = "0.2.0"

serve_moved_modules()
