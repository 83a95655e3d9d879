"""Own datasets with misaligned and noisy values: donors, companion columns, noise of each kind, what is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from datasets import Audio, ClassLabel, Features, Image, List, Value
from factories import contents, encoded, picture, problems, rewrite, rows_of
from PIL import Image as Pillow

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.builders.custom import unreliable as own
from symile_data.cards import write_card
from symile_data.errors import SourceError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.schema import Modality
from symile_data.loaders import AudioSettings, BatchLoader, EcgSettings, ImageSettings, Variation, open_split
from symile_data.noise import noise_generator
from symile_data.reliability import Reliability

pytestmark = pytest.mark.usefixtures("no_figures")

FEATURES = Features(
    {
        "photo": Image(),
        "photo_id": Value("string"),
        "sound": Audio(sampling_rate=8_000),
        "note": Value("string"),
        "author": Value("string"),
        "sensor": List(Value("float32"), length=3),
        "heart": List(Value("int16"), length=40),
        "count": List(Value("int32"), length=2),
        "label": ClassLabel(names=[f"class {number}" for number in range(7)]),
        "person": Value("string"),
    }
)
MODALITIES: dict[str, str | Modality] = {
    "photo": Modality(
        name="photo", kind="image", column="photo", null_columns=("photo", "photo_id"), id_column="photo_id"
    ),
    "sound": "audio",
    "note": Modality(name="note", kind="text", column="note", null_columns=("note", "author"), id_column=None),
    "sensor": "vector",
    "heart": "ecg",
    "count": "vector",
}
SCHEMA = own_schema(FEATURES, MODALITIES)
RATES = Reliability(
    misaligned={"photo": 0.5, "note": 0.5, "sensor": 0.3},
    noisy={"photo": 0.4, "sound": 0.4, "sensor": 0.5, "heart": 0.5},
    noise_levels={"sensor": 2.0, "sound": 0.0},
    donors_differ_in="person",
)


class Rows:
    """Rows that are made when they are read, and know how often that was."""

    def __init__(self, count: int) -> None:
        self.count, self.read = count, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, Any]:
        if not 0 <= number < self.count:
            raise IndexError(number)
        self.read += 1
        rng = np.random.default_rng(number)
        return {
            "photo": encoded(picture(number), "PNG") if number % 5 else None,
            "photo_id": f"photo-{number}.png",
            "sound": {"array": (rng.uniform(-0.5, 0.5, 200)).astype(np.float32), "sampling_rate": 8_000},
            "note": f"note {number}",
            "author": f"author {number}",
            "sensor": None if number % 7 == 3 else [float(number), None, 1.5],
            "heart": rng.integers(-900, 900, 40, dtype=np.int16),
            "count": [number, number],
            "label": number % 7,
            "person": f"person {number // 2}",
        }


def write(out: Path, reliability: Reliability = RATES, **options: Any) -> Path:
    settings: dict[str, Any] = {"name": "mine", "schema": SCHEMA, "spec": {"version": 1}, "seed": 3, **options}
    splits = settings.pop("splits", None) or {"train": Rows(60), "test": Rows(9)}
    write_dataset(out, splits=splits, reliability=reliability, **settings)
    return out


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dataset with unreliable values, and the same rows with reliable ones."""
    out = tmp_path_factory.mktemp("own")
    return write(out / "affected", write_card=write_card), write(out / "clean", Reliability())


def test_values_come_with_their_columns_from_donors_of_another_person(builds: tuple[Path, Path]) -> None:
    assert problems(builds[0]) == []
    rows, clean = ({row["sample_id"]: row for row in rows_of(place, "train")} for place in builds)
    groups = {"photo": ("photo", "photo_id"), "note": ("note", "author"), "sensor": ("sensor",)}
    counts = dict.fromkeys(groups, 0)
    for number, row in rows.items():
        assert [row[name] for name in ("label", "person", "count")] == [
            clean[number][name] for name in ("label", "person", "count")
        ]
        for name, columns in groups.items():
            donor = row[f"{name}_donor"]
            assert (donor >= 0) == row[f"{name}_misaligned"]
            assert row[f"{name}_missing"] == clean[number][f"{name}_missing"]
            shown = clean[donor] if donor >= 0 else clean[number]
            if donor >= 0:
                assert not row[f"{name}_missing"]
                assert clean[donor]["person"] != row["person"]
                counts[name] += 1
            same = [row[column] for column in columns] == [shown[column] for column in columns]
            assert same == (not row.get(f"{name}_noisy", False))
    assert min(counts.values()) > 8
    test = rows_of(builds[0], "test")
    assert not any(row[f"{name}_misaligned"] or row.get(f"{name}_noisy") for row in test for name in groups)


def test_noise_of_each_kind_is_that_of_its_row(builds: tuple[Path, Path]) -> None:
    rows, clean = ({row["sample_id"]: row for row in rows_of(place, "train")} for place in builds)
    seen = dict.fromkeys(RATES.noisy, 0)
    for number, row in rows.items():
        for name in RATES.noisy:
            seen[name] += row[f"{name}_noisy"]
            assert not (row[f"{name}_noisy"] and row[f"{name}_missing"])
        if row["sensor_noisy"]:
            shown = clean[row["sensor_donor"] if row["sensor_misaligned"] else number]["sensor"]
            noise = noise_generator(3, number, "sensor").standard_normal(3)
            assert row["sensor"][1] is None
            assert row["sensor"][0] == pytest.approx(shown[0] + 2 * noise[0], rel=1e-6)
        if row["photo_noisy"]:
            assert row["photo_id"].endswith(f"-noisy-{number}.png")
            assert Pillow.open(io.BytesIO(row["photo"]["bytes"])).size == picture().size
        if row["sound_noisy"]:
            before, after = (soundfile.read(io.BytesIO(one["sound"]["bytes"])) for one in (clean[number], row))
            assert (len(before[0]), before[1]) == (len(after[0]), after[1])
        if row["heart_noisy"]:
            assert row["heart"] != clean[number]["heart"]
    assert min(seen.values()) > 8


def test_draws_are_nested_and_do_not_depend_on_blocks(
    builds: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "_BLOCK", 7)
    again = write(tmp_path / "again", write_card=write_card)
    assert contents(again) == contents(builds[0])
    lower = write(tmp_path / "lower", Reliability(misaligned={"note": 0.2}, donors_differ_in="person"))
    for fewer, more in zip(rows_of(lower, "train"), rows_of(builds[0], "train"), strict=True):
        assert fewer["note_donor"] in (-1, more["note_donor"])


def test_reliable_datasets_are_what_they_were_and_rows_are_read_once_more_only_where_needed(tmp_path: Path) -> None:
    rows = Rows(20)
    write(tmp_path / "clean", Reliability(), splits={"train": rows})
    assert rows.read == 20
    spec = manifests.read(tmp_path / "clean").identity.spec
    assert spec == {"version": 1, "format": "parquet"}
    streamed: Iterator[dict[str, Any]] = (Rows(20)[number] for number in range(20))
    noise = Reliability(noisy={"sensor": 0.5})
    assert problems(write(tmp_path / "noise", noise, splits={"train": streamed})) == []


def test_verify_finds_a_value_that_is_not_the_donors(builds: tuple[Path, Path], tmp_path: Path) -> None:
    copy = write(tmp_path / "copy")
    rows = rows_of(copy, "train")
    intact = {row["sample_id"] for row in rows if not row["note_misaligned"]}
    row = next(row for row in rows if row["note_donor"] in intact)
    row["note"] = "something else"
    rewrite(copy, "data/train-00000.parquet", rows)
    assert any("note is not the value of the row that note_donor names" in problem for problem in problems(copy))
    row["note_donor"] = row["sample_id"]
    rewrite(copy, "data/train-00000.parquet", rows)
    assert any("note_donor is not what the seed draws" in problem for problem in problems(copy))


def test_the_card_and_the_loader_know_the_settings(builds: tuple[Path, Path]) -> None:
    card = (builds[0] / "README.md").read_text()
    assert "| sensor | noise with a standard deviation of 2 on each number | 0.5 |" in card
    split = open_split(builds[0], "train")
    columns = ["label", "note_misaligned", "note_donor"]
    transforms = {"photo": ImageSettings(size=8), "sound": AudioSettings(seconds=0.025), "heart": EcgSettings(leads=1)}
    variation = Variation(value_labels={"label": "note"})
    loader = BatchLoader(split, 60, shuffle=False, columns=columns, transforms=transforms, variation=variation)
    batch = next(iter(loader))
    shown = [donor if donor >= 0 else number for number, donor in enumerate(batch["note_donor"].tolist())]
    assert batch["label"].tolist() == [number % 7 for number in shown]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Reliability(misaligned={"film": 0.1}), "`misaligned` names a modality"),
        (Reliability(noisy={"note": 0.1}), "note is of a kind that has no noise"),
        (Reliability(noisy={"count": 0.1}), "count holds int32"),
        (Reliability(misaligned={"note": 0.1}, donors_differ_in="town"), "donors_differ_in names no column"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, settings: Reliability, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        write(tmp_path / "x", settings)


def test_rows_specs_and_schemas_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    swaps = Reliability(misaligned={"note": 0.5})
    with pytest.raises(UsageError, match="rows of type generator"):
        write(tmp_path / "a", swaps, splits={"train": (Rows(9)[number] for number in range(9))})
    with pytest.raises(UsageError, match="got noisy"):
        write(tmp_path / "b", Reliability(), spec={"noisy": True})
    with pytest.raises(UsageError, match="got seed"):
        write(tmp_path / "c", swaps, spec={"seed": 4})
    numbered = [{**Rows(9)[number], "sample_id": number + 1} for number in range(9)]
    schema = own_schema(FEATURES, MODALITIES)
    with pytest.raises(SourceError, match="train, row 0"):
        write(tmp_path / "d", swaps, splits={"train": numbered}, schema=schema)
    clash = own_schema(Features({**FEATURES, "note_donor": Value("int64")}), MODALITIES)
    with pytest.raises(UsageError, match="note_donor"):
        write(tmp_path / "e", swaps, schema=clash)
    numbers = own_schema(
        Features({**FEATURES, "photo_id": Value("int64")}), {"photo": MODALITIES["photo"], "sound": "audio"}
    )
    with pytest.raises(UsageError, match="id_column of photo holds text"):
        write(tmp_path / "f", Reliability(noisy={"photo": 0.5}), schema=numbers)
    broken = [{**Rows(9)[number], "photo": b"no image"} for number in range(9)]
    with pytest.raises(SourceError, match="cannot be made noisy"):
        write(tmp_path / "g", Reliability(noisy={"photo": 1.0}), splits={"train": broken})
