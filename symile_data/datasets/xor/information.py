"""Exact information terms of binary XOR data and its Bayes-optimal accuracies.

The data (Symile, section 5.1): V >= 3 variables of d bits, n = 2^d values each. All but the last are independent and
uniform; the last is the XOR of all others with probability p (drawn once for a row), else a copy of the first. This is
a PID design of one block (`symile_data.datasets.pid`), so every function here asks that design. Terms are in nats. None
of them depends on V. With a the first, c the last and b any variable between:

- I(a; c) >= 0 is the only information in a pair: I(a; b) = I(b; c) = 0. A larger set that lacks a variable between
  them has no more than I(a; c) either.
- TC is the total correlation of all variables.
- Given all the rest, I(a; c | rest) = TC and I(b; c | rest) = I(a; b | rest) = TC - I(a; c).
"""

from __future__ import annotations

from symile_data.datasets.pid import bayes, information
from symile_data.datasets.pid.blocks import Block
from symile_data.errors import UsageError

_FIRST, _BETWEEN, _LAST = "abc"


def total_correlation(p_hat: float, dims: int) -> float:
    """Compute the total correlation of all variables in nats: d ln 2 - (1 - 1/n) H(p), with H the entropy of one draw.

    The last variable is a function of the others and the draw. The draw has no effect where the XOR equals the copy,
    which happens in one of n rows.

    >>> round(total_correlation(1.0, 5), 3), round(total_correlation(0.5, 5), 3)
    (3.466, 2.794)
    """
    block = _block(p_hat, dims)
    alone = sum(information.block_entropy(block, [name]) for name in block.scope)
    return alone - information.block_entropy(block, block.scope)


def pair_information(p_hat: float, dims: int) -> float:
    """Compute the mutual information in nats of the first and the last variable, the only pair that has any.

    It is q ln(n q) + (n - 1) (p / n) ln p, where q = (1 - p) + p / n is the probability that they are equal.

    >>> pair_information(1.0, 5), round(pair_information(0.0, 5), 3)
    (0.0, 3.466)
    """
    block = _block(p_hat, dims)
    alone = sum(information.block_entropy(block, [name]) for name in (_FIRST, _LAST))
    return alone - information.block_entropy(block, [_FIRST, _LAST])


def conditional_information(p_hat: float, dims: int) -> float:
    """Compute the information in nats of a middle variable with the first or the last, given all others: TC - I(a; c).

    No pair has this part: it is 0 at p = 0 and all of the total correlation at p = 1.

    >>> conditional_information(1.0, 5) == total_correlation(1.0, 5), abs(conditional_information(0.0, 5)) < 1e-12
    (True, True)
    """
    return total_correlation(p_hat, dims) - pair_information(p_hat, dims)


def bayes_accuracy(p_hat: float, dims: int, *, between: bool = True) -> float:
    """Compute the best possible accuracy of predicting one variable from all others.

    Args:
        p_hat: Probability p that the last variable is the XOR of the others.
        dims: Bits d of each variable.
        between: Predict a variable between the first and the last (the paper's task), p + (1 - p) / n; else the first
            or the last, for which the likelier of copy and XOR is guessed: 1 / n + (1 - 1 / n) max(p, 1 - p).

    Raises:
        UsageError: `p_hat` is not a probability, or `dims` is less than 1.

    >>> bayes_accuracy(0.0, 1), bayes_accuracy(0.5, 5), bayes_accuracy(1.0, 5), bayes_accuracy(0.0, 5, between=False)
    (0.5, 0.515625, 1.0, 1.0)
    """
    target = _BETWEEN if between else _LAST
    return bayes.symbol_accuracy(_block(p_hat, dims), target, {_FIRST, _BETWEEN, _LAST} - {target})


def _block(p_hat: float, dims: int) -> Block:
    if not 0.0 <= p_hat <= 1.0:
        raise UsageError("p_hat is a probability", got=p_hat, do="give a number from 0 to 1")
    if dims < 1:
        raise UsageError("dims is a number of bits, at least 1", got=dims)
    return Block(relation="xor", scope=(_FIRST, _BETWEEN, _LAST), values=2**dims, strength=p_hat, name="bits")
