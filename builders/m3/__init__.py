"""Symile-M3: an image, a spoken clip and a text of W class names, of which one is the image's class in the clip's
language.
"""
