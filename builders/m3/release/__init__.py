"""The published release of Symile-M3: its files, its words, its import and its rebuilding row for row."""
