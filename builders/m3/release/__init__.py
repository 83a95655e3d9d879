"""The published release of Symile-M3: read its files, resolve its words, import it, or rebuild it row by row."""
