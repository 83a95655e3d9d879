"""gTTS as a source of recordings: what the engine did not speak, espeak-ng does."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from factories import build, problems, rows_of

from symile_data.builders.m3 import sources as builds
from symile_data.builders.m3.audio import gtts_source
from symile_data.format.manifest import Dropped, library_versions


def test_sentences_that_the_engine_does_not_speak_are_spoken_here(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def gather(
        texts: list[tuple[str, str]], *, cache: Path, strict: bool
    ) -> tuple[set[tuple[str, str]], list[Dropped]]:
        asked.extend(texts)
        failed = {text for text in texts if text[1] == "el"}
        return failed, [Dropped(reason="speech: no answer", count=len(failed), examples=["el"])]

    monkeypatch.setattr(gtts_source, "gather_speech", gather)
    monkeypatch.setattr(gtts_source, "gtts_speech", lambda *_, **__: np.full(16_000, 0.25, dtype=np.float32))
    monkeypatch.setattr(
        builds, "library_versions", lambda packages: library_versions([name for name in packages if name != "gTTS"])
    )
    manifest = build(tree, tmp_path / "out", audio="gtts", cache=tmp_path / "cache")
    assert problems(tmp_path / "out") == []
    assert len(asked) == len(set(asked)) == 2 * 181
    assert [(entry.reason, entry.count) for entry in manifest.dropped] == [("speech: no answer", 181)]
    for row in rows_of(tmp_path / "out", "train"):
        wave, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        assert row["clip_id"].split("-")[0] == ("espeak" if row["lang"] == "el" else "gtts")
        assert rate == 16_000
        if row["lang"] == "en":
            first, last = np.flatnonzero(wave)[[0, -1]]
            assert last + 1 - first == 16_000
            assert 800 <= first <= 4800 and 800 <= len(wave) - last - 1 <= 4800
