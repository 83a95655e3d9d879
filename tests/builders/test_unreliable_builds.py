"""Builds with misaligned and noisy values: what rows show, the bytes, what verify sees, and the card."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from factories import contents, problems, rewrite, rows_of
from PIL import Image

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.engine.noise import noisy_audio, noisy_image
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor import build as xor
from symile_data.builders.xor.build import build_xor, draw_bits, draw_bits_at
from symile_data.builders.xor.spec import XorSpec
from symile_data.cards import write_card
from symile_data.datasets.pid import PRESETS, Block, Design
from symile_data.datasets.pid.alphabets import texts, vectors
from symile_data.datasets.pid.relations import symbols_of
from symile_data.errors import UsageError
from symile_data.format import manifest as manifests
from symile_data.noise import noise_generator
from symile_data.reliability import Reliability

pytestmark = pytest.mark.usefixtures("no_figures")

ROWS = {"train": 60, "validation": 12, "test": 12}
SWAPS = Reliability(misaligned={"a": 0.5, "c": 0.3}, noisy={"b": 0.5, "c": 0.4}, noise_levels={"b": 0.3})


# Of the values and settings, so that it holds for every version of the libraries.
GOLDEN = "867c15d70183214fb6867de44c3dfe4abe4297c3e8c3bf84380eabbc3e30b769"


def xor_build(out: Path, reliability: Reliability = SWAPS, workers: int = 1, **changes: Any) -> Path:
    spec = XorSpec(rows=ROWS, reliability=reliability, **changes)
    build_xor(spec, out, workers=workers, write_card=no_card)
    return out


def table(directory: Path, split: str = "train") -> dict[str, list[Any]]:
    rows = rows_of(directory, split)
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An XOR build with misaligned and noisy variables, some missing."""
    return xor_build(tmp_path_factory.mktemp("xor") / "swapped", missing={"a": 0.3})


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PID build of all kinds with misaligned and noisy values."""
    out = tmp_path_factory.mktemp("pid") / "media"
    build_pid(media_spec(), out, workers=1, write_card=no_card)
    return out


def media_spec() -> PidSpec:
    kinds = {"seen": "image", "heard": "audio", "read": "text", "felt": "vector"}
    blocks = (
        Block(name="same", relation="redundant", scope=("seen", "heard", "read"), values=3),
        Block(name="sum", relation="synergistic", scope=("seen", "felt", "heard"), values=4),
    )
    reliability = Reliability(
        misaligned=dict.fromkeys(kinds, 0.5),
        noisy={"seen": 0.5, "heard": 0.5, "felt": 0.5},
        noise_levels={"seen": 40.0, "heard": 0.0, "felt": 0.4},
        misaligned_test=True,
    )
    rows, design = {"train": 14, "validation": 3, "test": 5}, Design(modalities=kinds, blocks=blocks)
    return PidSpec(design=design, rows=rows, missing={"seen": 0.3}, reliability=reliability)


def test_without_the_options_an_xor_build_is_what_it_always_was(tmp_path: Path) -> None:
    directory = xor_build(tmp_path / "x", Reliability())
    found = hashlib.sha256()
    for split in ROWS:
        read = pq.read_table(next((directory / "data").glob(f"{split}-*")))
        found.update(repr((read.schema.names, read.to_pylist())).encode())
    found.update(repr(sorted(manifests.read(directory).identity.spec.items())).encode())
    assert found.hexdigest() == GOLDEN


def test_each_row_shows_its_own_value_or_its_donors(swapped: Path) -> None:
    spec, rows = XorSpec(rows=ROWS, reliability=SWAPS), table(swapped)
    clean = draw_bits(spec, "train", 0, 60)
    for row in range(60):
        donor = rows["a_donor"][row]
        assert rows["a_misaligned"][row] == (donor >= 0)
        assert not (rows["a_missing"][row] and rows["a_misaligned"][row])
        if not rows["a_missing"][row]:
            assert rows["a"][row] == clean[0][donor if donor >= 0 else row].tolist()
        differs = rows["b"][row] != clean[1][row].tolist()
        assert rows["b_noisy"][row] or not differs
    assert sum(rows["a_misaligned"]) > 10
    flips = np.array(rows["b"]) != clean[1]
    assert abs(flips[rows["b_noisy"]].mean() - 0.3) < 4 * np.sqrt(0.21 / flips[rows["b_noisy"]].size)


def test_donors_have_ids_of_their_own_split(swapped: Path) -> None:
    first = 0
    for split, count in ROWS.items():
        donors = [donor for name in "ac" for donor in table(swapped, split)[f"{name}_donor"] if donor >= 0]
        assert all(first <= donor < first + count for donor in donors)
        first += count
    assert donors == []  # the test split is clean


def test_the_test_split_is_affected_where_asked(tmp_path: Path) -> None:
    settings = Reliability(misaligned={"a": 0.5}, misaligned_test=True, noisy={"b": 0.5}, noisy_test=True)
    rows = table(xor_build(tmp_path / "x", settings), "test")
    assert any(rows["a_misaligned"])
    assert any(rows["b_noisy"])


@pytest.mark.usefixtures("shared_workers")
def test_bytes_do_not_depend_on_workers_and_values_not_on_shards(
    swapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = xor_build(tmp_path / "2", workers=2, missing={"a": 0.3})
    assert contents(again) == contents(swapped)
    monkeypatch.setattr(xor, "ROWS_PER_SHARD", 7)
    monkeypatch.setattr(xor, "ROWS_PER_GROUP", 3)
    small = xor_build(tmp_path / "3", missing={"a": 0.3})
    assert len(list((small / "data").glob("train-*"))) == 9
    assert rows_of(small, "train") == rows_of(swapped, "train")
    assert problems(small) == []


def test_scattered_rows_are_drawn_as_consecutive_ones() -> None:
    spec, chosen = XorSpec(p_hat=0.5), np.array([5, 1, 5, 39])
    for whole, some in zip(draw_bits(spec, "test", 0, 40), draw_bits_at(spec, "test", chosen), strict=True):
        assert (whole[chosen] == some).all()


def test_higher_rates_keep_the_rows_of_lower_ones(tmp_path: Path) -> None:
    low, high = (
        table(xor_build(tmp_path / str(rate), Reliability(misaligned={"a": rate}, noisy={"b": rate})))
        for rate in (0.3, 0.6)
    )
    for column in ("a_misaligned", "b_noisy"):
        assert all(more for fewer, more in zip(low[column], high[column], strict=True) if fewer)
    pairs = zip(low["a_donor"], high["a_donor"], strict=True)
    assert all(donor == other for donor, other in pairs if donor >= 0)


def test_verify_passes_and_finds_other_donors_flags_and_values(swapped: Path, tmp_path: Path) -> None:
    assert problems(swapped) == []
    rows = rows_of(swapped, "train")
    row = next(row for row in rows if row["c_misaligned"] and not row["c_noisy"])
    donor = next(other for other in rows if other["sample_id"] == row["c_donor"])

    def told(**changes: Any) -> str:
        copy = xor_build(tmp_path / f"copy-{len(list(tmp_path.iterdir()))}", missing={"a": 0.3})
        path = next((copy / "data").glob("train-*")).relative_to(copy).as_posix()
        rewrite(copy, path, [{**one, **changes} if one is row else one for one in rows])
        return " ".join(problems(copy))

    assert "c_donor is not what the seed draws" in told(c_donor=(row["c_donor"] + 1) % 60)
    assert "c_misaligned is not what the seed draws" in told(c_misaligned=False)
    assert "b_noisy is not what the seed draws" in told(b_noisy=not row["b_noisy"])
    if not (donor["c_misaligned"] or donor["c_noisy"]):
        flipped = [1.0 - bit for bit in row["c"]]
        assert "c is not the value of the row that c_donor names" in told(c=flipped)


def test_verify_finds_a_bit_that_no_noise_flipped(tmp_path: Path) -> None:
    copy = xor_build(tmp_path / "x", Reliability(noisy={"b": 0.5}))
    rows = rows_of(copy, "train")
    noisy = next(row for row in rows if row["b_noisy"])
    noisy["b"] = [1.0 - bit for bit in noisy["b"]]
    rewrite(copy, "data/train-00000-of-00001.parquet", rows)
    assert any(f"sample {noisy['sample_id']}: c has a value" in problem for problem in problems(copy))


def test_modalities_of_all_kinds_show_the_symbols_of_their_donors(media: Path) -> None:
    assert problems(media, deep=True) == []
    design, first, seen = media_spec().design, 0, 0
    for split, count in media_spec().rows.items():
        rows = table(media, split)
        for name in design.names:
            owners = [donor - first if donor >= 0 else place for place, donor in enumerate(rows[f"{name}_donor"])]
            numbers = np.array(rows[f"{name}_value"])[owners]
            symbols = symbols_of(name, design, numbers)
            for place in range(count):
                if rows[f"{name}_missing"][place]:
                    assert not rows[f"{name}_misaligned"][place]
                    continue
                seen += rows[f"{name}_misaligned"][place]
                if name == "read":
                    assert rows["read"][place] == texts("read", design, symbols)[place]
                elif name == "felt":
                    same = rows["felt"][place] == vectors("felt", design, symbols)[place].tolist()
                    assert same or rows["felt_noisy"][place]
                else:
                    assert rows[f"{name}_id"][place].startswith(f"{name}-{split}-{numbers[place]}-")
        first += count
    assert seen > 10
    assert any(table(media, "test")["read_misaligned"])


def test_a_noisy_image_or_recording_has_an_id_of_its_own(media: Path) -> None:
    rows = rows_of(media, "train")
    for name in ("seen", "heard"):
        files: dict[str, bytes] = {}
        for row in rows:
            if row[f"{name}_missing"]:
                continue
            assert row[f"{name}_noisy"] == (f"-noisy-{row['sample_id']}" in row[f"{name}_id"])
            assert files.setdefault(row[f"{name}_id"], row[name]["bytes"]) == row[name]["bytes"]
        assert any(row[f"{name}_noisy"] for row in rows)


@pytest.mark.parametrize("column", ["read", "seen_id", "felt"])
def test_verify_compares_what_misaligned_rows_show_with_their_donors(media: Path, tmp_path: Path, column: str) -> None:
    name = column.removesuffix("_id")
    copy = tmp_path / "copy"
    build_pid(media_spec(), copy, workers=1, write_card=no_card)
    rows = rows_of(copy, "train")
    row = next(row for row in rows if row[f"{name}_misaligned"])
    if column == "felt":
        row["felt"] = [1.0 - bit for bit in row["felt"]]
    else:
        row[column] = next(other[column] for other in rows if other[column] and other[column][:14] != row[column][:14])
    rewrite(copy, "data/train-00000-of-00001.parquet", rows)
    assert any("of its donor" in problem for problem in problems(copy))


def test_a_block_that_takes_the_name_of_a_flag_is_refused_only_then() -> None:
    design = Design(
        modalities={"a": "vector", "b": "vector"},
        blocks=(Block(name="noisy", relation="redundant", scope=("a", "b"), values=2),),
    )
    assert PidSpec(design=design)
    with pytest.raises(UsageError, match="2 columns would be called a_noisy"):
        PidSpec(design=design, reliability=Reliability(noisy={"a": 0.1}))


def test_the_noise_of_images_and_audio_has_its_level() -> None:
    gray = io.BytesIO()
    Image.new("RGB", (96, 96), (128, 128, 128)).save(gray, "PNG")
    pixels = np.asarray(Image.open(io.BytesIO(noisy_image(gray.getvalue(), 30.0, noise_generator(0, 1, "i")))))
    assert 20 < pixels.astype(float)[..., 1].std() < 35  # the JPEG takes some of it away
    tone = 0.3 * np.sin(np.arange(16_000) / 5)
    wave = io.BytesIO()
    soundfile.write(wave, tone, 16_000, format="WAV")
    noisy, rate = soundfile.read(io.BytesIO(noisy_audio(wave.getvalue(), 10.0, noise_generator(0, 1, "s"))))
    assert (rate, len(noisy)) == (16_000, 16_000)
    assert abs(10 * np.log10(np.mean(tone**2) / np.mean((noisy - tone) ** 2)) - 10) < 0.3
    loud, _ = soundfile.read(io.BytesIO(noisy_audio(wave.getvalue(), -30.0, noise_generator(0, 1, "s"))))
    assert 0.99 < np.abs(loud).max() <= 1.0
    assert (np.abs(loud) > 0.998).sum() < 5  # made quieter, not clipped


def test_silence_stays_silent() -> None:
    wave = io.BytesIO()
    soundfile.write(wave, np.zeros(100), 16_000, format="WAV")
    noisy, _ = soundfile.read(io.BytesIO(noisy_audio(wave.getvalue(), 10.0, noise_generator(0, 1, "s"))))
    assert not noisy.any()


def test_the_card_has_rates_and_accuracies(tmp_path: Path) -> None:
    spec = XorSpec(rows=ROWS, reliability=Reliability(misaligned={"a": 0.5}))
    build_xor(spec, tmp_path / "x", workers=1, write_card=write_card)
    card = (tmp_path / "x" / "README.md").read_text()
    assert "| a | another row's value | 0.5 |" in card
    assert "| b, from all others | 0.5156 | 0.5156 |" in card
    assert "The test split is clean." in card
    assert "sample_id of the row whose a is shown" in card
    design = PRESETS["xor"]
    swaps = Reliability(misaligned={"a": 0.5})
    build_pid(PidSpec(design=design, rows=ROWS, reliability=swaps), tmp_path / "p", workers=1, write_card=write_card)
    assert "| b, from all others | 0.5156 | 0.5156 |" in (tmp_path / "p" / "README.md").read_text()
    many = PidSpec(design=PRESETS["trifeature"], rows=ROWS, reliability=swaps)  # too many rows to be enumerated
    build_pid(many, tmp_path / "t", workers=1, write_card=write_card)
    assert "| b, from all others | at most the next | 0.0600 |" in (tmp_path / "t" / "README.md").read_text()
    flips = Reliability(noisy={"a": 0.5}, noise_levels={"a": 0.5})
    vectors = PidSpec(design=PRESETS["xnor"], rows=ROWS, reliability=flips)
    build_pid(vectors, tmp_path / "f", workers=1, write_card=write_card)
    card = (tmp_path / "f" / "README.md").read_text()
    assert "| b, from all others | 0.5156 | 0.5156 |" in card and "| a, from all others |" not in card
    noise = Reliability(noisy={"c": 0.5}, noise_levels={"c": 0.5}, noisy_test=True)
    build_xor(XorSpec(rows=ROWS, reliability=noise), tmp_path / "n", workers=1, write_card=write_card)
    card = (tmp_path / "n" / "README.md").read_text()
    assert "| c | bits flipped with probability 0.5 | 0.5 |" in card
    assert "| b, from all others | 0.5156 | 0.5156 |" in card
    assert "So do rows of the test split." in card


def test_tars_hold_the_same_rows(tmp_path: Path) -> None:
    directory = xor_build(tmp_path / "t", shard_format="webdataset")
    assert problems(directory) == []
