"""Training: named configs, the Lightning module that works for any dataset of ours, fitting, and what a run leaves
on disk.
"""

from symile_data.extras import check_extra

check_extra("train", "symile_data.training", "lightning", "torch")
