"""The objectives, one a module."""
