"""Symile-MIMIC: laboratory items, time windows, schema and invariants."""
