"""Online engines: behaving and misbehaving servers give names, recordings, counts or one clear error; nothing is asked
twice.
"""

import base64
import io
import json
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import gtts.tts
import numpy as np
import pytest
import requests
import soundfile
import typer
from deep_translator import constants
from factories import WNIDS as TREE_WNIDS
from factories import build, problems, rows_of
from typer.testing import CliRunner

from symile_data.builders.m3 import sources as builds
from symile_data.builders.m3.audio.gtts_speech import gather_speech, gtts_speech
from symile_data.builders.m3.text import translate as translation
from symile_data.builders.m3.text.online import (
    AnswerCache,
    FailureCounts,
    OnlineError,
    Patience,
    default_cache,
    no_answer,
)
from symile_data.builders.m3.text.translate import check_name, format_names, translate_names
from symile_data.cli.translate import translate
from symile_data.datasets.m3.names import NamesTable, parse_names, read_names
from symile_data.errors import MissingPackageError, OutputError, SourceError, UsageError
from symile_data.format.manifest import Dropped

TABLE = parse_names(
    "wnid\ten\tel\tuk\nn01\tlion\tλέων\tлевик\nn02\tlemon\tλεμόνι\tлимон\nn03\tdrum\tτύμπανο\tбубон\n", "x"
)
WNIDS = ("n01", "n02", "n03")
GREEK = {"lion": "λιοντάρι", "lemon": "λεμόνι", "drum": "ντραμς"}

Reply = tuple[int, str] | None  # status and body; None closes the connection without an answer


class Server:
    """Answers by a script: `reply(text, target, n)` where n counts the requests for that text."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.reply: Callable[[str, str, int], Reply] = lambda text, target, n: (200, google(GREEK[text]))
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                self._answer(query["q"][0], query.get("tl", query.get("langpair", [""]))[0])

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                call = json.loads(unquote(body.removeprefix("f.req=").rstrip("&")))
                text, language, *_ = json.loads(call[0][0][1])
                self._answer(text, language)

            def _answer(self, text: str, target: str) -> None:
                server.asked[text] += 1
                reply = server.reply(text, target, server.asked[text])
                if reply is None:
                    # RST instead of an orderly end.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    self.close_connection = True
                    return
                status, body = reply
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/m"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def google(name: str) -> str:
    return f'<html><div class="result-container">{name}</div></html>'


def mymemory(name: str | None, **more: Any) -> str:
    return json.dumps({"responseData": {"translatedText": name}, "matches": [], **more})


def spoken(mp3: bytes) -> str:
    inner = json.dumps(f'["{base64.b64encode(mp3).decode()}"]')
    return f')]}}\'\n\n[["wrb.fr","jQ1olc",{inner},null,null,null,"generic"]]\n'


def mp3(seconds: float = 0.5, rate: int = 24_000, level: float = 0.3) -> bytes:
    time = np.arange(int(seconds * rate)) / rate
    buffer = io.BytesIO()
    soundfile.write(buffer, level * np.sin(2 * np.pi * 440 * time), rate, format="MP3")
    return buffer.getvalue()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    use(monkeypatch, server.url)
    yield server
    server.close()


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for engine in ("GOOGLE_TRANSLATE", "MYMEMORY"):
        monkeypatch.setitem(constants.BASE_URLS, engine, url)
    monkeypatch.setattr(gtts.tts, "_translate_url", lambda **_: url)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


class Sleeps(list[float]):
    """Notes the waits instead of waiting."""

    def patience(self, **changes: float) -> Patience:
        return Patience(sleep=self.append, timeout_seconds=changes.get("timeout_seconds", 5.0))


def translated(
    cache: Path, *, languages: tuple[str, ...] = ("el",), engine: Any = "google", strict: bool = False,
    table: NamesTable = TABLE, timeout_seconds: float = 5.0, sleeps: Sleeps | None = None,
) -> tuple[NamesTable, list[Dropped]]:  # fmt: skip
    sleeps = Sleeps() if sleeps is None else sleeps
    return translate_names(
        table,
        WNIDS,
        languages,
        engine=engine,
        cache=cache,
        strict=strict,
        pause_seconds=0.25,
        patience=sleeps.patience(timeout_seconds=timeout_seconds),
    )


def reasons(dropped: list[Dropped]) -> dict[str, int | None]:
    return {entry.reason: entry.count for entry in dropped}


def test_names_come_from_the_engine_and_the_rest_stays(server: Server, tmp_path: Path) -> None:
    table, dropped = translated(tmp_path, languages=("el", "en"))
    assert table.names == {**TABLE.names, "el": ("λιοντάρι", "λεμόνι", "ντραμς")}
    assert (table.wnids, dropped) == (TABLE.wnids, [])
    assert server.asked == {"lion": 1, "lemon": 1, "drum": 1}


def test_mymemory_is_asked_with_countries(server: Server, tmp_path: Path) -> None:
    pairs = set()

    def reply(text: str, target: str, n: int) -> Reply:
        pairs.add(target)
        return 200, mymemory(GREEK[text])

    server.reply = reply
    assert translated(tmp_path, engine="mymemory")[0].names["el"] == ("λιοντάρι", "λεμόνι", "ντραμς")
    assert pairs == {"en-GB|el-GR"}


def test_every_language_is_known_to_both_engines(tmp_path: Path) -> None:
    bundled = read_names()
    languages = [language for language in bundled.names if language != "en"]
    for engine in ("google", "mymemory"):
        assert translate_names(bundled, [], languages, engine=engine, cache=tmp_path, strict=True)[1] == []


def test_a_second_run_asks_only_what_is_missing(server: Server, tmp_path: Path) -> None:
    good = server.reply
    server.reply = lambda text, target, n: (404, "") if text == "lemon" else good(text, target, n)
    first, dropped = translated(tmp_path)
    assert reasons(dropped) == {"translation: HTTP 404": 1}
    assert dropped[0].examples == ["n02 el"]
    server.asked.clear()
    server.reply = good
    second, dropped = translated(tmp_path)
    assert (server.asked, dropped) == ({"lemon": 1}, [])
    assert first.names == second.names  # the engine's lemon is the bundled one


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[]", b'{"answer": "x"}', None])
def test_a_damaged_answer_on_disk_is_asked_again_and_replaced(
    server: Server, tmp_path: Path, damage: bytes | None
) -> None:
    translated(tmp_path)
    request = {"engine": "google", "source": "en", "target": "el", "text": "lion"}
    path = AnswerCache(tmp_path).path(request)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] if damage is None else damage)
    server.asked.clear()
    assert translated(tmp_path)[0].names["el"][0] == "λιοντάρι"
    assert (server.asked, path.read_bytes()) == ({"lion": 1}, whole)


def test_a_changed_answer_on_disk_is_noticed(tmp_path: Path) -> None:
    cache, request = AnswerCache(tmp_path), {"text": "lion"}
    cache.write(request, "λιοντάρι")
    assert cache.read(request) == "λιοντάρι"
    assert cache.read({"text": "lemon"}) is None
    path = cache.path(request)
    path.write_text(path.read_text(encoding="utf-8").replace("λιοντάρι", "λέων"), encoding="utf-8")
    assert cache.read(request) is None
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [path.name]


def test_a_cache_that_is_a_file_is_an_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"the cache is not a directory \(.*file\)"):
        translated(tmp_path / "file")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again_after_growing_waits(server: Server, tmp_path: Path, status: int) -> None:
    good = server.reply
    server.reply = lambda text, target, n: (status, "") if text == "lion" and n < 4 else good(text, target, n)
    sleeps = Sleeps()
    table, dropped = translated(tmp_path, sleeps=sleeps)
    assert (table.names["el"][0], dropped, server.asked["lion"]) == ("λιοντάρι", [], 4)
    pause, first, second, third, *rest = sleeps
    assert 1 <= first < 2 <= second < 4 <= third < 8
    assert [pause, *rest] == [0.25] * 3
    again = Sleeps()
    server.asked.clear()
    translated(tmp_path / "other", sleeps=again)
    assert again == sleeps


@pytest.mark.parametrize(("status", "requests"), [(500, 5), (429, 5), (403, 1)])
def test_an_engine_that_keeps_failing_is_left_alone(server: Server, tmp_path: Path, status: int, requests: int) -> None:
    server.reply = lambda text, target, n: (status, "")
    table, dropped = translated(tmp_path, languages=("el", "uk"))
    assert table.names == TABLE.names
    assert reasons(dropped) == {
        f"translation: HTTP {status}": 3,
        "translation: not asked, as the engine gave no answers before": 3,
    }
    assert server.asked == dict.fromkeys(("lion", "lemon", "drum"), requests)


def test_a_reset_connection_is_tried_again(server: Server, tmp_path: Path) -> None:
    good = server.reply
    server.reply = lambda text, target, n: None if n == 1 else good(text, target, n)
    assert translated(tmp_path)[1] == []
    assert set(server.asked.values()) == {2}


def test_a_server_that_never_answers_is_a_time_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        use(monkeypatch, f"http://127.0.0.1:{hanging.getsockname()[1]}/m")
        assert reasons(translated(tmp_path, timeout_seconds=0.02)[1]) == {"translation: time-out": 3}
        with pytest.raises(OnlineError, match="time-out"):
            gtts_speech("Hi.", "en", cache=tmp_path, strict=False, patience=Sleeps().patience(timeout_seconds=0.02))


def test_an_engine_that_is_offline_is_no_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    use(monkeypatch, f"http://127.0.0.1:{port}/m")
    sleeps = Sleeps()
    assert reasons(translated(tmp_path, sleeps=sleeps)[1]) == {"translation: no connection": 3}
    assert len(sleeps) == 3 * 5


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("lion", "wrong script"),
        ("лев", "wrong script"),
        ("λιοντάρι lion", "wrong script"),
        ("42", "wrong script"),
        ("λιοντάρι (ζώο)", "punctuation"),
        ("λιοντάρι, λέων", "punctuation"),
        ("λ" * 61, "too long"),
        ("Λεμόνι", "same as another name"),
        ("...", "empty answer"),
        ("", "empty answer"),
    ],
)
def test_an_answer_that_is_no_name_keeps_the_old_one(server: Server, tmp_path: Path, body: str, reason: str) -> None:
    server.reply = lambda text, target, n: (200, google(body if text == "lion" else GREEK[text]))
    table, dropped = translated(tmp_path)
    assert table.names["el"] == ("λέων", "λεμόνι", "ντραμς")
    assert reasons(dropped) == {f"translation: {reason}": 1}
    with pytest.raises(SourceError, match=rf"^no translation: {reason} \(google, n01 'lion' in el\); got .* Run"):
        translated(tmp_path, strict=True)


def test_an_answer_equal_to_a_sign_is_no_answer(server: Server, tmp_path: Path) -> None:
    table = parse_names("wnid\ten\tel\nn01\t+\tλέων\nn02\tlemon\tλεμόνι\nn03\tdrum\tτύμπανο\n", "x")
    server.reply = lambda text, target, n: (200, google(GREEK.get(text, text)))
    assert reasons(translated(tmp_path, table=table)[1]) == {"translation: no answer": 1}


def test_a_page_without_a_translation_is_no_answer(server: Server, tmp_path: Path) -> None:
    server.reply = lambda text, target, n: (200, "<html>Are you a robot?</html>")
    assert reasons(translated(tmp_path)[1]) == {"translation: no answer": 3}
    with pytest.raises(OnlineError, match=r"no answer \(google, n01 'lion' in el\)"):
        translated(tmp_path, strict=True)


def test_a_quota_warning_is_no_translation_and_ends_the_asking(server: Server, tmp_path: Path) -> None:
    warning = "MYMEMORY WARNING: YOU USED ALL AVAILABLE FREE TRANSLATIONS FOR TODAY."
    server.reply = lambda text, target, n: (200, mymemory(warning))
    table, dropped = translated(tmp_path, engine="mymemory", languages=("el", "uk"))
    assert table.names == TABLE.names
    assert reasons(dropped)["translation: quota text"] == 3
    assert sum(server.asked.values()) == 3
    server.reply = lambda text, target, n: (200, mymemory(GREEK[text]))
    assert translated(tmp_path, engine="mymemory")[1] == []  # the warning was not kept


@pytest.mark.parametrize(
    "body",
    ["<html>", "null", "[]", '{"responseData": null}', mymemory(None), mymemory(None, matches=[{}]), '{"matches": 3}'],
)
def test_an_answer_of_another_form_is_unreadable(server: Server, tmp_path: Path, body: str) -> None:
    server.reply = lambda text, target, n: (200, body)
    assert reasons(translated(tmp_path, engine="mymemory")[1]) == {"translation: unreadable answer": 3}


def test_of_two_equal_answers_the_confirmed_one_stays(server: Server, tmp_path: Path) -> None:
    server.reply = lambda text, target, n: (200, google("τύμπανο" if text != "lemon" else "λέων"))
    # lion: τύμπανο (drum's own name) falls back to λέων, which then collides with the answer for lemon.
    table, dropped = translated(tmp_path)
    assert table.names["el"] == TABLE.names["el"]
    assert reasons(dropped) == {"translation: same as another name": 2}
    table.select(WNIDS, ["en", "el"])


def test_the_first_of_two_equal_new_answers_stays(server: Server, tmp_path: Path) -> None:
    server.reply = lambda text, target, n: (200, google("νέο"))
    assert translated(tmp_path)[0].names["el"] == ("νέο", "λεμόνι", "τύμπανο")


@pytest.mark.parametrize(
    ("answer", "language", "name", "fault"),
    [
        (" Золота\u00a0 рибка. ", "uk", "Золота рибка", None),
        ("тер'єр", "uk", "тер’єр", None),
        ("рыба", "uk", "рыба", "wrong language"),
        ("\u200fأسد\u200e", "ar", "أسد", None),
        ("గోల్డ్\u200cఫిష్", "te", "గోల్డ్\u200cఫిష్", None),
        ("コリー・犬", "ja", "コリー・犬", None),
        ("金鱼", "zh-CN", "金鱼", None),
        ("キンギョ", "zh-CN", "キンギョ", "wrong script"),
        ("λιοντάρι", "el", "λιοντάρι", None),
        (7, "el", "", "no answer"),
    ],
)
def test_answers_are_tidied_and_judged(answer: object, language: str, name: str, fault: str | None) -> None:
    assert check_name(answer, language, translation.SCRIPTS[language]) == (name, fault)


def test_the_bundled_names_pass_the_checks() -> None:
    bundled = read_names()
    for language, scripts in translation.SCRIPTS.items():
        for name in bundled.names[language]:
            found, fault = check_name(name, language, scripts)
            assert (found.replace("’", "'"), fault) == (name.replace("’", "'"), None)


def test_a_new_language_is_held_to_the_script_of_its_column(server: Server, tmp_path: Path) -> None:
    table = parse_names("wnid\ten\tka\nn01\tlion\tლომი\nn02\tlemon\tლიმონი\nn03\tdrum\tდოლი\n", "x")
    server.reply = lambda text, target, n: (200, google("ძველი" if text == "lion" else GREEK[text]))
    found, dropped = translated(tmp_path, table=table, languages=("ka",))
    assert found.names["ka"] == ("ძველი", "ლიმონი", "დოლი")
    assert reasons(dropped) == {"translation: wrong script": 2}


def test_unknown_engines_languages_and_classes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown translation engine; got 'bing'. Choose among google, mymemory."):
        translated(tmp_path, engine="bing")
    table = parse_names("wnid\ten\txx\nn01\tlion\tλ\nn02\tlemon\tμ\nn03\tdrum\tν\n", "x")
    for engine in ("google", "mymemory"):
        with pytest.raises(UsageError, match=f"{engine} does not know a language; got xx"):
            translated(tmp_path, engine=engine, table=table, languages=("xx",))
    with pytest.raises(SourceError, match="no line for 1 of the classes"):
        translate_names(TABLE, ["n09"], ["el"], engine="google", cache=tmp_path, strict=False)


def test_the_written_table_reads_back() -> None:
    assert parse_names(format_names(TABLE, ["el", "en", "uk"]), "x") == TABLE


def say(text: str, cache: Path, language: str = "el", sleeps: Sleeps | None = None) -> np.ndarray:
    sleeps = Sleeps() if sleeps is None else sleeps
    return gtts_speech(text, language, cache=cache, strict=False, patience=sleeps.patience())


def test_speech_is_decoded_levelled_and_kept(server: Server, tmp_path: Path) -> None:
    server.reply = lambda text, target, n: (200, spoken(mp3()))
    wave = say("Καλημέρα.", tmp_path)
    assert wave.dtype == np.float32 and wave.ndim == 1
    assert abs(len(wave) / 16_000 - 0.5) < 0.1
    assert abs(20 * np.log10(np.sqrt(np.mean(wave.astype(float) ** 2))) + 23.0) < 0.1
    assert np.argmax(np.abs(np.fft.rfft(wave))) * 16_000 / len(wave) == pytest.approx(440, abs=5)
    assert np.array_equal(say("Καλημέρα.", tmp_path), wave)
    assert server.asked == {"Καλημέρα.": 1}
    say("Καλημέρα.", tmp_path, "uk")
    assert server.asked == {"Καλημέρα.": 2}


def test_a_damaged_recording_on_disk_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.reply = lambda text, target, n: (200, spoken(mp3()))
    wave = say("Γεια.", tmp_path)
    request = {"engine": "gtts", "target": "el", "text": "Γεια."}
    for junk in ("", "no base64", base64.b64encode(b"no mp3").decode()):
        AnswerCache(tmp_path).write(request, junk)
        assert np.array_equal(say("Γεια.", tmp_path), wave)
    assert server.asked == {"Γεια.": 4}


@pytest.mark.parametrize(
    ("reply", "reason", "requests"),
    [
        ((200, ""), "empty audio", 1),
        ((200, ")]}'\n\n[[]]\n"), "empty audio", 1),
        ((200, '["wrb.fr","jQ1olc",null]\n'), "empty audio", 1),
        ((200, spoken(b"")), "empty audio", 1),
        ((200, spoken(b"this is no mp3 at all")), "audio that does not decode", 1),
        ((200, spoken(mp3(level=0.0))), "empty audio", 1),
        ((200, '["wrb.fr","jQ1olc","[\\"abc\\"]"]\n'), "unreadable answer", 1),
        ((403, ""), "HTTP 403", 1),
        ((404, ""), "HTTP 404", 1),
        ((429, ""), "HTTP 429", 5),
        ((500, ""), "HTTP 500", 5),
        (None, "no connection", 5),
    ],
)
def test_an_answer_without_audio_is_an_error(
    server: Server, tmp_path: Path, reply: Reply, reason: str, requests: int
) -> None:
    server.reply = lambda text, target, n: reply
    with pytest.raises(OnlineError, match=rf"^no speech: {re.escape(reason)} \(gtts, 'Hi.' in el\)") as caught:
        say("Hi.", tmp_path)
    assert (caught.value.what, server.asked["Hi."]) == (f"no speech: {reason}", requests)
    server.reply = lambda text, target, n: (200, spoken(mp3()))
    assert say("Hi.", tmp_path).size  # the failure was not kept


@pytest.mark.parametrize(
    ("text", "language", "reason"), [("Hi.", "EL", "language not supported"), ("...", "el", "nothing to speak")]
)
def test_what_cannot_be_spoken_is_not_asked(
    server: Server, tmp_path: Path, text: str, language: str, reason: str
) -> None:
    with pytest.raises(OnlineError, match=reason):
        say(text, tmp_path, language)
    assert not server.asked


def test_many_recordings_are_gathered_and_failures_counted(server: Server, tmp_path: Path) -> None:
    server.reply = lambda text, target, n: (200, "" if text == "b" else spoken(mp3()))
    texts = [("a", "el"), ("b", "el"), ("c", "uk")]
    failed, dropped = gather_speech(texts, cache=tmp_path, strict=False, patience=Sleeps().patience())
    assert failed == {("b", "el")}
    assert dropped == [Dropped(reason="speech: empty audio", count=1, examples=["el 'b'"])]
    with pytest.raises(OnlineError, match=r"empty audio .*\(no `strict`\)"):
        gather_speech(texts, cache=tmp_path, strict=True, patience=Sleeps().patience())
    server.reply = lambda text, target, n: (503, "")
    texts += [(letter, "uk") for letter in "defg"]
    failed, dropped = gather_speech(texts, cache=tmp_path, strict=False, patience=Sleeps().patience())
    assert reasons(dropped) == {"speech: HTTP 503": 3, "speech: not asked, as the engine gave no answers before": 2}
    assert len(failed) == 5


@pytest.mark.parametrize(("package", "named"), [("deep_translator", "deep-translator"), ("gtts", "gTTS")])
def test_a_missing_package_is_an_error_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, named: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingPackageError, match=rf"package {named}, .*un: pip install -c constraints.txt -e '.\[online\]'"
    ):
        translated(tmp_path) if named == "deep-translator" else say("Hi.", tmp_path)


def test_a_request_has_a_time_out_only_while_an_engine_is_asked(server: Server, tmp_path: Path) -> None:
    before = requests.adapters.HTTPAdapter.send
    translated(tmp_path)
    assert requests.adapters.HTTPAdapter.send is before


def test_failure_counts_give_up_after_three_silences_in_a_row() -> None:
    failures = FailureCounts()
    for status in (500, 403):
        failures.unanswered(no_answer(status))
    failures.heard()
    for last in (None, 429, 500):
        assert not failures.given_up
        failures.unanswered(no_answer(last))
    assert failures.given_up


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "symile-data" / "online"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "symile-data" / "online"


def test_the_command_writes_a_table(server: Server, tmp_path: Path) -> None:
    translated(tmp_path / "cache")
    server.reply = lambda text, target, n: (200, google("lion"))
    translated(tmp_path / "other")
    server.asked.clear()  # from here on all answers are on disk
    names = tmp_path / "names.tsv"
    names.write_text(format_names(TABLE, ["el", "uk"]), encoding="utf-8")
    app = typer.Typer()
    app.command()(translate)
    out = tmp_path / "out" / "table.tsv"
    options = ["--out", str(out), "--langs", "2", "--names", str(names), "--cache", str(tmp_path / "cache")]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert "3 classes in 2 languages, 3 names by google" in result.stdout
    assert out.read_text(encoding="utf-8").startswith("wnid\ten\tel\nn01\tlion\tλιοντάρι\n")
    result = CliRunner().invoke(app, [*options[:-1], str(tmp_path / "other"), "--strict"])
    assert isinstance(result.exception, OnlineError)
    result = CliRunner().invoke(app, [*options, "--engine", "bing"])
    assert result.exit_code == 2 and "'bing' is not one of 'google'" in " ".join(result.output.split())
    assert not server.asked


def test_a_build_asks_the_engine_and_counts_what_it_did_not_give(
    server: Server, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = Sleeps().patience()
    monkeypatch.setattr(
        builds, "translate_names", lambda *a, **k: translate_names(*a, **k, pause_seconds=0.0, patience=patient)
    )
    table = read_names()
    english = [table.names["en"][table.wnids.index(wnid)] for wnid in TREE_WNIDS]
    greek = dict(zip(english, ("χαλίκι", "σύννεφο", "ποτάμι", "lion"), strict=True))  # the last is in the wrong script
    server.reply = lambda text, target, n: (200, google(greek[text]))
    options: dict[str, Any] = {"engine": "google", "cache": tmp_path / "cache"}
    manifest = build(tree, tmp_path / "out", **options)
    assert problems(tmp_path / "out") == []
    assert server.asked == Counter(english)
    assert [(entry.reason, entry.count) for entry in manifest.dropped] == [("translation: wrong script", 1)]
    words = {
        w["text"]
        for split in manifest.splits
        for row in rows_of(tmp_path / "out", split)
        for w in row["words"]
        if w["lang"] == "el"
    }
    assert words == {"χαλίκι", "σύννεφο", "ποτάμι", table.names["el"][table.wnids.index(TREE_WNIDS[3])]}
    with pytest.raises(OnlineError, match=r"no translation: wrong script \(google, .* in el\); got 'lion'"):
        build(tree, tmp_path / "strict", **options, strict=True)
    assert not (tmp_path / "strict").exists()
    assert server.asked == Counter(english)  # all from the cache


@pytest.mark.parametrize(("engine", "body"), [("google", "<html>Are you a robot?</html>"), ("mymemory", "<html>")])
def test_an_engine_that_sends_other_pages_is_left_alone(server: Server, tmp_path: Path, engine: str, body: str) -> None:
    server.reply = lambda text, target, n: (200, body)
    translated(tmp_path, languages=("el", "uk"), engine=engine)
    assert sum(server.asked.values()) == 3
