"""Cross-validation: make a file of folds, and read a dataset with the splits that one of its folds gives."""

from .fold_file import FoldFile, fold_rows, read_folds
from .make import make_folds

__all__ = ["FoldFile", "fold_rows", "make_folds", "read_folds"]
