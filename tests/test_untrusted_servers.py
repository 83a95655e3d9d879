"""Web servers of strangers: whatever they answer, a dataset opens or one sentence says why not, soon and in little
memory.
"""

import gzip
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hostile_server import HostileServer, Request, hostile

from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.errors import DamageError, SymileDataError
from symile_data.files import RefusedError
from symile_data.format import location as locations
from symile_data.format import manifest as manifests
from symile_data.format import web
from symile_data.format.location import Location
from symile_data.loaders import open_split

MANIFEST = f"/{manifests.FILE_NAME}"
SMALL = 1 << 20  # what stands for the limits in these tests


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("servers") / "xor"
    build_xor(XorSpec(rows={"train": 4, "validation": 2, "test": 2}), out, workers=1, write_card=lambda *_: [])
    return out


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No wait is real; the waits that there would have been."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def test_an_honest_server_is_read(dataset: Path) -> None:
    with hostile(lambda request: request.file(dataset)) as server:
        assert open_split(server.url, "train").rows == 4


ENDLESS: dict[str, Callable[[Request], object]] = {
    "without a length": lambda request: request.endless(200, bytes(1 << 16)),
    "with a lie about its length": lambda request: request.endless(200, bytes(1 << 16), Content_Length=str(1 << 40)),
    "as a partial answer": lambda request: request.endless(206, bytes(1 << 16), Content_Range="bytes 0-9/10"),
    "that does not say where it ends": lambda request: request.endless(206, b" " * 1000),
}


@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("name", ["manifest.json", "README.md"])
def test_an_endless_file_is_left_after_its_limit(
    body: Callable[[Request], None], name: str, monkeypatch: pytest.MonkeyPatch, impatient: list[float]
) -> None:
    read_at_most = web.WebServer.read_at_most
    monkeypatch.setattr(web.WebServer, "read_at_most", lambda self, url, _: read_at_most(self, url, SMALL))
    with hostile(lambda request: body(request) if request.path == f"/{name}" else request.reply(404)) as server:
        tracemalloc.start()
        with pytest.raises(DamageError, match="more than the 1048576 bytes"):
            open_split(server.url, "train")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert server.sent < 32 << 20  # what is on the way in buffers of the system
    assert peak < 8 << 20
    assert [path for _, path in server.asked].count(f"/{name}") == 1 and not impatient


def test_the_limits_that_are_used_are_those_of_the_manifest_and_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def noted(_: web.WebServer, url: str, most_bytes: int) -> bytes:
        asked.append((url.rpartition("/")[2], most_bytes))
        raise FileNotFoundError(url)

    monkeypatch.setattr(web.WebServer, "read_at_most", noted)
    with hostile(lambda request: request.reply(404)) as server, pytest.raises(DamageError, match="neither a manifest"):
        open_split(server.url, "train")
    assert asked == [("manifest.json", 64 << 20), ("README.md", 8 << 20)]


def test_a_file_that_never_arrives_is_left_once(monkeypatch: pytest.MonkeyPatch, impatient: list[float]) -> None:
    monkeypatch.setattr(web, "_TIMEOUT", aiohttp.ClientTimeout(total=0.1))
    done = threading.Event()

    def answer(request: Request) -> None:
        request.start(200, Content_Length="100")
        request.wfile.write(b"{")
        done.wait(10)

    with hostile(answer) as server:
        with pytest.raises(DamageError, match="seconds that one answer may take"):
            open_split(server.url, "train")
        done.set()
    assert server.asked == [("GET", MANIFEST)] and not impatient


@pytest.mark.parametrize("status", [200, 206])
def test_a_range_brings_no_more_than_its_bytes(dataset: Path, status: int, impatient: list[float]) -> None:
    def answer(request: Request) -> None:
        if "Range" in request.headers:
            request.endless(status, bytes(1 << 16))
        else:
            request.file(dataset)

    with hostile(answer) as server, pytest.raises(DamageError, match="bytes that may come"):
        open_split(server.url, "train")
    assert server.sent < 32 << 20 and not impatient


def test_a_short_range_is_an_error(dataset: Path) -> None:
    def answer(request: Request) -> None:
        request.reply(206, b"x") if "Range" in request.headers else request.file(dataset)

    with hostile(answer) as server, pytest.raises(DamageError, match="1 bytes where"):
        open_split(server.url, "train")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_compressed_answers_are_refused_and_never_asked_for(coding: str, impatient: list[float]) -> None:
    asked: list[str | None] = []

    def answer(request: Request) -> None:
        asked.append(request.headers.get("Accept-Encoding"))
        request.reply(200, gzip.compress(bytes(1 << 24)), Content_Encoding=coding)

    with hostile(answer) as server, pytest.raises(DamageError, match="the server compresses"):
        open_split(server.url, "train")
    assert asked == ["identity"] and not impatient


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 416, 451])
def test_hopeless_requests_are_made_once(status: int, impatient: list[float]) -> None:
    with hostile(lambda request: request.reply(status)) as server:
        place = Location.of(server.url)
        for read in (lambda: place.read("x", 0, 4), lambda: place.read_text("x")):
            with pytest.raises(OSError):
                read()
        assert server.asked == [("GET", "/x")] * 2
        with pytest.raises(OSError):
            place.size("x")
        assert not impatient


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_pass_is_asked_again(dataset: Path, status: int, impatient: list[float]) -> None:
    failed: set[tuple[str, str]] = set()

    def answer(request: Request) -> None:
        key = (request.command, request.path + request.headers.get("Range", ""))
        if key in failed or request.command == "HEAD":
            request.file(dataset)
        else:
            failed.add(key)
            request.reply(status)

    with hostile(answer) as server:
        assert open_split(server.url, "train").rows == 4
    assert impatient


def test_a_size_that_cannot_be_asked_for_now_is_no_missing_file(impatient: list[float]) -> None:
    with hostile(lambda request: request.reply(503)) as server, pytest.raises(OSError, match="503"):
        Location.of(server.url).size("x")
    assert impatient == list(locations.RETRY_PAUSES_S)


def moved(target: str) -> Callable[[Request], None]:
    return lambda request: request.reply(302, Location=target)


@pytest.mark.parametrize(
    "target", ["https://127.0.0.1:1/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "FILE:/x", "data:,x", "HTTPS://x/y"]
)
def test_a_redirect_to_another_scheme_is_refused(target: str, impatient: list[float]) -> None:
    with hostile(moved(target)) as server:
        with pytest.raises(DamageError, match="redirects to another scheme"):
            open_split(server.url, "train")
        with pytest.raises(OSError, match="redirects to another scheme"):
            Location.of(server.url).size("x")
    assert not impatient


@pytest.mark.parametrize("target", ["http://[", "//["])
def test_a_redirect_to_no_address_is_refused(target: str, impatient: list[float]) -> None:
    with hostile(moved(target)) as server, pytest.raises(DamageError, match="no address"):
        open_split(server.url, "train")
    assert not impatient


def test_redirects_without_end_are_left(impatient: list[float]) -> None:
    with hostile(moved("/x")) as server, pytest.raises(DamageError, match="redirects more than 5 times"):
        open_split(server.url, "train")
    assert len(server.asked) == 6 and not impatient


def test_a_redirect_within_a_private_network_is_followed(dataset: Path) -> None:
    with (
        hostile(lambda request: request.file(dataset), "127.0.0.2") as behind,
        hostile(lambda request: request.reply(307, Location=behind.url + request.path)) as server,
    ):
        assert open_split(server.url, "train").rows == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_public_server_does_not_lead_into_a_private_network(
    dataset: Path, status: int, monkeypatch: pytest.MonkeyPatch, impatient: list[float]
) -> None:
    """127.0.0.1 stands for a public address."""
    monkeypatch.setattr(web, "is_private", lambda address: address != "127.0.0.1")

    with (
        hostile(lambda request: request.file(dataset), "127.0.0.2") as inner,
        hostile(lambda request: request.reply(status, Location=inner.url + request.path)) as server,
    ):
        place = Location.of(server.url)
        for read in (lambda: place.read_text("x"), lambda: place.read("x", 0, 4), lambda: place.size("x")):
            with pytest.raises(OSError, match="leads into a private network"):
                read()
        with pytest.raises(DamageError, match=r"leads into a private network \(127.0.0.2\)"):
            open_split(server.url, "train")
    assert inner.asked == [] and not impatient


def test_public_servers_may_lead_to_public_ones(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "is_private", lambda _: False)
    with (
        hostile(lambda request: request.file(dataset), "127.0.0.2") as behind,
        hostile(lambda request: request.reply(302, Location=behind.url + request.path)) as server,
    ):
        assert open_split(server.url, "train").rows == 4


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
        "::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "224.0.0.1",
    ],
)  # fmt: skip
def test_private_addresses_are_known(address: str) -> None:
    assert web.is_private(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_known(address: str) -> None:
    assert not web.is_private(address)


def page(body: bytes) -> Callable[[Request], None]:
    """A server of one folder's page."""
    return lambda request: (
        request.reply(200, body, Content_Type="text/html") if request.path == "/" else (request.reply(404))
    )


def listing(answer: Callable[[Request], None]) -> list[str]:
    with hostile(answer) as server:
        return Location.of(server.url).listed()


def test_a_page_lists_what_is_directly_below_it() -> None:
    links = [
        "a.parquet", "./b.parquet", "/d/c.parquet", "d%20e.parquet", "f&amp;g.parquet", "h%2525.parquet", "sub/",
        "..", "../", "/", "?C=N", "deep/er.parquet", "../up.parquet", "https://elsewhere/x.parquet", "#x",
        "javascript:alert(1)", "//elsewhere/y.parquet", "http://[", "i%2Fj.parquet",
    ]  # fmt: skip
    body = "".join(f"<a HREF='{link}'>x</a>" for link in links).encode()
    with hostile(lambda request: request.reply(200, body)) as server:
        place = Location.of(f"{server.url}/d")
        assert place.listed() == [
            "a.parquet", "b.parquet", "c.parquet", "d e.parquet", "f&g.parquet", "h%2525.parquet", "i%2Fj.parquet",
        ]  # fmt: skip
        assert place.folders() == ["sub"]


def test_an_endless_page_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MOST_PAGE_BYTES", SMALL)
    with pytest.raises(RefusedError, match="more than the 1048576 bytes"):
        listing(lambda request: request.endless(200, b"<a href='x'>", Content_Type="text/html"))


def test_a_page_of_too_many_links_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MOST_LINKS", 100)
    assert len(listing(page(b"".join(b"<a href='%d'>" % number for number in range(100))))) == 100
    with pytest.raises(RefusedError, match="more than 100 links"):
        listing(page(b"<a href='x'>" * 101))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["<a ", " ", "href=", "href='", "href   ", "<a href='x", "&", "http://a/"])
def test_a_page_that_is_hard_to_read_takes_no_time(part: str) -> None:
    listing(page((part * SMALL)[: SMALL // 8].encode()))


def test_two_datasets_have_gates_of_their_own() -> None:
    def server() -> Any:
        return Location.of("http://127.0.0.1:9/x").system

    assert server() is not server()


ODD: dict[str, Callable[[Request], object]] = {
    "no UTF-8": lambda request: request.reply(200, b"\xff\xfe"),
    "no JSON": lambda request: request.reply(200, b"[" * 100_000),
    "nothing": lambda request: request.reply(200),
    "a wrong length": lambda request: request.start(200, Content_Length="x"),
    "a negative length": lambda request: request.start(200, Content_Length="-5"),
    "no HTTP": lambda request: request.wfile.write(b"SSH-2.0\r\n\r\n"),
    "headers without end": lambda request: request.start(200, **{f"X{i}": "y" * 8000 for i in range(20)}),
    "a closed line": lambda request: request.connection.close(),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
def test_odd_answers_are_sentences(answer: Callable[[Request], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HostileServer, "handle_error", lambda *_: None)
    with hostile(answer) as server, pytest.raises(SymileDataError):
        open_split(server.url, "train")
