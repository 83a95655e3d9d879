"""Estimate the time and space that a build of Symile-M3 needs, before anything is written."""
