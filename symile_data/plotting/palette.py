"""The colours of all figures: Okabe and Ito's palette, told apart in every common form of colour-blindness, and in grey
by its order of lightness.
"""

from __future__ import annotations

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
OBJECTIVES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)  # of the objectives that a figure compares, in their order
