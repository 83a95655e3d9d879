"""Data and other readers for the benchmark of the loader."""
