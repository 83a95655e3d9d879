"""The settings of an objective: the keyword arguments of its class, checked against its annotations.

Configs and the command line give settings as text, numbers and lists, so that a value of a wrong type is a mistake to
name, and not an error in the midst of a formula.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from symile_data.errors import UsageError

if TYPE_CHECKING:
    from symile_data.losses.objective import Objective

FAST = "fast"  # in place of a type: the one whose matrix products are fastest on this machine

_GIVEN_BY_BATCH = ("self", "gather", "modalities", "dim", "rows", "seed")
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_WANTED = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}


def multiplies_bfloat16() -> bool:
    """Return whether this machine's processor has instructions for products of bfloat16.

    Elsewhere a processor imitates them, ten times slower than it computes in float32.
    """
    import torch

    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def settings_of(implementation: type[Objective]) -> list[str]:
    """Return the settings of an objective: the keyword arguments of its class that do not depend on the batch."""
    parameters = inspect.signature(implementation.__init__).parameters
    return [name for name, one in parameters.items() if name not in _GIVEN_BY_BATCH and one.kind not in _VARIABLE]


def checked_settings(name: str, implementation: type[Objective], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check settings of an objective, and return them as its class takes them.

    Args:
        name: Key of the objective, for messages.
        implementation: Its class. Arguments without an annotation, or with one of another kind than numbers, text,
            truth values and torch's types, take anything.
        given: Setting -> value. The name of one of torch's types stands for the type, and "fast" for bfloat16 where
            this machine's processor multiplies it and for None elsewhere.

    Raises:
        UsageError: the class has no such setting, or a value has another type or is not finite.
    """
    known = settings_of(implementation)
    unknown = sorted(set(given) - set(known))
    if unknown:
        choices = f"choose among {', '.join(known)}" if known else "it has none"
        raise UsageError(f"the objective {name} has no such setting", got=unknown[0] or "''", do=choices)
    try:
        hints = get_type_hints(implementation.__init__)
    except NameError:  # names that only a type checker imports
        hints = {}
    return {key: _fitted(f"{key} of the objective {name}", hints.get(key, Any), one) for key, one in given.items()}


def check_complete(name: str, implementation: type[Objective], given: Mapping[str, Any]) -> None:
    """Check that a class can be made of its settings, where it does not say otherwise by `for_batch`.

    Args:
        name: Key of the objective, for messages.
        implementation: Its class.
        given: Setting -> value.

    Raises:
        UsageError: an argument without a default is not given.
    """
    from symile_data.losses.objective import Objective

    if getattr(implementation.for_batch, "__func__", None) is not vars(Objective)["for_batch"].__func__:
        return
    for argument, parameter in list(inspect.signature(implementation.__init__).parameters.items())[1:]:
        if parameter.default is inspect.Parameter.empty and parameter.kind not in _VARIABLE and argument not in given:
            raise UsageError(
                f"the objective {name} cannot be made without {argument}, an argument of {implementation.__name__}"
                " that has no default",
                do=f"give the argument a default, pass it as settings.{argument}, or override for_batch",
            )


def _fitted(what: str, hint: Any, value: Any) -> Any:
    """Return a value of an annotated type, or raise `UsageError`."""
    import torch

    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if not all(kind in (*_WANTED, NoneType, torch.dtype) for kind in kinds) or (value is None and NoneType in kinds):
        return value
    if torch.dtype in kinds:
        if value == FAST and NoneType in kinds:
            return torch.bfloat16 if multiplies_bfloat16() else None
        found = getattr(torch, value, None) if isinstance(value, str) else value
        if isinstance(found, torch.dtype) and found.is_floating_point:
            return found
        raise UsageError(f"{what} is a floating-point type of torch, such as bfloat16, or fast", got=repr(value))
    accepted = (*kinds, int) if float in kinds else kinds
    unfit = isinstance(value, bool) and bool not in kinds
    if unfit or not isinstance(value, accepted) or (isinstance(value, float) and not math.isfinite(value)):
        wanted = " or ".join(_WANTED[kind] for kind in kinds if kind is not NoneType)
        raise UsageError(f"{what} is {wanted}", got=repr(value))
    return value
