"""Symile-M3 with keys: the rule in every row, the same bytes however it is built, and no change without keys."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from factories import build, contents, problems, relist, rewrite, rows_of, spec
from PIL import Image

from symile_data.builders.m3.audio.tones import LOWEST_HZ, SEMITONES
from symile_data.builders.m3.estimate.estimate import estimate_m3
from symile_data.builders.m3.keys import media
from symile_data.builders.m3.keys.draw import VARIANTS, draw_key
from symile_data.builders.m3.keys.render import codes, draw_symbol, play_tone
from symile_data.builders.m3.rows.plan import SplitPlan
from symile_data.cards import write_card
from symile_data.datasets.m3.schema import m3_schema
from symile_data.datasets.m3.words import WordRule
from symile_data.errors import UsageError
from symile_data.files import digest
from symile_data.format import manifest as manifests
from symile_data.loaders import open_split

pytestmark = pytest.mark.usefixtures("no_figures")

SPLITS = ("train", "validation", "test")
LANGUAGES = ("el", "en")
ROWS = {"train": 24, "validation": 6, "test": 6}
CHANGES: dict[str, Any] = {
    "rows": ROWS,
    "keys": ("symbol", "code"),
    "missing": {"symbol": 0.3, "code": 0.3, "image": 0.1},
}


@pytest.fixture(scope="module")
def keyed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with two keys; not to be changed."""
    out = tmp_path_factory.mktemp("keyed") / "m3"
    build(tree, out, **CHANGES)
    return out


def test_without_keys_the_rows_are_those_of_earlier_versions(tree: Path, tmp_path: Path) -> None:
    manifest = build(tree, tmp_path, missing={"image": 0.3, "text": 0.2})
    rows = [
        [
            *(row[name] for name in ("sample_id", "lang", "cls_id", "image_id", "clip_id", "text_missing")),
            [(word["lang"], word["cls_id"]) for word in row["words"] or ()],
        ]
        for split in SPLITS
        for row in rows_of(tmp_path, split)
    ]
    assert digest(rows) == "5bb4d262adb90821250b57fe79565db7865febf59a970583c493030206279682"
    assert "keys" not in manifest.identity.spec
    assert pq.read_schema(tmp_path / "data/train-00000-of-00001.parquet").names == m3_schema().arrow.names


def test_a_finished_build_holds_together(keyed: Path) -> None:
    assert problems(keyed) == []
    manifest = manifests.read(keyed)
    assert manifest.identity.spec["keys"] == ["symbol", "code"]
    assert [modality.name for modality in manifest.modalities] == ["image", "audio", "text", "symbol", "code"]
    shown: Counter[str] = Counter()
    for split in SPLITS:
        for row in rows_of(keyed, split):
            place = (LANGUAGES.index(row["lang"]) + row["symbol_id"] + row["code_id"]) % 2
            assert row["target_lang"] == LANGUAGES[place]
            assert [(word["text"], word["cls_id"]) for word in row["words"] if word["lang"] == row["target_lang"]] == [
                (row["target_text"], row["cls_id"])
            ]
            for name in ("symbol", "code"):
                assert (row[name] is None) == row[f"{name}_missing"]
                shown[name] += row[name] is not None
            assert (row["symbol_media_id"] is None) == row["symbol_missing"]
            if row["symbol"] is not None:
                key, store, value, variant = row["symbol_media_id"].split("-")
                assert (key, store, int(value)) == ("symbol", split, row["symbol_id"])
                assert row["symbol"] == {
                    "bytes": draw_symbol(0, split, int(value), int(variant)),
                    "path": f"{row['symbol_media_id']}.jpg",
                }
            if row["code"] is not None:
                assert np.argmax(row["code"]) == row["code_id"]
                assert (np.abs(codes(0, split, 2) - np.float32(row["code"])).sum(axis=1) == 0).any()
    assert all(20 < count < 36 for count in shown.values())
    assert not any(row["symbol_missing"] for row in rows_of(keyed, "test"))


@pytest.mark.usefixtures("shared_workers")
def test_workers_and_interruptions_change_no_byte(
    keyed: Path, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "CHUNK", 5)
    build(tree, tmp_path / "workers", workers=2, **CHANGES)
    assert contents(tmp_path / "workers") == contents(keyed)
    make = media.make_key_chunk
    made: list[Path] = []

    def interrupted(task: media.KeyMediaTask, path: Path) -> dict[str, Any]:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(path)
        return make(task, path)

    monkeypatch.setattr(media, "make_key_chunk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(tree, tmp_path / "resumed", **CHANGES)
    again: list[Path] = []

    def counted(task: media.KeyMediaTask, path: Path) -> dict[str, Any]:
        again.append(path)
        return make(task, path)

    monkeypatch.setattr(media, "make_key_chunk", counted)
    build(tree, tmp_path / "resumed", **CHANGES)
    assert again and not set(again) & set(made)
    assert contents(tmp_path / "resumed") == contents(keyed)


def without_paths(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table, with the bytes alone of images and audio: a tar names its members by the sample."""
    return [
        {name: value["bytes"] if isinstance(value, dict) else value for name, value in row.items()}
        for row in table.to_pylist()
    ]


@pytest.mark.parametrize("other", [{"layout": "pooled"}, {"shard_format": "webdataset"}])
def test_layouts_and_formats_hold_the_same_rows(keyed: Path, tree: Path, tmp_path: Path, other: dict[str, Any]) -> None:
    manifest = build(tree, tmp_path, **CHANGES, **other)
    assert problems(tmp_path) == []
    for split in SPLITS:
        whole, parts = open_split(keyed, split), open_split(tmp_path, split)
        assert without_paths(parts.read_all(whole.columns)) == without_paths(whole.read_all(whole.columns))
    if manifest.pooled is not None:
        table = pq.read_table(next((tmp_path / "symbols").glob("train-*.parquet")))
        assert table.column_names == ["symbol_media_id", "symbol", "symbol_id"]
        used = {row["symbol_media_id"] for row in rows_of(keyed, "train")} - {None}
        names = table["symbol_media_id"].to_pylist()
        assert used <= set(names) and len(set(names)) == len(names) <= 2 * VARIANTS
        assert [int(name.split("-")[2]) for name in names] == table["symbol_id"].to_pylist()


def changed(row: dict[str, Any], name: str) -> dict[str, Any]:
    """A row with one value that breaks the rule."""
    other = {
        "symbol_id": 1 - row["symbol_id"],
        "target_lang": LANGUAGES[1 - LANGUAGES.index(row["target_lang"])],
        "lang": LANGUAGES[1 - LANGUAGES.index(row["lang"])],
        "symbol_media_id": (row["symbol_media_id"] or "").replace(f"-{row['symbol_id']}-", f"-{1 - row['symbol_id']}-"),
        "code": (row["code"] or [])[::-1],
    }
    return {**row, name: other[name]}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("symbol_id", "the sum of the keys names"),
        ("lang", "the sum of the keys names"),
        ("target_lang", "the text does not name exactly one class in the language of the sum of the keys"),
        ("symbol_media_id", "symbol shows"),
        ("code", "code shows"),
    ],
)
def test_verify_finds_a_flipped_key(keyed: Path, tmp_path: Path, name: str, said: str) -> None:
    for path, data in contents(keyed).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    rows = rows_of(tmp_path, "train")
    place = next(i for i, row in enumerate(rows) if not (row["symbol_missing"] or row["code_missing"]))
    rows[place] = changed(rows[place], name)
    rewrite(tmp_path, "data/train-00000-of-00001.parquet", rows)
    relist(tmp_path)
    assert any(said in problem and f"row {place}" in problem for problem in problems(tmp_path))


def test_verify_finds_a_key_out_of_range(keyed: Path, tmp_path: Path) -> None:
    for path, data in contents(keyed).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    rows = rows_of(tmp_path, "test")
    rows[1] |= {"code_id": 2}
    rewrite(tmp_path, "data/test-00000-of-00001.parquet", rows)
    assert any("row 1: a key is none of the 2 values" in problem for problem in problems(tmp_path))


def test_keys_are_uniform_and_independent_of_all_other_draws() -> None:
    count, values = 30_000, 5
    rule = WordRule(words=values, classes=20, languages=values, mode="disjoint")
    plan = SplitPlan(0, "train", rule, np.arange(0, 201, 10), 7, ("symbol", "tone"))
    rows, plain = plan.draw(0, count), SplitPlan(0, "train", rule, np.arange(0, 201, 10), 7).draw(0, count)
    for name in ("cls", "slot", "language", "recording"):
        assert (getattr(rows, name) == getattr(plain, name)).all()
    assert (plain.target_language == plain.language).all() and not plain.keys
    drawn: dict[str, Any] = {
        "language": rows.language,
        "class": rows.cls % values,
        "symbol": rows.keys["symbol"].values,
        "tone": rows.keys["tone"].values,
        "variant": rows.keys["symbol"].variants % values,
        "test": draw_key(0, "symbol", "test", values, 0, count).values,
    }
    names = list(drawn)
    for at, one in enumerate(names):
        for other in names[:at]:
            table = np.bincount(drawn[one] * values + drawn[other], minlength=values**2)
            assert np.abs(table / count * values**2 - 1).max() < 0.15, (one, other)
    total = (rows.language + drawn["symbol"] + drawn["tone"]) % values
    assert (total == rows.target_language).all()
    middle = plan.draw(100, 200)
    assert (middle.word_classes == rows.word_classes[100:200]).all()
    assert (middle.keys["tone"].numbers == rows.keys["tone"].numbers[100:200]).all()
    assert rows.keys["symbol"].numbers.max() == values * VARIANTS - 1


def test_tones_are_told_apart_by_their_pitch() -> None:
    for value in (0, 1, 8, 11):
        for variant in (0, 5, 31):
            wave, rate = soundfile.read(io.BytesIO(play_tone(3, "test", value, variant)))
            assert rate == 16_000 and 0.4 < len(wave) / rate < 1.3
            power = np.abs(np.fft.rfft(wave, 1 << 17)) ** 2
            hertz = np.argmax(power) * rate / (1 << 17)
            assert abs(12 * np.log2(hertz / LOWEST_HZ) / SEMITONES - value) < 0.25


def test_media_of_keys_differ_by_variant_store_and_seed() -> None:
    for make in (draw_symbol, play_tone):
        made = [make(0, "train", 3, 1), make(0, "train", 3, 2), make(0, "test", 3, 1), make(1, "train", 3, 1)]
        assert len(set(made)) == 4 and make(0, "train", 3, 1) == made[0]
    with Image.open(io.BytesIO(draw_symbol(0, "train", 9, 0))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (128, 128))


@pytest.mark.parametrize("values", [2, 10])
def test_codes_show_their_value_exactly(values: int) -> None:
    table = codes(0, "train", values)
    assert table.shape == (values * VARIANTS, values) and table.dtype == np.float32
    assert (table.argmax(axis=1) == np.repeat(np.arange(values), VARIANTS)).all()
    assert len(np.unique(table, axis=0)) == len(table)
    clean = np.repeat(np.eye(values), VARIANTS, axis=0)
    assert 0.35 < np.abs(table - clean).max() <= 0.4 + 1e-6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keys": ("smell",)}, "unknown key in `keys`; got 'smell'. Choose among symbol, tone, code."),
        ({"keys": ("symbol", "symbol")}, "`keys` names a key twice"),
        ({"keys": ("symbol", "tone", "code")}, "at most 2 keys"),
        ({"mode": "overlap"}, "every word has a language of its own"),
        ({"words": 2, "languages": ("ar", "el", "en")}, "one word in each language"),
        ({"languages": tuple(map(str, range(11))), "words": 11}, "the key symbol shows at most 10 different values"),
        ({"plan": Path("plan.csv")}, "leave out `keys`"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        spec(None, **{"keys": ("symbol",), **changes})
    assert said.lower() in str(caught.value).lower()


def test_keys_in_any_order_are_one_build() -> None:
    assert spec(None, keys=("code", "tone")) == spec(None, keys=("tone", "code"))


def test_the_estimate_counts_images_and_tones_of_keys(tree: Path, tmp_path: Path) -> None:
    stages = {}
    for layout in ("shards", "pooled"):
        found = estimate_m3(spec(tree, keys=("tone", "code"), layout=layout), tmp_path, workers=1)
        stages = {stage.stage: stage for stage in found.stages}
        assert stages["tones"].units == pytest.approx(20 * 31 / 32, rel=0.2)
        assert stages["tones"].working_bytes_each > 3_000
    assert "codes" not in stages
    built = build(tree, tmp_path / "built", keys=("tone", "code"), layout="pooled")
    assert found.files == len(built.files)


def test_the_card_tells_the_rule_and_the_ceilings(tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path, write_card=write_card, **{**CHANGES, "missing": {}})
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "# Symile-M3-2 with 3 keys" in card
    assert "The sum of all keys modulo 2 is the place of the target language" in card
    assert "in the language `target_lang`" in card and "Twemoji keycaps" in card
    ceilings = json.loads((tmp_path / "stats.json").read_text(encoding="utf-8"))["ceilings"]["test"]
    assert ceilings["rows"] == 6 and set(ceilings["without_one"]) == {"image", "text", "audio", "symbol", "code"}
    assert f"| image | 1.000 | {ceilings['without_one']['image']:.3f} |" in card
    assert ceilings["without_one"]["image"] == ceilings["one_left_out"] == ceilings["counting"]
    words = json.loads((tmp_path / "stats.json").read_text(encoding="utf-8"))["words"]["train"]
    assert words["target"]["el"]["words"] + words["target"]["en"]["words"] == ROWS["train"]
    assert set(words["target_position"].values()) == {ROWS["train"] // 2}
