"""Give the options of one request to several verbs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence


def with_options_of(
    request: Callable[..., object], others: Sequence[inspect.Parameter]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the parameters of a function that makes a request; the verb is called with their values.

    Args:
        request: Function whose parameters are options.
        others: Keyword parameters of the verb, in place of those of the same name or behind all.
    """

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        shared = inspect.signature(request, eval_str=True).parameters
        parameters = {**shared, **{parameter.name: parameter for parameter in others}}.values()
        kinds = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        verb.__signature__ = inspect.Signature(kinds)  # type: ignore[attr-defined]  # what typer reads
        return verb

    return decorate
