"""Fill the templates of the card: Jinja, with filters that write values as Markdown shows them.

Names, notes and settings come from other people's files, so nothing in them may become markup.
"""

from __future__ import annotations

import html
import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any

from symile_data.errors import harmless, printable
from symile_data.format.disclosure import told
from symile_data.progress.amounts import size

if TYPE_CHECKING:
    import jinja2


def render(template: str, **values: Any) -> str:
    """Fill a template of `cards/templates/`: every value is escaped as Markdown, unless a filter says otherwise."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    """Return the environment of all templates, which keeps those that it has compiled."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("symile_data.cards", "templates"),
        autoescape=jinja2.select_autoescape(enabled_extensions=()),  # Markdown; `finalize` escapes HTML in it
        finalize=_markdown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cell": _cell,
        "code": _code,
        "number": told,
        "size": size,
        "percent": _percent,
        "nats_and_bits": _nats_and_bits,
        "signed_nats_and_bits": _signed_nats_and_bits,
        "listed": _listed,
        "listed_keys": lambda values: _listed(list(values)),
        "setting": _setting,
        "verbatim": _Verbatim,
        "line": lambda text: _Verbatim(printable(text)),
        "quoted": lambda text: _Verbatim(json.dumps(str(text), ensure_ascii=False)),
    }
    return environment


class _Verbatim(str):
    """Text in a code block or in backticks, where Markdown shows HTML unchanged."""

    __slots__ = ()


def _markdown(value: object) -> object:
    r"""Escape names, notes and settings for Markdown: no HTML markup, and no characters that reorder a line.

    >>> _markdown("<b>\u202e</b>"), _markdown(_Verbatim("a < b"))
    ('&lt;b&gt;\\u202e&lt;/b&gt;', 'a < b')
    """
    if not isinstance(value, str):
        return value
    if isinstance(value, _Verbatim):
        return harmless(value)
    return html.escape(harmless(" ".join(value.splitlines()) if "\n" in value else value), quote=False)


def _cell(value: object) -> str:
    r"""Escape a text so that it cannot break out of a table's cell.

    >>> _cell("a|b\nc")
    'a\\|b c'
    """
    return " ".join(str(value).replace("|", "\\|").split())


def _code(value: object) -> str:
    """Format a text as inline code in a table's cell.

    >>> _code("a`b")
    "`a'b`"
    """
    return "`" + _cell(value).replace("`", "'") + "`"


def _percent(share: float | None) -> str:
    """Format 0.125 as "12.5 %"."""
    return told(None) if share is None else f"{100 * share:.1f} %"


def _nats_and_bits(nats: float) -> str:
    """Format an information term as two cells of a table, in nats and in bits.

    >>> _nats_and_bits(0.6931471805599453)
    '0.693 | 1.000'
    """
    return " | ".join(f"{abs(value):.3f}" for value in (nats, nats / math.log(2)))


def _signed_nats_and_bits(nats: float) -> str:
    """Two cells of a table, for a quantity that can be negative.

    >>> _signed_nats_and_bits(-0.6931471805599453), _signed_nats_and_bits(-1e-17)
    ('-0.693 | -1.000', '0.000 | 0.000')
    """
    return " | ".join(f"{round(value, 3) + 0.0:.3f}" for value in (nats, nats / math.log(2)))


def _listed(values: list[str]) -> str:
    """Join names for a sentence.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(values[:-1]), *values[-1:]]))


def _setting(value: object) -> str:
    """Format a setting's value as the manifest has it, but a table or list without entries as a word.

    >>> _setting(["el", "en"]), _setting(None), _setting({})
    ('`["el", "en"]`', '`null`', 'none')
    """
    if isinstance(value, dict | list) and not value:
        return "none"
    return _Verbatim(_code(json.dumps(value, ensure_ascii=False)).replace("<", "\\u003c"))
