"""Evaluation: zero-shot retrieval as in the paper, ablations that show which modalities an accuracy depends on,
bootstrap intervals, and the comparison of objectives over seeds.
"""

from symile_data.extras import check_extra

check_extra("train", "measuring retrieval and classification", "torch")
