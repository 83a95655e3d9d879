"""Ask free online engines, with time-outs, retries, a cache of answers, and a rule for when to stop asking.

The libraries behind the engines (deep-translator, gTTS) set no time-out, read answers without a limit, hide HTTP status
codes, and gTTS does not check the server's certificate. All of their requests, also those that follow a redirect, go
through `requests.adapters.HTTPAdapter.send`, so `watched` wraps that one method while a request runs. (A default
time-out of the socket module has no effect here, since requests sets "no time-out" explicitly.) `watched` acts on the
whole process, so only one thread may ask at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from symile_data.errors import MissingPackageError, OutputError, SourceError
from symile_data.files import digest, pretty_json, write_text
from symile_data.format.manifest import Dropped
from symile_data.format.web import is_private
from symile_data.rng import Stream

PAUSE_SECONDS = 0.75  # between requests; no engine documents a limit, half a second to a second is the public advice
MOST_ANSWER_BYTES = 16 << 20  # a name has some bytes, a spoken sentence less than a megabyte
EXAMPLES = 5  # examples that a `Dropped` names
NOT_ASKED = "not asked, as the engine gave no answers before"

_SILENT_AFTER = 3  # after so many unanswered requests in a row, this run does not ask the engine again
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500

Answer = TypeVar("Answer")


class OnlineError(SourceError):
    """An online engine gave no usable answer; `what` ends with the reason, in the same words for equal causes."""


class NoAnswerError(Exception):
    """One request failed.

    Args:
        reason: Why, in a few words that are the same for equal causes.
        again: Whether the same request may succeed a little later.
        silent: Whether the engine itself is out of reach or unwilling, so that other requests will fail too.
    """

    def __init__(self, reason: str, *, again: bool = False, silent: bool = False) -> None:
        self.reason, self.again, self.silent = reason, again, silent or again
        super().__init__(reason)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often and how long to try.

    Args:
        tries: Requests for one answer, the first included.
        first_wait_seconds: Wait after the first failure; each later wait is twice as long.
        longest_wait_seconds: No wait is longer than this.
        timeout_seconds: Time-out for connecting, and for every wait for data.
        sleep: Called with the seconds of each wait.
    """

    tries: int = 5
    first_wait_seconds: float = 2.0
    longest_wait_seconds: float = 60.0
    timeout_seconds: float = 20.0
    sleep: Callable[[float], None] = time.sleep

    def wait_seconds(self, attempt: int, jitter: float) -> float:
        """Return the wait after a failed attempt, in seconds.

        Args:
            attempt: Number of the attempt, 0 for the first.
            jitter: A number in [0, 1); it spreads the wait over the upper half of its range.

        >>> [Patience().wait_seconds(attempt, 0.5) for attempt in (0, 1, 9)]
        [1.5, 3.0, 45.0]
        """
        return min(self.longest_wait_seconds, self.first_wait_seconds * 2.0**attempt) * (0.5 + jitter / 2)


PATIENT = Patience()


@dataclass
class Watch:
    """The HTTP status of the last response that `watched` saw; None when there was none."""

    status: int | None = None


@contextlib.contextmanager
def watched(timeout_seconds: float) -> Iterator[Watch]:
    """Give every request of the `requests` library a time-out, a size limit and a check of certificates; record status
    codes, and turn its errors into one class.

    Raises:
        NoAnswerError: the engine cannot be reached, takes too long, sends invalid HTTP or more than
            `MOST_ANSWER_BYTES`, or redirects to a place that is refused.
        MissingPackageError: the extra `online` is not installed.
    """
    try:
        import requests
        import requests.adapters
    except ImportError:
        raise MissingPackageError("requests", "online", "asking an online engine") from None

    watch, errors = Watch(), requests.exceptions
    adapter = requests.adapters.HTTPAdapter
    send = adapter.send

    def bounded(self: Any, request: Any, *places: Any, **settings: Any) -> Any:
        if settings.get("timeout") is None:
            settings["timeout"] = timeout_seconds
        settings["verify"] = settings.get("verify") or os.environ.get("REQUESTS_CA_BUNDLE") or True
        watch.status = None
        try:
            response = send(self, request, *places, **settings)
        except errors.SSLError:
            raise NoAnswerError("certificate not valid", silent=True) from None
        except errors.Timeout:
            raise NoAnswerError("time-out", again=True) from None
        except errors.ConnectionError:
            raise NoAnswerError("no connection", again=True) from None
        except errors.RequestException as error:
            raise NoAnswerError(f"request not possible ({type(error).__name__})") from None
        answers.callback(response.close)
        watch.status = response.status_code
        if response.is_redirect:
            _check_redirect(request.url, response.headers["location"])
        response.raw = _BoundedBody(response.raw)
        return response

    answers = contextlib.ExitStack()  # an answer that is left half-read keeps its connection until it is closed
    adapter.send = bounded
    try:
        with answers:
            yield watch
    except errors.JSONDecodeError:
        raise NoAnswerError("unreadable answer", silent=True) from None
    except errors.RequestException as error:  # a bad address, or too many redirects
        raise NoAnswerError(f"request not possible ({type(error).__name__})") from None
    finally:
        adapter.send = send


class _BoundedBody:
    """The body of an answer: urllib3's object, limited to `MOST_ANSWER_BYTES`."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, amount: int, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the body in pieces, decompressed."""
        from urllib3.exceptions import DecodeError, HTTPError, ReadTimeoutError

        count = 0
        try:
            for piece in self._raw.stream(amount, decode_content=decode_content):
                count += len(piece)
                if count > MOST_ANSWER_BYTES:
                    raise NoAnswerError("an answer too long", silent=True)
                yield piece
        except DecodeError:
            raise NoAnswerError("unreadable answer", silent=True) from None
        except ReadTimeoutError:
            raise NoAnswerError("time-out", again=True) from None
        except HTTPError:
            raise NoAnswerError("no connection", again=True) from None


def _check_redirect(here: str, location: str) -> None:
    """Refuse a redirect to another scheme, and one from a public server into a private network."""
    try:
        there = urljoin(here, location)
        scheme, host = urlsplit(there).scheme, urlsplit(there).hostname
        led_inside = scheme == urlsplit(here).scheme and _is_inside(host) and not _is_inside(urlsplit(here).hostname)
    except (ValueError, OSError):  # not an address, or one that does not resolve
        raise NoAnswerError("redirected elsewhere", silent=True) from None
    if scheme != urlsplit(here).scheme or led_inside:
        raise NoAnswerError("redirected elsewhere", silent=True)


def _is_inside(host: str | None) -> bool:
    """Whether a host has an address in a private network."""
    return any(is_private(str(found[4][0])) for found in socket.getaddrinfo(host, None))


def no_answer(status: int | None) -> NoAnswerError:
    """Return the error for an HTTP status. 429 and 5xx may pass, so the request is tried again; other codes are final.

    >>> no_answer(503).reason, no_answer(503).again, no_answer(403).again
    ('HTTP 503', True, False)
    """
    if status is None:
        return NoAnswerError("no connection", again=True)
    return NoAnswerError(f"HTTP {status}", again=status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR, silent=True)


def ask(request: Callable[[], Answer], patience: Patience, name: str) -> Answer:
    """Make a request, and repeat it after growing waits while that may help.

    Args:
        request: Makes one attempt.
        patience: How often and how long to try.
        name: Name of the random stream that spreads the waits.

    Raises:
        NoAnswerError: the last attempt failed.
    """
    jitter = Stream(0, f"online/{name}").rows(0, patience.tries, 1)[:, 0]
    for attempt in range(patience.tries - 1):
        try:
            return request()
        except NoAnswerError as error:
            if not error.again:
                raise
            patience.sleep(patience.wait_seconds(attempt, float(jitter[attempt])))
    return request()


def default_cache() -> Path:
    """Return the directory of answers where the user names none: a folder in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "symile-data" / "online"


@dataclass(frozen=True)
class AnswerCache:
    """Answers on disk, one small JSON file each, so that a second run asks only for what is missing.

    Args:
        directory: The folder; it is created with the first answer.
    """

    directory: Path

    def read(self, request: Mapping[str, str]) -> str | None:
        """Return the answer to a request; None when there is none, or its file is damaged or for another request."""
        try:
            entry = json.loads(self.path(request).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(entry, dict) or entry.get("request") != dict(request):
            return None
        answer = entry.get("answer")
        return answer if isinstance(answer, str) and entry.get("sha256") == digest(answer) else None

    def write(self, request: Mapping[str, str], answer: str) -> None:
        """Store an answer; the file appears whole or not at all.

        Raises:
            OutputError: the directory cannot be written.
        """
        path = self.path(request)
        try:
            write_text(path, pretty_json({"request": dict(request), "answer": answer, "sha256": digest(answer)}))
        except OutputError as error:
            if isinstance(error.__cause__, FileExistsError | NotADirectoryError):
                raise OutputError("the cache is not a directory", where=self.directory, do="choose another") from None
            # Two processes may store the same answer at the same time; one then finds its temporary file renamed.
            if not (isinstance(error.__cause__, FileNotFoundError) and path.parent.is_dir()):
                raise

    def path(self, request: Mapping[str, str]) -> Path:
        """Return the file of a request's answer, named by the hash of the whole request."""
        key = digest(dict(request))
        return self.directory / key[:2] / f"{key}.json"


@dataclass
class FailureCounts:
    """Count failed requests, and recognise an engine that no longer answers.

    Without this, an engine that is offline would cost half a minute of retries for each of thousands of requests.
    """

    _failed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _silent: int = 0

    def failed(self, reason: str, example: str) -> None:
        """Count a failure under its reason."""
        self._failed[reason].append(example)

    def heard(self) -> None:
        """Note that the engine answered: failures in a row are counted anew."""
        self._silent = 0

    def unanswered(self, error: NoAnswerError) -> None:
        """Note that the engine did not answer a request."""
        self._silent = self._silent + 1 if error.silent else 0

    @property
    def given_up(self) -> bool:
        """Whether the engine failed too often in a row to be asked again."""
        return self._silent >= _SILENT_AFTER

    def dropped(self, kind: str) -> list[Dropped]:
        """Return the counts by reason, each reason with the prefix `kind`."""
        return [
            Dropped(reason=f"{kind}: {reason}", count=len(examples), examples=examples[:EXAMPLES])
            for reason, examples in sorted(self._failed.items())
        ]
