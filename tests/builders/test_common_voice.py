"""Human speech from a Common Voice release: speakers apart, bad recordings counted, bad releases refused by name."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from factories import build, contents, problems, rows_of
from hypothesis import given
from hypothesis import strategies as st

from symile_data.builders.m3.audio.common_voice import CommonVoiceSource, RecordedAudio, find_locale
from symile_data.builders.m3.audio.sample_common_voice import COLUMNS, write_sample_common_voice
from symile_data.builders.m3.audio.spoken import UnreadableAudioError
from symile_data.errors import SourceError, UsageError

SPLITS = ("train", "validation", "test")
ROWS = {"train": 40, "validation": 10, "test": 10}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample release of two languages; not to be changed."""
    root = tmp_path_factory.mktemp("voices") / "cv-corpus-19.0"
    assert write_sample_common_voice(root, ("el", "en"), 18) == 44
    return root


def source(path: Path, languages: tuple[str, ...] = ("el", "en"), shared: bool = False) -> CommonVoiceSource:
    return CommonVoiceSource(path, 0, languages, ROWS, shared)


def locale(folder: Path, lines: list[str], header: str = "client_id\tpath\tsentence", files: int = 30) -> Path:
    """A locale of files without sound, for what looks at tables only."""
    (folder / "clips").mkdir(parents=True)
    for number in range(files):
        (folder / "clips" / f"{number}.mp3").write_bytes(b"x")
    (folder / "train.tsv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return folder.parent


def speakers_of(release: Path) -> dict[str, str]:
    found = {}
    for table in release.glob("*/train.tsv"):
        for line in table.read_text(encoding="utf-8").splitlines()[1:]:
            cells = dict(zip(COLUMNS, line.split("\t"), strict=True))
            found[cells["path"].removesuffix(".mp3")] = cells["client_id"]
    return found


@pytest.mark.usefixtures("shared_workers")
def test_a_release_builds_with_speakers_of_their_own(release: Path, tree: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"audio": "common-voice", "recordings": release, "rows": ROWS}
    manifest = build(tree, tmp_path / "out", **settings)
    assert problems(tmp_path / "out") == []
    speakers = speakers_of(release)
    heard: dict[str, set[str]] = {split: set() for split in SPLITS}
    for split in SPLITS:
        for row in rows_of(tmp_path / "out", split):
            heard[split].add(speakers[row["clip_id"]])
            assert row["clip_id"].split("_")[2] == row["lang"]
            wave, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
            assert rate == 16_000
            assert 0.5 < len(wave) / rate < 8
            assert row["audio"]["path"] == f"{row['clip_id']}.flac"
    assert not heard["train"] & heard["test"]
    assert not heard["train"] & heard["validation"]
    assert not heard["validation"] & heard["test"]
    assert [(entry.reason, entry.count) for entry in manifest.dropped] == [("audio: zero duration", 2)]
    assert manifest.identity.sources["audio"]["kind"] == "common-voice"
    assert "espeakng-loader" not in manifest.identity.versions
    build(tree, tmp_path / "again", workers=2, **(settings | {"recordings": release.parent}))
    assert contents(tmp_path / "again") == contents(tmp_path / "out")


def test_a_recording_that_does_not_decode_gives_its_place_away(release: Path, tree: Path, tmp_path: Path) -> None:
    import shutil

    root = tmp_path / "broken"
    shutil.copytree(release, root)
    bad = {"common_voice_el_10000000.mp3": b"no sound", "common_voice_el_10000001.mp3": b""}
    for name, data in bad.items():
        (root / "el" / "clips" / name).write_bytes(data)
    rows = {"train": 300, "validation": 0, "test": 0}
    manifest = build(tree, tmp_path / "out", audio="common-voice", recordings=root, rows=rows)
    assert {entry.reason: entry.examples for entry in manifest.dropped} == {
        "audio: zero duration": ["common_voice_el_10000017.mp3", "common_voice_en_10000017.mp3"],
        "audio: does not decode": ["common_voice_el_10000000"],
        "audio: empty file": ["common_voice_el_10000001"],
    }
    assert not {row["clip_id"] + ".mp3" for row in rows_of(tmp_path / "out", "train")} & set(bad)


def test_shared_splits_have_all_recordings(release: Path) -> None:
    assert source(release, shared=True).sizes("shared") == (17, 17)


@pytest.mark.parametrize("rate", [16_000, 32_000, 48_000])
def test_any_rate_becomes_16_khz(tmp_path: Path, rate: int) -> None:
    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "tone.mp3", np.column_stack([tone, tone]), rate, format="MP3")
    wave, found = soundfile.read(io.BytesIO(RecordedAudio("tone", tmp_path / "tone.mp3").encode()))
    assert (found, wave.ndim) == (16_000, 1)
    assert abs(len(wave) - 16_000) < 200
    assert np.argmax(np.abs(np.fft.rfft(wave[:16_000]))) in range(438, 443)


@given(st.lists(st.integers(0, 6), min_size=12, max_size=30))
def test_speakers_are_divided_whatever_their_shares(speakers: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        lines = [f"s{speaker}\t{number}.mp3\t-" for number, speaker in enumerate(speakers)]
        root = locale(Path(folder) / "el", lines)
        if len(set(speakers)) < 3:
            with pytest.raises(SourceError, match=r"too few speakers for 3 splits"):
                source(root, ("el",))
            return
        pools = source(root, ("el",))
        assert sum(pools.sizes(split)[0] for split in SPLITS) == len(speakers)
        owners: dict[Any, Any] = {}
        for split in SPLITS:
            for index in range(pools.sizes(split)[0]):
                speaker = speakers[int(pools.recording(split, 0, index).clip_id)]
                assert owners.setdefault(speaker, split) == split


@pytest.mark.parametrize("header", ["path\tsentence\tup_votes", "sentence\tlocale\tpath"])
def test_without_speakers_the_recordings_are_divided(tmp_path: Path, header: str) -> None:
    lines = ["\t".join(f"{n}.mp3" if column == "path" else 'say "' for column in header.split("\t")) for n in range(30)]
    pools = source(locale(tmp_path / "el", lines, header), ("el",))
    assert [pools.sizes(split)[0] for split in SPLITS] == [20, 5, 5]


def change(name: str, text: str | None) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        if text is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(text, encoding="utf-8")

    return apply


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change("train.tsv", None), r"table is missing \(.*el/train.tsv\)"),
        (change("train.tsv", ""), r"no column 'path' \(.*train.tsv, line 1\); got an empty file"),
        (change("train.tsv", "client_id\tfile\n"), r"no column 'path' .*got client_id, file"),
        (change("train.tsv", "client_id\tpath\n"), r"locale has no recordings \(.*train.tsv\); got 0 lines"),
        (change("train.tsv", "client_id\tpath\na\n"), r"locale has no recordings \(.*train.tsv\); got 1 line, none"),
        (change("train.tsv", "path\tpath\n"), r"two columns 'path' \(.*train.tsv, line 1\)"),
        (change("train.tsv", "path\tclient_id\tclient_id\n"), r"two columns 'client_id' \(.*train.tsv, line 1\)"),
        (change("train.tsv", "path\n../x.mp3\n"), r"not a file name \(.*line 2, column path\); got '../x.mp3'"),
    ],
)
def test_broken_releases_are_refused_by_name(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    root = locale(tmp_path / "el", [f"s{n}\t{n}.mp3\t-" for n in range(30)])
    spoil(root / "el")
    with pytest.raises(SourceError, match=message):
        source(root, ("el",))


LINES = [f"s{n % 9}\t{n}.mp3\t-" for n in range(30)]
PROMISE = "no speaker is in two splits"


def left_out(found: CommonVoiceSource) -> dict[str, tuple[int | None, list[str]]]:
    return {entry.reason.removeprefix("audio: "): (entry.count, entry.examples) for entry in found.dropped}


def clips_of(found: CommonVoiceSource) -> dict[str, set[str]]:
    """Split -> names of its recordings."""
    return {split: {found.recording(split, 0, i).clip_id for i in range(found.sizes(split)[0])} for split in SPLITS}


def test_a_byte_order_mark_changes_nothing(tmp_path: Path) -> None:
    durations = "clip\tduration[ms]\n3.mp3\t0\n"
    pools = []
    for mark in ("", "\ufeff"):
        root = locale(tmp_path / f"x{len(mark)}" / "el", LINES)
        (root / "el" / "train.tsv").write_text(mark + (root / "el" / "train.tsv").read_text())
        (root / "el" / "clip_durations.tsv").write_text(mark + durations)
        pools.append(source(root, ("el",)))
    assert clips_of(pools[0]) == clips_of(pools[1])
    assert pools[0].fingerprint() == pools[1].fingerprint()
    assert left_out(pools[1]) == {"zero duration": (1, ["3.mp3"])}
    assert pools[1].notes == [
        "Speech is recorded from people (Common Voice, its train tables); no speaker is in two splits."
    ]


@pytest.mark.parametrize(
    ("line", "reason", "count"),
    [
        ("s0\t30.mp3\ta\ttab", "line whose number of cells differs from the header", 1),
        ("s0\t30.mp3", "line whose number of cells differs from the header", 1),
        ("s0\t30.mp3\t-\t", "line whose number of cells differs from the header", 1),
        ("", "line whose number of cells differs from the header", 1),
        (" ", "line whose number of cells differs from the header", 1),
        ("s0\t30.mp3\ta\rreturn", "line whose number of cells differs from the header", 1),
        ("s0\ta\rreturn\t30.mp3", "line whose number of cells differs from the header", 2),
        ("s0\t\t-", "line without a path", 1),
        ("s0\t \t-", "line without a path", 1),
        ("s0\t99.mp3\t-", "no such file", 1),
    ],
)
def test_lines_that_cannot_be_used_are_left_out_and_counted(tmp_path: Path, line: str, reason: str, count: int) -> None:
    def found(lines: list[str]) -> CommonVoiceSource:
        return source(locale(tmp_path / str(len(lines)) / "el", lines, files=31), ("el",))

    odd = found([*LINES[:7], line, *LINES[7:]])
    assert left_out(odd)[reason][0] == count
    kept = set().union(*clips_of(odd).values())
    assert kept - {"30"} == {str(n) for n in range(30)}
    broken_sentence = line == "s0\t30.mp3\ta\rreturn"  # its path and speaker stand before the return
    assert ("30" in kept) == broken_sentence
    if "line" in reason:
        assert f"el/train.tsv, line {10 if broken_sentence else 9}" in left_out(odd)[reason][1]


@pytest.mark.parametrize("nobody", ["", " ", "unknown", "NaN", "None", "-"])
def test_nothing_is_promised_of_speakers_unless_every_recording_has_one(tmp_path: Path, nobody: str) -> None:
    known = source(locale(tmp_path / "known" / "el", LINES), ("el",))
    assert PROMISE in known.notes[0]
    some = source(locale(tmp_path / "some" / "el", [f"{nobody}\t0.mp3\t-", *LINES[1:]]), ("el",))
    assert some.notes == [
        "Speech is recorded from people (Common Voice, its train tables). Of 30 recordings, 1 names no speaker "
        "(client_id): these are divided one by one, and a person may be heard in several splits."
    ]
    none = source(locale(tmp_path / "none" / "el", [f"{nobody}\t{n}.mp3\t-" for n in range(30)]), ("el",))
    assert PROMISE not in none.notes[0]
    assert [none.sizes(split)[0] for split in SPLITS] == [20, 5, 5]
    lacking = source(locale(tmp_path / "lacking" / "el", [f"{n}.mp3" for n in range(30)], "path"), ("el",))
    assert PROMISE not in lacking.notes[0]
    shared = source(tmp_path / "known", ("el",), shared=True)
    assert shared.notes == ["Speech is recorded from people (Common Voice, its train tables)."]


def test_one_language_without_speakers_ends_the_promise(tmp_path: Path) -> None:
    locale(tmp_path / "el", LINES)
    locale(tmp_path / "en", [f"\t{n}.mp3\t-" for n in range(30)])
    assert "Of 60 recordings, 30 name no speaker" in source(tmp_path).notes[0]


def test_a_recording_that_two_lines_give_to_two_speakers_is_left_out(tmp_path: Path) -> None:
    more = ["s8\t0.mp3\t-", "s1\t1.mp3\tagain", "\t2.mp3\t-"]  # another speaker, the same one, nobody
    found = source(locale(tmp_path / "el", [*LINES, *more]), ("el",))
    assert left_out(found) == {"listed under two speakers": (1, ["0.mp3"])}
    assert set().union(*clips_of(found).values()) == {str(n) for n in range(1, 30)}
    assert PROMISE in found.notes[0]


@pytest.mark.parametrize(
    ("table", "note", "zero"),
    [
        ("", "The optional table el/clip_durations.tsv was not used: a Common Voice table has no column 'clip'.", 0),
        ("path\tms\n0.mp3\t1\n", "was not used: a Common Voice table has no column 'clip'.", 0),
        ("clip\tlength\n1.mp3\t0\n", "was not used: it has no column of durations.", 0),
        ("clip\tduration\n0.mp3\t\n1.mp3\t0\n", "without a duration were not used: 1.", 1),
        (
            "clip\tduration\n0.mp3\tlong\n1.mp3\tnan\n2.mp3\tinf\n3.mp3\n\n",
            "without a duration were not used: 5.",
            0,
        ),
        (b"clip\tduration\n\xff\xfe\t0\n", "was not used: a Common Voice table is broken.", 0),
    ],
)
def test_a_broken_table_of_durations_is_noted_and_not_used(
    tmp_path: Path, table: str | bytes, note: str, zero: int
) -> None:
    root = locale(tmp_path / "el", LINES)
    (root / "el" / "clip_durations.tsv").write_bytes(table if isinstance(table, bytes) else table.encode())
    found = source(root, ("el",))
    assert len(found.notes) == 2
    assert found.notes[1].endswith(note)
    assert left_out(found).get("zero duration", (0,))[0] == zero


def test_durations_that_are_no_file_are_noted(tmp_path: Path) -> None:
    root = locale(tmp_path / "el", LINES)
    os.mkfifo(root / "el" / "clip_durations.tsv")
    assert source(root, ("el",)).notes[1].endswith("was not used: a Common Voice table is not a file.")


NOISE = np.random.default_rng(0).standard_normal(16_000)


@pytest.mark.parametrize(
    ("wave", "heard"),
    [
        (NOISE * 10 ** (-38 / 20), True),
        (NOISE * 10 ** (-42 / 20), False),
        (0.3 + NOISE * 10 ** (-45 / 20), False),
        (np.zeros(16_000), False),
        (np.concatenate([NOISE * 0.05, np.zeros(32_000)]), True),
    ],
    ids=["-38 dBFS", "-42 dBFS", "constant and -45 dBFS", "silence", "speech and a long pause"],
)
def test_what_is_nearly_silent_is_no_sound(tmp_path: Path, wave: np.ndarray, heard: bool) -> None:
    soundfile.write(tmp_path / "x.mp3", wave, 16_000, format="WAV", subtype="FLOAT")
    clip = RecordedAudio("x", tmp_path / "x.mp3")
    if heard:
        assert soundfile.read(io.BytesIO(clip.encode()))[0].std() == pytest.approx(wave.std(), rel=0.02)
    else:
        with pytest.raises(UnreadableAudioError, match="no sound"):
            clip.encode()


def test_samples_that_are_no_numbers_do_not_decode(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.mp3", np.full(800, np.nan), 16_000, format="WAV", subtype="FLOAT")
    with pytest.raises(UnreadableAudioError, match="does not decode"):
        RecordedAudio("x", tmp_path / "x.mp3").encode()


def test_missing_folders_are_errors_that_name_them(release: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no folder for the language uk \(.*/uk\); got el, en"):
        find_locale(release, "uk")
    with pytest.raises(SourceError, match=r"there is no Common Voice folder"):
        find_locale(tmp_path / "nowhere", "el")
    for version in ("cv-corpus-1", "cv-corpus-2"):
        (tmp_path / version / "el").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"two Common Voice releases .*got cv-corpus-1, cv-corpus-2"):
        find_locale(tmp_path, "el")
    with pytest.raises(SourceError, match=r"no clips folder \(.*cv-corpus-1/el/clips\)"):
        source(tmp_path / "cv-corpus-1", ("el",))
    with pytest.raises(UsageError, match=r"holds other files .*; got cv-corpus-1 and 1 more"):
        write_sample_common_voice(tmp_path, ("el",), 6)


@pytest.mark.parametrize("changes", [{"audio": "common-voice"}, {"recordings": Path("x")}, {"audio": "radio"}])
def test_half_said_sources_are_refused(tree: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"`audio"):
        build(tree, tmp_path / "out", **changes)
