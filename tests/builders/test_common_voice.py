"""Human speech from a Common Voice release: speakers apart, bad clips counted, bad releases refused by name."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from factories import build, contents, problems, rows_of
from hypothesis import given
from hypothesis import strategies as st

from symile_data.builders.m3.common_voice import CommonVoiceSource, RecordedClip, find_locale
from symile_data.builders.m3.sample_common_voice import COLUMNS, write_sample_common_voice
from symile_data.errors import OutputError, SourceError, UsageError

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


def test_a_release_builds_with_speakers_of_their_own(release: Path, tree: Path, tmp_path: Path) -> None:
    settings = {"audio": "common-voice", "recordings": release, "rows": ROWS}
    manifest = build(tree, tmp_path / "out", **settings)
    assert problems(tmp_path / "out") == []
    speakers, heard = speakers_of(release), {split: set() for split in SPLITS}
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


def test_a_clip_that_does_not_decode_gives_its_place_away(release: Path, tree: Path, tmp_path: Path) -> None:
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


def test_shared_splits_have_all_clips(release: Path) -> None:
    assert source(release, shared=True).sizes("shared") == (17, 17)


@pytest.mark.parametrize("rate", [16_000, 32_000, 48_000])
def test_any_rate_becomes_16_khz(tmp_path: Path, rate: int) -> None:
    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "tone.mp3", np.column_stack([tone, tone]), rate, format="MP3")
    wave, found = soundfile.read(io.BytesIO(RecordedClip("tone", tmp_path / "tone.mp3").encode()))
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
        owners = {}
        for split in SPLITS:
            for index in range(pools.sizes(split)[0]):
                speaker = speakers[int(pools.clip(split, 0, index).clip_id)]
                assert owners.setdefault(speaker, split) == split


@pytest.mark.parametrize("header", ["path\tsentence\tup_votes", "sentence\tlocale\tpath"])
def test_without_speakers_the_clips_are_divided(tmp_path: Path, header: str) -> None:
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
        (change("train.tsv", "client_id\tpath\n"), r"locale has no clips \(.*train.tsv\); got 0 lines"),
        (change("train.tsv", "client_id\tpath\na\n"), r"1 cells where the header has 2 \(.*train.tsv, line 2\)"),
        (change("train.tsv", "path\n../x.mp3\n"), r"no file name \(.*line 2, column path\); got '../x.mp3'"),
        (change("clip_durations.tsv", "clip\tduration\n1.mp3\tlong\n"), r"number \(.*line 2, column duration\)"),
        (change("clip_durations.tsv", "clip\tlength\n1.mp3\t4\n"), "no column of durations .*got clip, length"),
    ],
)
def test_broken_releases_are_refused_by_name(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    root = locale(tmp_path / "el", [f"s{n}\t{n}.mp3\t-" for n in range(30)])
    spoil(root / "el")
    with pytest.raises(SourceError, match=message):
        source(root, ("el",))


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
    with pytest.raises(OutputError, match=r"holds other files"):
        write_sample_common_voice(tmp_path, ("el",), 6)


@pytest.mark.parametrize("changes", [{"audio": "common-voice"}, {"recordings": Path("x")}, {"audio": "radio"}])
def test_half_said_sources_are_refused(tree: Path, tmp_path: Path, changes: dict) -> None:
    with pytest.raises(UsageError, match=r"--audio"):
        build(tree, tmp_path / "out", **changes)
