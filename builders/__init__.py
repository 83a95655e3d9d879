"""Builders: from a source (pictures, speech, names, clinical tables) to a dataset on disk."""
