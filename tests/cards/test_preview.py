"""The preview page: complete in itself, true to the rows, honest about what is missing, looked at by a browser."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_datasets import Tiny, jpeg, mimic_tiny, write_tiny, xor_tiny

from symile_data.cards.preview import default_path, write_preview
from symile_data.cards.preview.drawing import bar_path, envelope_path
from symile_data.cards.preview.page import card_of
from symile_data.cards.preview.panels import panel_of
from symile_data.cards.preview.rows import Row, choose_rows
from symile_data.cards.preview.sound import spectrogram
from symile_data.cards.statistics.collect import evenly_spaced
from symile_data.datasets.m3.languages import LANGUAGE_NAMES
from symile_data.errors import DamageError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.schema import Modality

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """Elements of a page in order, each with its attributes, and the text inside it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.elements if name == tag]


def finished(tiny: Tiny) -> Tiny:
    manifests.write(tiny.directory, tiny.manifest)
    return tiny


def page_of(tiny: Tiny, tmp_path: Path, **options: Any) -> str:
    out = tmp_path / "page.html"
    write_preview(finished(tiny).directory, out, **options)
    return out.read_text(encoding="utf-8")


def decoded(uri: str) -> bytes:
    assert uri.startswith("data:")
    return base64.b64decode(uri.partition("base64,")[2], validate=True)


def row_of(value: Any, kind: pa.DataType, **columns: Any) -> Row:
    table = {"x": pa.array([value], kind), "x_missing": pa.array([value is None])}
    return Row(0, pa.table({**table, **{name: pa.array([given]) for name, given in columns.items()}}))


def modality(kind: str, **options: Any) -> Modality:
    return Modality(**{"name": "x", "kind": kind, "column": "x", "null_columns": ("x",), **options})


@pytest.fixture(scope="module")
def m3_page(documented: Tiny, tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("page")
    copy = replace(documented, directory=shutil.copytree(documented.directory, directory / "m3"))
    return page_of(copy, directory, count=24)


def test_the_page_asks_for_nothing(m3_page: str) -> None:
    page = Page(m3_page)
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "poster", "action", "data"):
            assert attributes.get(name, "data:").startswith(("data:", "#")), (tag, name)
        assert not any(name.startswith("on") for name in attributes)
    assert not page.of("script") and not page.of("link")
    assert not re.search(r"url\((?!data:font)|@import", m3_page)
    policy = next(meta["content"] for meta in page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_every_row_has_its_media_words_and_masks(documented: Tiny, m3_page: str) -> None:
    rows = documented.rows["train"]
    articles = m3_page.split("<article")[1:]
    assert len(articles) == len(rows)
    for row, text in zip(rows, articles, strict=True):
        page = Page("<article" + text)
        images = [decoded(image["src"]) for image in page.of("img") if image.get("class") == "image"]
        assert images == ([] if row["image_missing"] else [row["image"]["bytes"]])
        recordings = [decoded(audio["src"]) for audio in page.of("audio")]
        assert recordings == ([] if row["audio_missing"] else [row["audio"]["bytes"]])
        words = re.findall(r'<bdi lang="([^"]+)">([^<]+)</bdi>', text)
        assert words == [(word["lang"], word["text"]) for word in row["words"] or []]
        targets = re.findall(r'class="target"[^>]*><bdi lang="[^"]+">([^<]+)', text)
        assert targets == ([row["target_text"]] if row["words"] else [])
        for name in ("image", "audio", "text"):
            assert (f"{name} is missing" in page.text) == row[f"{name}_missing"]
            assert f"{name} present" not in page.text  # what is always there needs no mark
        assert f"sample {row['sample_id']}" in page.text


def test_images_sounds_and_drawings_are_named_for_those_who_cannot_see_them(m3_page: str) -> None:
    page = Page(m3_page)
    assert all(image["alt"] for image in page.of("img"))
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in page.of("svg"))
    assert all(audio["aria-label"] and "controls" in audio for audio in page.of("audio"))
    assert page.of("html") == [{"lang": "en"}]
    assert "width=device-width" in next(meta["content"] for meta in page.of("meta") if meta.get("name") == "viewport")
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_languages_are_named_and_other_columns_folded(documented: Tiny, m3_page: str) -> None:
    row = documented.rows["train"][0]
    article = m3_page.split("<article")[1]
    always, _, folded = article.partition("<details>")
    assert f"{LANGUAGE_NAMES[row['lang']]} ({row['lang']})" in always
    assert "<dt>lang</dt>" in always
    assert "<dt>wnid</dt>" in folded and "<dt>wnid</dt>" not in always
    codes = re.findall(r'class="code" title="([^"]+)">([^<]+)<', m3_page)
    assert codes
    assert {code: LANGUAGE_NAMES[code] for code, _ in codes} == dict(codes)


def test_the_keyboard_reaches_everything_and_can_skip_the_head(m3_page: str) -> None:
    page = Page(m3_page)
    (skip,) = page.of("a")
    assert skip["href"] == "#samples"
    assert page.of("main")[0]["id"] == "samples"
    # Players and folded columns are elements that take the focus by themselves.
    assert all("controls" in player for player in page.of("audio"))
    assert len(page.of("summary")) == len(page.of("details")) == len(page.of("article"))
    assert all(int(attributes.get("tabindex", "-1")) < 0 for _, attributes in page.elements)


def test_a_page_stays_below_its_bound_and_says_what_it_left_out(
    documented: Tiny, copied: Tiny, tmp_path: Path, m3_page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = len(m3_page.encode()) // 2
    monkeypatch.setattr("symile_data.cards.preview.MOST_BYTES", bound)
    text = page_of(copied, tmp_path, count=24)
    assert len(text.encode()) <= bound
    shown = re.findall(r"sample (\d+)<", text)
    assert 3 < len(shown) < len(documented.rows["train"])
    assert "a page holds no more" in text
    assert "a page holds no more" not in m3_page


def test_the_same_dataset_gives_the_same_page(documented: Tiny, m3_page: str, copied: Tiny, tmp_path: Path) -> None:
    assert page_of(copied, tmp_path, count=24) == m3_page


def test_values_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    row = row_of("<script>alert(1)</script>", pa.string())
    tiny = xor_tiny(tmp_path / "xor")
    from symile_data.cards.preview.page import page_of as render

    text = render(replace(tiny.manifest, modalities=(modality("text"),)), "train", [row])
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_xor_shows_its_bits(tmp_path: Path) -> None:
    tiny = xor_tiny(tmp_path / "xor")
    text = page_of(tiny, tmp_path, split="test", count=100)
    bits = re.findall(r'class="numbers">([^<]+)<', text)
    expected = [
        ", ".join(str(bit) for bit in row[name]) for row in tiny.rows["test"] for name in ("a", "b", "c") if row[name]
    ]
    assert bits == expected


def test_mimic_shows_leads_tests_and_what_was_not_measured(tmp_path: Path) -> None:
    tiny = mimic_tiny(tmp_path / "mimic", sample=True)
    text = page_of(tiny, tmp_path, split="test", count=1)
    assert text.count('aria-label="lead ') == 12
    assert "cxr: 320 × 380 pixels" in text
    assert "2 tests measured" in text
    assert "not measured: test 2; test 4" in text


def test_credentialed_records_are_shown_only_when_asked(tmp_path: Path) -> None:
    tiny = finished(mimic_tiny(tmp_path / "mimic"))
    out = tmp_path / "page.html"
    with pytest.raises(UsageError, match=r"records of patients .* one file .* Pass `allow_credentialed`"):
        write_preview(tiny.directory, out)
    assert not out.exists()
    write_preview(tiny.directory, out, allow_credentialed=True)
    assert "Keep this page to yourself" in out.read_text(encoding="utf-8")


def test_a_page_inside_the_dataset_is_refused(copied: Tiny) -> None:
    finished(copied)
    with pytest.raises(UsageError, match="the page would be inside a dataset"):
        write_preview(copied.directory, copied.directory / "page.html")


def test_the_default_place_is_beside_the_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_path(tmp_path / "m3") == tmp_path / "m3-preview.html"
    monkeypatch.chdir(tmp_path)
    assert default_path(Path()) == tmp_path.parent / f"{tmp_path.name}-preview.html"


def test_bad_requests_are_named(copied: Tiny) -> None:
    with pytest.raises(UsageError, match=r"the split does not exist .*got 'dev'. Choose train, validation, test"):
        choose_rows(copied.directory, copied.manifest, "dev", 3)
    path = copied.directory / copied.manifest.shards("train")[0].path
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DamageError, match=r"a shard is truncated or no Parquet file .*train-00000-of-00002"):
        choose_rows(copied.directory, copied.manifest, "train", 3)


@given(st.integers(0, 500), st.integers(1, 60))
def test_rows_are_distinct_ordered_and_as_many_as_there_are(rows: int, count: int) -> None:
    places = evenly_spaced(rows, count)
    assert places == sorted(set(places))
    assert len(places) == min(rows, count)
    assert all(0 <= place < rows for place in places)


@pytest.mark.parametrize("count", [1, 5, 24, 100])
def test_rows_are_those_of_the_split(documented: Tiny, count: int) -> None:
    chosen = choose_rows(documented.directory, documented.manifest, "train", count)
    expected = [documented.rows["train"][place]["sample_id"] for place in evenly_spaced(24, count)]
    assert [row.id for row in chosen] == expected


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_broken_media_say_so(kind: str) -> None:
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    panel = panel_of(row_of({"bytes": b"nothing", "path": None}, struct), modality(kind))
    assert panel.macro == "unreadable"


def test_an_electrocardiogram_of_odd_length_says_so() -> None:
    panel = panel_of(row_of([1, 2, 3], pa.list_(pa.int16(), 3)), modality("ecg"))
    assert (panel.macro, panel.values["problem"]) == ("unreadable", "3 samples are not 12 leads of equal length")


def test_an_unknown_kind_is_named() -> None:
    assert panel_of(row_of("x", pa.string()), modality("smell")).values == {"kind": "smell"}


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "CMYK"])
def test_large_images_are_shown_smaller(mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (1200, 900)).save(file, "TIFF")
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    panel = panel_of(row_of({"bytes": file.getvalue(), "path": None}, struct), modality("image"))
    assert (panel.values["width"], panel.values["height"]) == (1200, 900)
    with Image.open(io.BytesIO(decoded(panel.values["source"]))) as shown:
        assert shown.format in ("JPEG", "PNG")
        assert shown.size == (512, 384)


def test_small_images_keep_their_bytes() -> None:
    data = jpeg(64, 48, 1)
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    panel = panel_of(row_of({"bytes": data, "path": None}, struct), modality("image"))
    assert decoded(panel.values["source"]) == data


def test_audio_that_browsers_do_not_play_is_converted() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(800, dtype=np.float32), 8_000, format="AIFF")
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    shown = panel_of(row_of({"bytes": file.getvalue(), "path": None}, struct), modality("audio")).values["audio"]
    assert (shown.form, shown.rate_hz) == ("AIFF", 8_000)
    assert soundfile.info(io.BytesIO(decoded(shown.source))).format == "FLAC"


@pytest.mark.parametrize("hertz", [500, 2_000, 6_000])
def test_a_tone_is_a_bright_line_at_its_frequency(hertz: int) -> None:
    time = np.arange(16_000) / 16_000
    levels = spectrogram(np.sin(2 * np.pi * hertz * time).astype(np.float32), 16_000)
    brightest = int(levels.mean(axis=1).argmax())
    assert levels.shape == (88, 320)
    assert abs((1 - (brightest + 0.5) / 88) * 8_000 - hertz) < 150


@pytest.mark.parametrize("samples", [0, 1, 399, 401])
def test_short_audio_has_a_spectrogram(samples: int) -> None:
    assert np.isfinite(spectrogram(np.zeros(samples, dtype=np.float32), 16_000)).all()


@given(st.lists(st.floats(-5, 5), max_size=80), st.integers(1, 20))
def test_an_outline_stays_in_its_drawing(signal: list[float], steps: int) -> None:
    path = envelope_path(np.array(signal), 100, 40, 2.0, steps)
    points = [tuple(map(float, point.split())) for point in re.findall(r"[\d.-]+ [\d.-]+", path)]
    assert (path == "") == (not signal)
    assert all(0 <= x <= 100 and 0 <= y <= 40 for x, y in points)


def test_bars_stand_on_zero() -> None:
    assert bar_path(np.array([1.0, np.nan, -1.0]), 30, 10) == "M1.0 5.0V0.0h8.0V5.0ZM21.0 5.0V10.0h8.0V5.0Z"


def test_tar_shards_are_shown_alike(documented: Tiny, tmp_path: Path) -> None:
    tars = write_tiny(
        tmp_path, documented.schema, documented.rows, documented.manifest.identity, shards=2, shard_format="webdataset"
    )
    for one, two in zip(
        choose_rows(documented.directory, documented.manifest, "train", 7),
        choose_rows(tars.directory, tars.manifest, "train", 7),
        strict=True,
    ):
        for column in ("sample_id", "text", "words", "image_missing"):
            assert one.value(column) == two.value(column)
        for column in ("image", "audio"):
            assert (one.value(column) or {}).get("bytes") == (two.value(column) or {}).get("bytes")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: nothing can take a screenshot")
@pytest.mark.parametrize(("width", "scheme"), [(1200, 1), (500, 0)], ids=["wide, light", "phone, dark"])
def test_a_browser_shows_it(copied: Tiny, tmp_path: Path, width: int, scheme: int) -> None:
    page_of(copied, tmp_path, count=6)
    screenshot = tmp_path / "page.png"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
    subprocess.run(
        [
            str(CHROMIUM),
            *options,
            *quiet,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--window-size={width},900",
            f"--screenshot={screenshot}",
            (tmp_path / "page.html").as_uri(),
        ],
        check=True,
        timeout=120,
        capture_output=True,
    )
    with Image.open(screenshot) as shot:
        pixels = np.asarray(shot.convert("L"), dtype=np.float32)
    assert pixels.shape == (900, width)
    corner = float(pixels[-3:, :3].mean())
    assert corner > 200 if scheme else corner < 60
    assert pixels.std() > 10  # something is drawn
    parquet = pq.ParquetFile(copied.directory / copied.manifest.shards("train")[0].path)
    assert parquet.metadata.num_rows == 12  # looking changed nothing


def test_a_card_says_which_values_are_noisy_or_of_another_row() -> None:
    names = ("a", "b")
    modalities = tuple(Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in names)
    values = {name: [[1.0]] * 2 for name in names} | {f"{name}_missing": [False] * 2 for name in names}
    plain = pa.table({"sample_id": [3, 4], **values})
    flags = {"a_misaligned": [True, False], "a_donor": [7, -1], "a_noisy": [True, False], "b_noisy": [False, True]}
    table = plain
    for name, flag in flags.items():
        table = table.append_column(name, pa.array(flag))
    cards = [card_of(Row(place, table.slice(place, 1)), modalities) for place in (0, 1)]
    assert [card.unreliable for card in cards] == [["a is that of sample 7", "a has noise"], ["b has noise"]]
    assert card_of(Row(0, plain.slice(0, 1)), modalities).unreliable == []
