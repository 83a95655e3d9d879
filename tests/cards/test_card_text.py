from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Audio, Features, load_dataset
from huggingface_hub import DatasetCard
from tiny_datasets import Tiny, m3_identity, m3_rows, m3_tiny, m3_tiny_schema, mimic_tiny, write_tiny, xor_tiny

from symile_data.cards.readme import MOST_FILES, languages_of, type_of
from symile_data.format.manifest import BuildFingerprint, Dropped, Manifest


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch, documented: Tiny) -> None:
    """Figures have their own tests; cards written here do without (`documented` has them)."""
    monkeypatch.setattr("symile_data.cards.draw_figures", lambda *_: [])


def front(tiny: Tiny) -> dict[str, Any]:
    return DatasetCard.load(tiny.directory / "README.md").data.to_dict()


def undecoded(features: Features) -> Features:
    """The columns as `load_dataset` shows them: a row prints without torchcodec."""
    return Features(
        {
            name: Audio(feature.sampling_rate, decode=False) if isinstance(feature, Audio) else feature
            for name, feature in features.items()
        }
    )


def test_load_dataset_opens_it_with_every_type(documented: Tiny, tmp_path: Path) -> None:
    dataset = load_dataset(str(documented.directory), cache_dir=str(tmp_path))
    assert {split: len(part) for split, part in dataset.items()} == {
        split: len(rows) for split, rows in documented.rows.items()
    }
    assert dataset["train"].features == undecoded(documented.schema.features)
    assert dataset["train"][0]["audio"]["bytes"].startswith(b"fLaC")
    image = dataset["test"].select_columns(["image"])[0]["image"]
    assert image.size == (40 + 8 * documented.rows["test"][0]["cls_id"], 32)


def test_streaming_has_the_same_types_and_rows(documented: Tiny) -> None:
    stream = load_dataset(str(documented.directory), split="validation", streaming=True)
    assert stream.features == undecoded(documented.schema.features)
    rows = list(stream)
    assert [row["text"] for row in rows] == [row["text"] for row in documented.rows["validation"]]


def test_the_front_matter_alone_types_every_column(documented: Tiny) -> None:
    info = front(documented)["dataset_info"]
    assert Features._from_yaml_list(info["features"]) == undecoded(documented.schema.features)
    assert [split["num_examples"] for split in info["splits"]] == [24, 6, 6]


def test_very_many_class_names_stand_in_a_file_of_their_own(
    documented: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symile_data.cards.hub_info.MOST_NAMES", 3)
    tiny = m3_tiny(tmp_path / "m3")
    matter = tiny.card().split("\n---\n")[0]
    assert "dataset_info" not in matter and "lemon" not in matter
    for streaming in (False, True):
        found = load_dataset(str(tiny.directory), cache_dir=str(tmp_path / "cache"), streaming=streaming)
        assert found["train"].features == undecoded(documented.schema.features)
    monkeypatch.setattr("symile_data.cards.hub_info.MOST_NAMES", 4)
    tiny.card()
    assert not (tiny.directory / "dataset_infos.json").exists()
    assert not (documented.directory / "dataset_infos.json").exists()


def test_the_front_matter_says_what_the_hub_needs(documented: Tiny) -> None:
    matter = front(documented)
    assert matter["language"] == ["ar", "el", "en", "zh"]
    assert matter["license"] == "cc-by-4.0"
    assert matter["size_categories"] == ["n<1K"]
    assert matter["pretty_name"] == "Symile-M3-4"
    assert matter["configs"][0]["data_files"][0] == {"split": "train", "path": "data/train-*.parquet"}


def test_the_example_row_names_its_answer(documented: Tiny) -> None:
    text = (documented.directory / "README.md").read_text(encoding="utf-8")
    row = documented.rows["train"][0]
    assert row["text"] in text
    assert f"**{row['target_text']}**" in text


def test_every_shard_stands_with_its_hash(documented: Tiny) -> None:
    text = (documented.directory / "README.md").read_text(encoding="utf-8")
    for entry in documented.manifest.shards():
        assert f"| `{entry.path}` | {entry.rows} | {entry.bytes:,} | `{entry.sha256}` |" in text


def test_every_column_has_a_type_and_a_meaning(documented: Tiny) -> None:
    text = (documented.directory / "README.md").read_text(encoding="utf-8")
    for name, feature in documented.schema.features.items():
        assert re.search(rf"^\| `{name}` \| {re.escape(type_of(feature))} \| \S+", text, re.MULTILINE)


def test_every_figure_that_is_shown_exists(documented: Tiny) -> None:
    text = (documented.directory / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", text))
    drawn = {path.relative_to(documented.directory).as_posix() for path in documented.directory.glob("figures/*")}
    assert shown == drawn


def test_the_python_blocks_run(documented: Tiny, tmp_path: Path) -> None:
    text = (documented.directory / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2 and "soundfile.read" in blocks[0]
    script = "\n".join(blocks).replace("path/to/this/directory", str(documented.directory))
    script += "\nassert wave.size and rate == 16000 and len(batch['sample_id']) > 0\n"
    environment = {**os.environ, "HF_DATASETS_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_custom_dataset_has_a_card_of_what_is_known(tmp_path: Path) -> None:
    tiny = xor_tiny(tmp_path)
    identity = BuildFingerprint(dataset="mine", spec={"version": 1}, sources={}, versions={"numpy": "1", "writer": "3"})
    text = tiny.card(identity=identity, command="")
    assert "A program of its authors wrote the rows through `write_dataset`." in text
    assert "No licence is stated." in text and "see-the-sources" not in text.split("---\n", 2)[2]
    assert "What was left out" not in text and "Responsible use" not in text
    assert "Versions: numpy 1.\n" in text and "@misc{mine,\n  title  = {mine}" in text


def test_code_of_a_small_split_takes_a_smaller_batch(tmp_path: Path) -> None:
    tiny = mimic_tiny(tmp_path)
    assert "batch_size=6)" in tiny.card() and "batch_size=16)" in xor_tiny(tmp_path / "x").card()


def test_ceilings_of_too_many_rows_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = xor_tiny(tmp_path)
    assert "### Best accuracy among the rows of a split" in tiny.card()
    monkeypatch.setattr("symile_data.cards.statistics.ceilings._MOST_CELLS", 1)
    assert "### Best accuracy among the rows of a split" not in tiny.card()
    assert json.loads((tmp_path / "stats.json").read_text())["ceilings"] == {}


def test_masks_are_explained(documented: Tiny) -> None:
    text = (documented.directory / "README.md").read_text(encoding="utf-8")
    assert "**True means absent**" in text
    assert "| text | `text_missing` | `text`, `words`, `target_text` |" in text
    assert "image 0.3, in the training and validation splits only" in text


def test_sample_images_are_attributed(documented: Tiny) -> None:
    text = (documented.directory / "README.md").read_text(encoding="utf-8")
    for words in ("CC-BY 4.0", "Twemoji, Copyright Twitter, Inc", "espeak-ng", "back-translation", "2411.01053"):
        assert words in text
    assert "russakovsky" not in text


def test_the_classes_of_all_splits_are_counted(tmp_path: Path) -> None:
    rows = {
        "train": [row for row in m3_rows("train", 40, 0, missing=False) if row["cls_id"] in (0, 1)],
        "test": [row for row in m3_rows("test", 40, 40, missing=False) if row["cls_id"] in (1, 2)],
    }
    text = write_tiny(tmp_path, m3_tiny_schema(), rows, m3_identity()).card()
    assert "The images are drawings of 3 classes" in text


def test_imagenet_images_bring_their_terms(copied: Tiny) -> None:
    sources = {"images": {"kind": "imagenet", "files": 1_281_167, "classes": 1000}}
    identity = replace(m3_identity(images="imagenet", split_policy="shared"), sources=sources)
    text = copied.card(identity=identity)
    assert "ImageNet terms of access" in text and "1,281,167 files" in text and "russakovsky" in text
    assert "Splits **share** images" in text
    assert "Twemoji" not in text
    assert front(copied)["license"] == "other"
    assert front(copied)["license_name"] == "imagenet-terms-of-access"


def test_of_recordings_no_sentences_are_promised(copied: Tiny) -> None:
    spoken, recorded = (copied.card(identity=m3_identity(audio=audio)) for audio in ("espeak", "common-voice"))
    assert "no image, recording or spoken sentence is in two splits" in spoken and "voices are common" in spoken
    assert "a sentence may be read in several of them" in recorded and "voices are common" not in recorded


def test_a_repository_of_images_is_named(copied: Tiny) -> None:
    there: dict[str, Any] = {"kind": "imagenet", "repository": "someone/images", "split": "train", "revision": "1f"}
    sources = {"images": there}
    text = copied.card(identity=replace(m3_identity(images="imagenet"), sources=sources))
    assert "someone/images (split train), a repository in ImageNet's layout" in text
    assert "not recorded for the repository; ImageNet terms of access" in text
    assert "ImageNet (ILSVRC-2012) folder" not in text
    cases: list[tuple[dict[str, Any], str]] = [
        ({"licence": None}, "none stated by the repository; ImageNet terms of access"),
        (
            {"licence": "its-terms", "licence_link": "https://example.org/terms"},
            "its-terms (https://example.org/terms) by the card of the repository; ImageNet terms of access",
        ),
    ]
    for stated, told in cases:
        listed = {"images": {**there, **stated}}
        text = copied.card(identity=replace(m3_identity(images="imagenet"), sources=listed))
        assert f"| {told} |" in text


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"audio": "common-voice"}, "CC0-1.0"),
        ({"audio": "gtts"}, "gTTS"),
        ({"translations": "google"}, "Google Translate"),
        ({"translations": "mymemory"}, "translated by MyMemory; the bundled names where it failed"),
        ({"translations": "table"}, "a table given to the build"),
        ({"images": "release", "audio": "release", "translations": "release"}, "CC-BY-NC-SA-4.0"),
        ({"images": "hf:someone/images"}, "hf:someone/images"),
    ],
)
def test_other_sources_are_named(copied: Tiny, spec: dict[str, str], words: str) -> None:
    assert words in copied.card(identity=m3_identity(**spec))


def test_the_users_own_tables_are_named(copied: Tiny) -> None:
    sources = {"audio": {"kind": "espeak", "bank": "table"}, "names": {"kind": "bundled", "corrected": 12}}
    text = copied.card(identity=replace(m3_identity(), sources=sources))
    assert "sentences of a table given to the build spoken by espeak-ng" in text
    assert "not by native speakers; 12 names are from a table of corrections given to the build" in text
    assert "that of the table (sentences)" in text


def test_the_maintainers_log_stands_in_the_card(documented: Tiny) -> None:
    text = (documented.directory / "README.md").read_text(encoding="utf-8")
    log = text[text.index("## Changes") : text.index("## Citation")]
    assert "**0.1.0**: First version" in log


def test_drop_reasons_cannot_break_the_table(copied: Tiny) -> None:
    dropped = [Dropped(reason="image: not|an\nimage", count=1234, examples=["a`b.JPEG", "c|d.JPEG"])]
    text = copied.card(dropped=dropped)
    assert "| image: not\\|an image | 1,234 | `a'b.JPEG`, `c\\|d.JPEG` |" in text


def test_long_shard_lists_are_cut_and_said_so(tmp_path: Path) -> None:
    few = xor_tiny(tmp_path / "few")
    rows = {"train": few.rows["train"] * 2}
    text = write_tiny(tmp_path / "many", few.schema, rows, few.manifest.identity, shards=MOST_FILES + 10).card()
    assert "10 more shards are listed in `manifest.json`" in text
    assert "`data/train-00059-of-00070.parquet`" in text and "train-00060" not in text


def test_splits_without_rows_are_left_out(copied: Tiny) -> None:
    splits = {**copied.manifest.splits, "validation": 0}
    files = [entry for entry in copied.manifest.files if entry.split != "validation"]
    copied.card(splits=splits, files=files)
    assert [file["split"] for file in front(copied)["configs"][0]["data_files"]] == ["train", "test"]


def test_xor_and_mimic_have_cards_of_their_own(tmp_path: Path) -> None:
    xor = xor_tiny(tmp_path / "xor")
    text = xor.card()
    assert "# Binary XOR" in text and "`p_hat` | `1.0`" in text and "True where a is absent" in text
    assert "| `b` (the paper's task) | 1.0000 | 0.0312 |" in text
    assert "| I(a; c) | 0.000 | 0.000 |" in text and "(total correlation) | 3.466 | 5.000 |" in text
    real, invented = mimic_tiny(tmp_path / "real"), mimic_tiny(tmp_path / "invented", sample=True)
    text = real.card()
    assert "PhysioNet Credentialed Health Data License" in text and "must not be shared" in text
    assert front(real)["license_name"].startswith("physionet")
    text = invented.card()
    assert "no patient's data" in text and "must not be shared" not in text
    for tiny in (xor, real):
        loaded = load_dataset(str(tiny.directory), cache_dir=str(tmp_path / "cache"))
        assert loaded["train"].features == tiny.schema.features


def test_an_unknown_dataset_gets_the_plain_card(tmp_path: Path) -> None:
    tiny = xor_tiny(tmp_path)
    text = tiny.card(identity=BuildFingerprint(dataset="something", spec={}, sources={}, versions={}), notes=[])
    assert "# something" in text and "None recorded." in text


def test_languages_are_unique_codes() -> None:
    identity = m3_identity(languages=["zh-CN", "zh-TW", "en"])
    assert languages_of(Manifest(identity=identity, modalities=(), splits={})) == ["zh", "en"]


def test_the_card_says_how_far_the_text_alone_gets(documented: Tiny, copied: Tiny) -> None:
    text = (documented.directory / "README.md").read_text(encoding="utf-8")
    ceilings = json.loads((documented.directory / "stats.json").read_text(encoding="utf-8"))["ceilings"]["test"]
    names = ("random_candidate", "text_alone", "all_words_alike", "counting")
    line = " | ".join(["test", "6", *(f"{ceilings[name]:.3f}" for name in names), "1.000"])
    assert f"| {line} |" in text and "| random candidate | text alone | all words alike | counting |" in text
    assert "can be the answer" not in text and "chance" not in text
    overlap = copied.card(identity=m3_identity(mode="overlap"))
    assert "of those words that share\nneither language nor class with another one" in overlap


@pytest.mark.parametrize(("audio", "said"), [("espeak", True), ("gtts", False), ("common-voice", False)])
def test_a_card_says_how_real_synthetic_speech_is(copied: Tiny, audio: str, said: bool) -> None:
    text = copied.card(identity=m3_identity(audio=audio))
    assert ("Whisper-base recognises the language of about 36 % of such recordings" in text) == said
    assert ("`--audio common-voice:PATH` where such features are computed" in text) == said
