"""Bayes accuracies of binary XOR data in which variables are misaligned or noisy.

A misaligned variable is an independent draw of its own law, so a row tells something of a target only through the
variables that belong together. With n = 2^d values and u = 1 / n, alpha the probability that no variable is misaligned
and g that the first and the last are not, the best accuracy of a variable between them is u + (1 - u) alpha p. For the
first or the last it is u + (1 - u) max(alpha p, g (1 - p)) where the reader does not know which variables are
misaligned, and u + (1 - u) [alpha max(p, 1 - p) + (g - alpha)(1 - p)] where the reader does. The target itself may be
misaligned: what is shown is predicted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from symile_data.errors import UsageError

from .information import bayes_accuracy


def misaligned_accuracy(
    p_hat: float, dims: int, rates: Sequence[float], *, between: bool = True, known: bool = False
) -> float:
    """Compute the best possible accuracy of predicting what one variable shows from what all others show.

    Args:
        p_hat: Probability p that the last variable is the XOR of the others.
        dims: Bits d of each variable.
        rates: Rate at which each variable is misaligned, from the first to the last.
        between: Predict a variable between the first and the last; else the first or the last.
        known: Whether the reader knows which variables of a row are misaligned; it makes no difference between.

    Raises:
        UsageError: `p_hat` or a rate is not a probability, `dims` is less than 1, or there are fewer than 3 rates.

    >>> misaligned_accuracy(1.0, 5, [0.5, 0.0, 0.0])
    0.515625
    """
    bayes_accuracy(p_hat, dims)  # refuses a wrong p_hat or dims
    if len(rates) < 3:
        raise UsageError("rates has one number for each variable, at least 3", got=len(rates))
    if not all(0.0 <= rate <= 1.0 for rate in rates):
        raise UsageError("a rate is a probability", got=max(rates, key=lambda rate: abs(rate - 0.5)))
    chance = 2.0**-dims
    whole, ends = math.prod(1 - rate for rate in rates), (1 - rates[0]) * (1 - rates[-1])
    if between:
        gained = whole * p_hat
    elif known:
        gained = whole * max(p_hat, 1 - p_hat) + (ends - whole) * (1 - p_hat)
    else:
        gained = max(whole * p_hat, ends * (1 - p_hat))
    return chance + (1 - chance) * gained


def noisy_accuracy(p_hat: float, dims: int, rate: float, level: float) -> float:
    """Compute the best possible accuracy of predicting a variable between the first and the last where one is noisy.

    It is p ((1 - q) + q (1 - e)^d) + (1 - p) / n, with q the rate of noisy rows and e the probability that a bit is
    flipped, whichever variable is noisy and whether or not the reader knows the rows.

    Args:
        p_hat: Probability p that the last variable is the XOR of the others.
        dims: Bits d of each variable.
        rate: Rate q at which one of the variables is noisy.
        level: Probability e, from 0 to 0.5.

    Raises:
        UsageError: an argument is out of its range.

    >>> noisy_accuracy(1.0, 5, 0.5, 0.5)
    0.515625
    """
    bayes_accuracy(p_hat, dims)
    if not 0.0 <= rate <= 1.0:
        raise UsageError("a rate is a probability", got=rate)
    if not 0.0 <= level <= 0.5:
        raise UsageError("the level is the probability that a bit is flipped, from 0 to 0.5", got=level)
    return p_hat * ((1 - rate) + rate * (1 - level) ** dims) + (1 - p_hat) * 2.0**-dims
