"""The published release of Symile-MIMIC: its files and their import."""
