"""Engines that answer as an attacker would: without end, compressed without end, or from somewhere else."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gtts.tts
import pytest
import requests
from deep_translator import constants
from hostile_server import Request, hostile

from symile_data.builders.m3.audio.gtts_speech import gtts_speech
from symile_data.builders.m3.text import online
from symile_data.builders.m3.text.online import NoAnswerError, OnlineError, Patience, watched
from symile_data.builders.m3.text.translate import translate_names
from symile_data.datasets.m3.names import parse_names

TABLE = parse_names("wnid\ten\tel\nn01\tlion\tλέων\n", "x")
PATIENCE = Patience(tries=3, sleep=lambda _: None)
ENGINES = ("google", "mymemory", "gtts")


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online, "MOST_ANSWER_BYTES", 1 << 20)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


def asked(
    engine: Any, answer: Callable[[Request], None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, int]:
    """Why an engine that answers so gave nothing, and how many requests that took."""
    with hostile(answer) as server:
        for name in ("GOOGLE_TRANSLATE", "MYMEMORY"):
            monkeypatch.setitem(constants.BASE_URLS, name, f"{server.url}/m")
        monkeypatch.setattr(gtts.tts, "_translate_url", lambda **_: f"{server.url}/m")
        settings: dict[str, Any] = {"cache": folder, "strict": True, "pause_seconds": 0.0, "patience": PATIENCE}
        with pytest.raises(OnlineError) as caught:
            if engine == "gtts":
                gtts_speech("Hi.", "en", **settings)
            else:
                translate_names(TABLE, ["n01"], ["el"], engine=engine, **settings)
        assert server.sent < 32 << 20
        return caught.value.what.rpartition(": ")[2], len(server.asked)


def reply(data: bytes, **headers: str) -> Callable[[Request], None]:
    return lambda request: request.reply(200, data, **headers)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("status", [200, 302, 404])
def test_an_endless_answer_is_left(engine: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Location": "/m"} if status == 302 else {}
    reason, requests_made = asked(
        engine, lambda request: request.endless(status, bytes(1 << 16), **headers), tmp_path, monkeypatch
    )
    assert (reason, requests_made) == ("an answer too long", 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_answer_that_inflates_without_end_is_left(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = reply(gzip.compress(bytes(1 << 26)), Content_Encoding="gzip")
    assert asked(engine, bomb, tmp_path, monkeypatch) == ("an answer too long", 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_answer_that_does_not_inflate_is_unreadable(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(engine, reply(b"no gzip", Content_Encoding="gzip"), tmp_path, monkeypatch)[0] == "unreadable answer"


@pytest.mark.parametrize("engine", ENGINES)
def test_an_answer_that_breaks_off_is_asked_for_again(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: Request) -> None:
        request.start(200, Content_Length="1000")
        request.wfile.write(b"x" * 10)

    assert asked(engine, answer, tmp_path, monkeypatch) == ("no connection", 3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("target", ["https://127.0.0.1:1/m", "file:///etc/passwd", "ftp://127.0.0.1/", "http://["])
def test_an_answer_from_elsewhere_is_refused(
    engine: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = asked(engine, lambda request: request.reply(307, Location=target), tmp_path, monkeypatch)
    assert moved == ("redirected elsewhere", 1)


def test_a_public_engine_does_not_lead_into_a_private_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 stands for a public address."""
    with (
        hostile(lambda request: request.reply(200, b"inner"), "127.0.0.2") as inner,
        hostile(lambda request: request.reply(302, Location=inner.url)) as server,
    ):
        with watched(5.0):
            assert requests.get(server.url, timeout=5).content == b"inner"
        monkeypatch.setattr(online, "is_private", lambda address: address != "127.0.0.1")
        with watched(5.0), pytest.raises(NoAnswerError, match="redirected elsewhere"):
            requests.get(server.url, timeout=5)
        assert len(inner.asked) == 1


def test_certificates_are_checked_whatever_the_library_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def send(_: object, __: object, **settings: Any) -> None:
        seen.append(settings["verify"])
        raise requests.exceptions.SSLError

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with pytest.raises(NoAnswerError, match="certificate not valid") as caught, watched(5.0):
        requests.get("https://x.invalid", verify=False, timeout=5)
    assert caught.value.silent and not caught.value.again
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/ours.pem")
    with pytest.raises(NoAnswerError), watched(5.0):
        requests.get("https://x.invalid", verify=False, timeout=5)
    assert seen == [True, "/ours.pem"]
    assert requests.adapters.HTTPAdapter.send is send
