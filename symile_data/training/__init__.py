"""Training: named configs, the Lightning module for any dataset of the package, fitting, and the files of a run."""

from symile_data.extras import check_extra

check_extra("train", "training or evaluating a model", "lightning", "torch")
