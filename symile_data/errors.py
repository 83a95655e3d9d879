"""The errors of the package. Each is a sentence with four parts: what is wrong, where, what was received, what to do.

Every deliberate error derives from `SymileDataError`. The command line prints it on one or two lines and exits with its
`exit_code` (docs/architecture.md lists the codes). Any other exception that escapes is a bug and keeps its traceback.

A message names an argument in backquotes, as `layout` or `layout='pooled'`. `symile_data.cli.output.options` puts the
option of the command line in its place.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from os import PathLike
from pathlib import Path


class SymileDataError(Exception):
    """Base of all deliberate errors.

    Args:
        what: What is wrong, as a clause without a final full stop.
        where: The file, row, shard or sample that it concerns.
        got: The value that was received.
        do: What the reader can do about it.

    >>> print(SymileDataError("a names table has an empty cell", where="x.tsv, line 3", got="''", do="fill it in"))
    a names table has an empty cell (x.tsv, line 3); got ''. Fill it in.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: str | PathLike[str] | None = None, got: object = None, do: str | None = None
    ) -> None:
        self.what, self.where, self.got, self.do = what, where, got, do
        super().__init__(_sentence(what, where, got, do))

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel between worker processes; rebuild from the parts, not from the sentence.
        return _rebuild, (type(self), self.what, None if self.where is None else str(self.where), self.got, self.do)


class UsageError(SymileDataError):
    """The command line or an argument is wrong (exit code 2)."""

    exit_code = 2


class SourceError(SymileDataError):
    """A source (images, audio, names, tables) cannot be read or lacks data that the build needs."""


class OutputError(SymileDataError):
    """The output directory cannot hold this build: other contents, a running build, a full disk."""


class DamageError(SymileDataError):
    """A dataset on disk contradicts its manifest."""


class MissingPackageError(SymileDataError, ImportError):
    """Optional packages are needed but not installed; the message has the install command.

    Args:
        package: The package, or several with " and " between.
        extra: Name of the extra that has them.
        needed_for: What the user wants to do, as the subject of the sentence.
    """

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        self._arguments = (package, extra, needed_for)
        lacking = "s {}, which are" if " and " in package else " {}, which is"
        command, checkout = install_command(extra)
        super().__init__(
            f"{needed_for} needs the Python package{lacking.format(package)} not installed",
            do=f"run: {command}" if checkout in (None, Path.cwd()) else f"in {checkout}, run: {command}",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._arguments


def no_directory(path: Path, kind: type[SymileDataError]) -> SymileDataError:
    """Return the error for a path that should be a directory and is not."""
    if path.exists():
        return kind("this is not a directory", where=path, do="give the path of a directory")
    return kind("there is no such directory", where=path, do="check the path")


def install_command(extra: str = "") -> tuple[str, Path | None]:
    """Return the command that installs an extra, and the checkout to run it in (None for an installed package).

    In a checkout it takes the tested versions of constraints.txt. This package is on no registry, so without a checkout
    the command names what the extra consists of.

    Args:
        extra: Name of the extra; "" for what the package always requires.
    """
    from .extras import requirements_of

    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        wanted = f"'.[{extra}]'" if extra else "."
        return f"pip install -c constraints.txt -e {wanted}", checkout
    return f"pip install {shlex.join(requirements_of(extra))}", None


def _rebuild(kind: type[SymileDataError], what: str, where: str | None, got: object, do: str | None) -> SymileDataError:
    return kind(what, where=where, got=got, do=do)


def printable(text: str) -> str:
    r"""Make untrusted text safe for one line of a terminal: line ends become blanks, other control characters escapes.

    >>> printable("a\nb\x1b[2J")
    'a b\\x1b[2J'
    """
    spaced = " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in spaced
    )


# Control characters, and those that change the order or the lines in which text is shown.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def harmless(text: str) -> str:
    r"""Make untrusted text safe for a document: escape control characters and characters that reorder text. Line ends,
    tabs and the joiners that some scripts need are kept.

    >>> harmless("a\u202eb\x1b[2J")
    'a\\u202eb\\x1b[2J'
    """
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


_OBJECT = re.compile(r"\s*<[^<>]* object at 0x[0-9a-fA-F]+>")


def without_addresses(text: str) -> str:
    """Remove objects that are named by their memory address from another library's message, so that equal mistakes give
    equal messages.

    >>> without_addresses("cannot identify image file <_io.BytesIO object at 0x7f2ae01c>")
    'cannot identify image file'
    """
    return _OBJECT.sub("", text)


def choose_among(names: Sequence[str], most: int = 20) -> str:
    """Advise to choose one of some names, at most `most` of which are listed, as an untrusted file may have any number.

    >>> choose_among(["train", "validation", "test"], most=2)
    'choose among train, validation and 1 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"choose among {', '.join(names[:most])}{more}"


def choose_column(name: str, columns: Sequence[str], most: int = 20) -> str:
    """Advise on a column that a dataset lacks: name all columns where they are few, else those with a similar name.

    Args:
        name: What was asked for.
        columns: The columns that there are.
        most: How many of them are listed at most.

    >>> choose_column("edema", ["chexpert_edema", "chexpert_fracture", "age"], most=2)
    'the nearest of its 3 columns is chexpert_edema; symile-data info lists them all'
    """
    if len(columns) <= most:
        return f"it has {', '.join(columns)}"
    asked = name.lower()
    lower = {column.lower(): column for column in columns}
    near = [column for column in columns if asked and asked in column.lower()]
    near += [lower[found] for found in get_close_matches(asked, list(lower), n=_NEAREST, cutoff=0.6)]
    shown = list(dict.fromkeys(near))[:_NEAREST]
    if not shown:
        return f"see its {len(columns):,} columns with symile-data info"
    verb = "is" if len(shown) == 1 else "are"
    return f"the nearest of its {len(columns):,} columns {verb} {', '.join(shown)}; symile-data info lists them all"


def choose_similar(name: str, names: Sequence[str]) -> str:
    """Advise on a name that is probably misspelt: the names that resemble it, or all where none does.

    >>> choose_similar("batch_sise", ["batch_size", "dim", "lr"])
    'perhaps batch_size is meant'
    >>> choose_similar("colour", ["batch_size", "dim", "lr"])
    'choose among batch_size, dim, lr'
    """
    near = get_close_matches(name, names, n=2, cutoff=0.7)
    return f"perhaps {' or '.join(near)} is meant" if near else f"choose among {', '.join(names)}"


_NEAREST = 5  # columns with a similar name that an error lists


def _sentence(what: str, where: str | PathLike[str] | None, got: object, do: str | None) -> str:
    return printable(_joined(what, where, got, do))


def _joined(what: str, where: str | PathLike[str] | None, got: object, do: str | None) -> str:
    text = what if where is None else f"{what} ({where})"
    if got is not None:
        text += f"; got {without_addresses(str(got))}"
    if do is None:
        return text + "."
    return f"{text}. {do[:1].upper()}{do[1:]}" + ("" if do.endswith((".", "'")) else ".")
