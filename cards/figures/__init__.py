"""The figures of a dataset card."""
