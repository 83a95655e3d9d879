"""symile-data: build, load and learn from datasets of three and more modalities in which no two give the answer.

Build a dataset, or bring your own rows, on the command line (`symile-data --help`) or here:

    from symile_data.builders.own import own_schema, write_dataset

Open it, as batches of tensors with masks, in an order that resumes exactly:

    from symile_data.loaders import BatchLoader, open_split

    for batch in BatchLoader(open_split("build/symile-m3-10", "train"), batch_size=256):
        batch["image"], batch["audio"], batch["text"], batch["missing"]

Learn from it, with any number of modalities:

    from symile_data.losses import SymileLoss

    loss = SymileLoss(negatives="n")([image, audio, text], logit_scale.exp())

The parts:

    builders    Symile-M3, Symile-MIMIC, binary XOR, your own: from a source to shards, card and manifest
    loaders     open, order, decode, batch, resume; simulated missing modalities
    losses      Symile and pairwise CLIP, sampled and exact; scores for retrieval; neutral vectors for what is missing
    encoders    one small network for each kind of modality
    training    named configs, pretraining, the Lightning module
    evaluation  zero-shot retrieval and ablations
    experiments the paper's experiments, whole
    shards      Parquet and tar shards, here or at an address
    cards       statistics, figures, card, Croissant description, preview page
    schema      modalities and typed columns      manifest    what a dataset consists of
    verify      every kind of damage, named       publish     to the Hugging Face Hub
    errors      what can go wrong on purpose; all derive from `SymileDataError`

Importing this package is cheap: no torch, no polars, no transformers until a part is asked for. docs/architecture.md
shows how the parts fit; `make docs` builds the reference.
"""

__version__ = "0.2.0"
