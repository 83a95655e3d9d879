"""Symile-M3: an image, a speech recording and a text of W class names. Exactly one of the names is the image's class in
the language of the recording.
"""
