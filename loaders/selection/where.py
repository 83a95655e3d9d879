"""Read a filter of rows from a text such as "lang = 'ja' and not image_missing", as SQL's WHERE has it.

Known are comparisons of a column with a number, a 'text' or a truth value, `in (...)`, `is null`, `and`, `or`, `not`,
parentheses, and a column of truth values by itself. A column whose name is no plain word stands in double quotes.
Where a value is null a comparison is neither true nor false, and the row is left out, as in SQL.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from symile_data.errors import UsageError, choose_column

if TYPE_CHECKING:
    import pyarrow.compute as pc

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | '(?P<text>(?:[^']|'')*)'
    | "(?P<quoted>(?:[^"]|"")*)"
    | (?P<word>[^\W\d]\w*)
    | (?P<mark><=|>=|<>|!=|==|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_WORDS = ("and", "or", "not", "in", "is", "null", "true", "false")


@dataclass(frozen=True)
class Token:
    """One word, number, text or mark of a filter.

    Args:
        kind: "number", "text", "column", "word" (one of SQL's), "mark" or "end".
        value: What it says.
        at: Number of its first character, from 0.
    """

    kind: str
    value: Any
    at: int


def parse_filter(
    text: str, columns: Sequence[str], masks: Mapping[str, str] | None = None
) -> tuple[pc.Expression, list[str]]:
    """Read a filter.

    Args:
        text: The filter.
        columns: The columns that it may name.
        masks: Column of images or audio, which no filter reads -> the column that says where it is missing.

    Returns:
        The filter as an Arrow expression, and the columns that it needs.

    Raises:
        UsageError: the text is no filter, or names a column that is not there.

    >>> parse_filter("cls_id in (1, 2) or text is null", ["cls_id", "text"])[1]
    ['cls_id', 'text']
    """
    parser = _Parser(text=text, tokens=_tokens(text), columns=columns, masks=masks or {})
    expression = parser.either()
    if parser.next.kind != "end":
        raise parser.expected("`and`, `or` or the end")
    return expression, list(dict.fromkeys(parser.used))


def _tokens(text: str) -> list[Token]:
    tokens, at = [], 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise _unreadable(text, at + len(text[at:]) - len(text[at:].lstrip()), "a column, a value or a comparison")
        kind, value = found.lastgroup, found[found.lastgroup]
        first = found.start(kind) - (kind in ("text", "quoted"))
        if kind == "number":
            tokens.append(Token(kind, float(value) if re.search(r"[.eE]", value) else int(value), first))
        elif kind in ("text", "quoted"):
            quote = "'" if kind == "text" else '"'
            tokens.append(Token("text" if kind == "text" else "column", value.replace(2 * quote, quote), first))
        elif kind == "word":
            known = value.lower() in _WORDS
            tokens.append(Token("word" if known else "column", value.lower() if known else value, first))
        else:
            tokens.append(Token(kind, value, first))
        at = found.end()
    return [*tokens, Token("end", "", len(text))]


def _unreadable(text: str, at: int, expected: str) -> UsageError:
    return UsageError(
        "the filter where cannot be read",
        got=repr(text),
        do=f"write {expected} at character {at + 1}, where {text[at : at + 12]!r} stands"
        if at < len(text)
        else f"write {expected} at its end",
    )


def unread(column: str, do: str) -> UsageError:
    """Return the error for a filter that names a column of images or audio."""
    return UsageError("the filter where cannot ask for what an image or audio holds", got=column, do=do)


def _named(column: str) -> str:
    """Write a column's name as a filter does."""
    plain = re.fullmatch(r"[^\W\d]\w*", column) and column.lower() not in _WORDS
    return column if plain else '"' + column.replace('"', '""') + '"'


@dataclass
class _Parser:
    """Reads the tokens of a filter from left to right, by one method for each rank of operators."""

    text: str
    tokens: list[Token]
    columns: Sequence[str]
    masks: Mapping[str, str] = field(default_factory=dict)
    place: int = 0
    used: list[str] = field(default_factory=list)

    @property
    def next(self) -> Token:
        """The token that is read next."""
        return self.tokens[self.place]

    def expected(self, what: str) -> UsageError:
        """Return an error that says what should stand in the next place."""
        return _unreadable(self.text, self.next.at, what)

    def take(self, kind: str, *values: str) -> Token | None:
        """Read the next token if it is of a kind and, where values are given, one of these."""
        token = self.next
        if token.kind != kind or (values and token.value not in values):
            return None
        self.place += 1
        return token

    def either(self) -> pc.Expression:
        """Read terms with `or` between them."""
        expression = self.both()
        while self.take("word", "or"):
            expression = expression | self.both()
        return expression

    def both(self) -> pc.Expression:
        """Read factors with `and` between them."""
        expression = self.negated()
        while self.take("word", "and"):
            expression = expression & self.negated()
        return expression

    def negated(self) -> pc.Expression:
        """Read a condition, perhaps with `not` before it."""
        if self.take("word", "not"):
            return ~self.negated()
        if self.take("mark", "("):
            expression = self.either()
            if not self.take("mark", ")"):
                raise self.expected("a closing parenthesis")
            return expression
        return self.condition()

    def condition(self) -> pc.Expression:
        """Read a column and what is asked of it."""
        import pyarrow.compute as pc  # here, as a split without a filter is opened without it

        token = self.take("column")
        if token is None:
            raise self.expected("a column, `not` or a parenthesis")
        if token.value in self.masks:
            raise self.unread(token)
        if token.value not in self.columns:
            raise UsageError(
                "the filter where names no column", got=token.value, do=choose_column(token.value, self.columns)
            )
        self.used.append(token.value)
        column = pc.field(token.value)
        if comparison := self.take("mark", *_COMPARISONS):
            return _COMPARISONS[comparison.value](column, pc.scalar(self.value()))
        if self.take("word", "is"):
            negative = self.take("word", "not")
            if not self.take("word", "null"):
                raise self.expected("`null`")
            return ~column.is_null() if negative else column.is_null()
        negative = self.take("word", "not")
        if self.take("word", "in"):
            # Arrow says false where a value is null; "unknown" stays out under any number of `not`.
            unknown = pc.scalar(pa.scalar(None, pa.bool_()))  # made here, since it imports pandas
            inside = column.isin(self.values()) | (column.is_null() & unknown)
            return ~inside if negative else inside
        if negative:
            raise self.expected("`in`")
        return column

    def unread(self, token: Token) -> UsageError:
        """Return the error for a column that no filter reads, with what to write where only its missingness is asked
        for.
        """
        mask = _named(self.masks[token.value])
        written = f"{mask} or not {mask}"
        if self.take("word", "is"):
            negative = self.take("word", "not")
            if self.take("word", "null"):
                rest = self.text[self.next.at :]
                written = self.text[: token.at] + ("not " if negative else "") + mask + (f" {rest}" if rest else "")
        return unread(token.value, f"the column {mask} says where it is missing: write {written}")

    def values(self) -> pa.Array:
        """Read values of one type with commas between them, in parentheses."""
        first = self.next.at
        if not self.take("mark", "("):
            raise self.expected("an opening parenthesis")
        values = [self.value()]
        while self.take("mark", ","):
            values.append(self.value())
        if not self.take("mark", ")"):
            raise self.expected("a comma or a closing parenthesis")
        try:
            return pa.array(values)
        except pa.ArrowException:
            raise _unreadable(self.text, first, "values of one type") from None

    def value(self) -> Any:
        """Read a number, a text or a truth value."""
        token = self.take("number") or self.take("text") or self.take("word", "true", "false")
        if token is None:
            raise self.expected("a number, a 'text', true or false")
        if isinstance(token.value, int) and not -(2**63) <= token.value < 2**63:
            return float(token.value)  # Arrow's whole numbers have 64 bits
        return token.value == "true" if token.kind == "word" else token.value
