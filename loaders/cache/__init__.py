"""Decoded media that are kept in memory or in a directory for later epochs and runs."""
