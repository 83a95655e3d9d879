"""Builders: from sources (images, speech, class names, clinical tables, rows of your own) to a dataset on disk."""
