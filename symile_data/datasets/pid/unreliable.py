"""Bayes accuracies of a design in which modalities are misaligned, summed over which of them are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping

from symile_data.errors import UsageError

from .bayes import bayes_accuracy
from .design import Design

MOST_MISALIGNED = 12  # modalities: the sum has 2 to this power terms


def misaligned_accuracy(
    design: Design, target: str, readers: Collection[str], rates: Mapping[str, float], block: str | None = None
) -> float:
    """Best possible accuracy of predicting what a modality shows, by a reader who knows what is misaligned in a row.

    All blocks of a misaligned modality fail at once, so the accuracy is the sum over sets F of misaligned modalities of
    P(F) times the Bayes accuracy from the readers without F. A reader who does not know F reaches at most that.

    Args:
        design: The design.
        target: The modality that is predicted, as it is shown.
        readers: The modalities that are read.
        rates: Modality -> rate at which it is misaligned; others are not.
        block: Name of a block of the target whose symbol alone is predicted; the whole value where not given.

    Raises:
        UsageError: a name is unknown, the target is read, a rate is not a probability, or more than 12 of these
            modalities are misaligned.

    >>> from .presets import PRESETS
    >>> misaligned_accuracy(PRESETS["xor"], "b", ["a", "c"], {"a": 0.5})
    0.515625
    """
    unknown = sorted(set(rates) - set(design.names))
    if unknown:
        raise UsageError("a rate is of no modality of the design", got=unknown[0])
    for name, rate in rates.items():
        if not 0.0 <= rate <= 1.0:
            raise UsageError(f"the rate of {name} is not a probability", got=rate)
    clean = bayes_accuracy(design, target, readers, block)
    named = [name for name in (target, *readers) if rates.get(name, 0.0)]
    if not named:
        return clean
    if len(named) > MOST_MISALIGNED:
        raise UsageError(f"more than {MOST_MISALIGNED} modalities are misaligned", got=len(named))
    terms = []
    for flags in itertools.product((False, True), repeat=len(named)):
        swapped = {name for name, flag in zip(named, flags, strict=True) if flag}
        chance = math.prod(rates[name] if name in swapped else 1 - rates[name] for name in named)
        left = [] if target in swapped else [name for name in readers if name not in swapped]
        terms.append(chance * bayes_accuracy(design, target, left, block))
    return math.fsum(terms)
