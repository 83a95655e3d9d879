"""TRIANGLE: three modalities that belong together are the corners of a small triangle.

    A = (<u, u><v, v> - <u, v>^2) / 2,  u and v the sides at the anchor,

which is twice the squared area; see `simplex`, of which it is the case of three modalities.
"""

from __future__ import annotations

from .simplex import SimplexLoss


class TriangleLoss(SimplexLoss):
    """`SimplexLoss` of exactly three modalities; the arguments are its own."""

    least = most = 3
