"""Turn unexpected errors whose cause is an ordinary mistake, such as a wrong path, into one sentence."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from difflib import get_close_matches

from symile_data.errors import MissingPackageError, OutputError, SymileDataError
from symile_data.extras import extra_of

# Errors of a wrong path, a place without permission or a full disk. All others are bugs and keep their traceback.
_ADVICE = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path: a part of it is a file, where a directory is needed",
    errno.EISDIR: "give a file",
    errno.EEXIST: "choose another path",
    errno.ENOTEMPTY: "choose another path",
    errno.ELOOP: "check the symbolic links of the path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ENXIO: "give a regular file",
    errno.EACCES: "choose a path that you may use",
    errno.EPERM: "choose a path that you may use",
    errno.EROFS: "choose a path on a disk that can be written",
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some quota and run the same command again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and run the same command again",
    errno.EMFILE: "raise the limit on open files (ulimit -n) and run the same command again",
    errno.EIO: "check the disk and run the same command again",
}


_NO_MEMORY = re.compile("can't allocate memory|out of memory")  # torch's words, on a processor and on a GPU
_NO_COMMAND = re.compile(r"(No such command '(.*)')\.(?: Did you mean .*)?", re.DOTALL)
_NO_CHOICE = re.compile(r"('(.*)' is not one of (.+))\.", re.DOTALL)


def with_choices(message: str, commands: Sequence[str]) -> str:
    """Add the choices and the nearest one to typer's message about an unknown command or choice.

    Args:
        message: What typer says.
        commands: The commands of the group in which one was looked for.

    >>> with_choices("No such command 'mm3'. Did you mean 'm3'?", ["m3", "xor"])
    "No such command 'mm3'. Did you mean 'm3'? There are m3, xor."
    >>> with_choices("Value error, 'parqet' is not one of 'parquet', 'webdataset'.", [])
    "'parqet' is not one of 'parquet', 'webdataset'. Did you mean 'parquet'?"
    """
    message = message.removeprefix("Value error, ")  # pydantic's, which checks choices for typer
    command, choice = _NO_COMMAND.fullmatch(message), _NO_CHOICE.fullmatch(message)
    if command:
        return f"{command[1]}.{_nearest(command[2], commands)} There are {', '.join(commands)}."
    if choice:
        choices = re.findall("'([^']*)'", choice[3])
        return f"{choice[1]}.{_nearest(choice[2], choices)}"
    return message


def _nearest(asked: str, names: Sequence[str]) -> str:
    near = get_close_matches(asked, names, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def as_sentence(error: Exception) -> SymileDataError | None:
    """Return an error as one of the package, or None for one that must keep its traceback."""
    if isinstance(error, SymileDataError):
        return error
    if isinstance(error, OSError) and error.errno in _ADVICE and error.filename is not None:
        where = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
        return OutputError(os.strerror(error.errno).lower(), where=where, do=_ADVICE[error.errno])
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # pathlib's, before Python 3.13
        return OutputError(os.strerror(errno.ELOOP).lower(), got=error, do=_ADVICE[errno.ELOOP])
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return OutputError("a name is not valid UTF-8", got=ascii(error.object), do="rename it, or choose another path")
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error))):
        return OutputError("the memory is not enough for this", do="use fewer workers, or smaller batches or models")
    if isinstance(error, ModuleNotFoundError) and error.name:
        extra = extra_of(error.name)
        return MissingPackageError(error.name.partition(".")[0], extra, "this command") if extra else None
    return None
