"""X-rays, ECGs and labs as Symile-MIMIC stores them, against the paper's own steps written out."""

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Features, Image, List, Value
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as Pillow
from small_datasets import write_split

from symile_data.errors import UsageError
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.loaders import (
    BatchLoader,
    EcgSettings,
    ImageAugment,
    ImageCrop,
    ImageJitter,
    ImageSettings,
    LabsSettings,
    Resources,
    Variation,
    mean_percentiles,
    open_split,
)
from symile_data.loaders.decoders import DECODERS
from symile_data.loaders.decoders.ecg import decode_ecg
from symile_data.loaders.decoders.image import decode_image
from symile_data.loaders.decoders.labs import decode_labs

LABS, SAMPLES, ROWS = 5, 7, 24
XRAY = ImageSettings(size=32)
SHARES = [round(0.04 * step, 2) for step in range(26)]


def xray(row):
    """Grey, shorter side 32, the longer one of every remainder."""
    size = (32, 32 + row) if row % 2 else (32 + row, 32)
    pixels = np.random.default_rng(row).integers(0, 256, size[::-1], dtype=np.uint8)
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue(), pixels


def values(row):
    rng = np.random.default_rng(1000 + row)
    ecg = rng.integers(-900, 900, (12, SAMPLES)).astype(np.int16)
    labs = np.where(rng.random(LABS) < 0.4, np.nan, np.round(rng.random(LABS), 2)).astype(np.float32)
    labs[-1] = np.nan  # no row has it
    labs[0] = row / ROWS
    return (np.full_like(ecg, 7) if row == 3 else ecg), labs


def lacks(row):
    return (("ecg",) if row % 5 == 0 else ()) + (("labs",) if row % 7 == 0 else ())


def stored(row):
    ecg, labs = values(row)
    found = [None if np.isnan(value) else float(value) for value in labs]
    value = {
        "sample_id": row,
        "cxr": {"bytes": xray(row)[0], "path": None},
        "ecg": ecg.ravel().tolist(),
        "labs": [None if value is None else 100 * value for value in found],
        "labs_percentile": found,
        "labs_missing": [value is None or "labs" in lacks(row) for value in found],
    }
    for modality in MODALITIES:
        gone = modality.name in lacks(row)
        value |= {modality.mask: gone} | (dict.fromkeys(modality.null_columns) if gone else {})
    return value


MODALITIES = (
    Modality(name="cxr", kind="image", column="cxr", null_columns=("cxr",)),
    Modality(name="ecg", kind="ecg", column="ecg", null_columns=("ecg",)),
    Modality(
        name="labs", kind="labs", column="labs", null_columns=("labs", "labs_percentile"), mask="labs_all_missing"
    ),
)
FEATURES = Features(
    {
        "sample_id": Value("int64"),
        "cxr": Image(),
        "ecg": List(Value("int16"), length=12 * SAMPLES),
        "labs": List(Value("float32"), length=LABS),
        "labs_percentile": List(Value("float32"), length=LABS),
        "labs_missing": List(Value("bool"), length=LABS),
        "cxr_missing": Value("bool"),
        "ecg_missing": Value("bool"),
        "labs_all_missing": Value("bool"),
    }
)


@pytest.fixture(scope="module")
def mimic(tmp_path_factory):
    schema = DatasetSchema(features=FEATURES, modalities=MODALITIES)
    rows = [stored(row) for row in range(ROWS)]
    return open_split(write_split(tmp_path_factory.mktemp("mimic"), schema, rows, group=5, shards=2), "train")


def of_paper(pixels):
    """CenterCrop, ToTensor and Normalize as torchvision does them, on a grey image turned RGB."""
    height, width = pixels.shape
    top, left = round((height - 32) / 2.0), round((width - 32) / 2.0)
    rgb = torch.from_numpy(np.repeat(pixels[None, top : top + 32, left : left + 32], 3, axis=0)).float().div(255)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return rgb.sub_(mean[:, None, None]).div_(deviation[:, None, None])


@pytest.mark.parametrize("row", range(12))
def test_an_xray_is_the_papers_tensor_to_the_bit(row):
    data, pixels = xray(row)
    mine = torch.from_numpy(np.ascontiguousarray(decode_image(data, ImageSettings(size=32, normalise=True))))
    assert mine.dtype == torch.float32 and torch.equal(mine, of_paper(pixels))
    plain = decode_image(data, XRAY)
    assert plain.dtype == np.uint8 and plain.shape == (32, 32, 3) and (plain == plain[:, :, :1]).all()


def test_training_crops_move_by_epoch_and_sample_and_are_pieces_of_the_image(mimic):
    loader = BatchLoader(
        mimic, 6, transforms={"cxr": XRAY}, variation=Variation(augment={"cxr": ImageCrop()}), drop_last=False, seed=3
    )
    places = {}
    for epoch in (0, 1):
        for batch in loader:
            for row, shown in zip(batch["sample_id"].tolist(), batch["cxr"].numpy(), strict=True):
                pixels = xray(row)[1]
                windows = np.lib.stride_tricks.sliding_window_view(pixels, (32, 32)).reshape(-1, 32, 32)
                (place,) = np.flatnonzero((windows == shown[:, :, 0]).all(axis=(1, 2)))
                places[row, epoch] = int(place)
    assert len(places) == 2 * ROWS and all(place <= row for (row, _), place in places.items())
    assert sum(places[row, 0] != places[row, 1] for row in range(ROWS)) > ROWS / 2
    again = BatchLoader(
        mimic,
        24,
        transforms={"cxr": XRAY},
        variation=Variation(augment={"cxr": ImageCrop()}),
        seed=3,
        resources=Resources(threads=1),
    )
    (batch,) = again
    for row, shown in zip(batch["sample_id"].tolist(), batch["cxr"].numpy(), strict=True):
        left = places[row, 0]
        pixels = xray(row)[1]
        cut = pixels[left : left + 32] if row % 2 else pixels[:, left : left + 32]
        assert np.array_equal(cut, shown[:, :, 0])


def test_a_crop_reaches_every_place():
    size, reached = (40, 32), set()
    for place in np.linspace(0, 0.9999, 200):
        box = ImageCrop().box(size, XRAY, np.array([0, 0, place, place, 0]))
        reached.add(box[0])
        assert box[1] == 0 and box[2] - box[0] == box[3] - box[1] == 32
    assert reached == set(range(9))


def test_the_place_across_and_the_place_down_are_drawn_apart():
    settings = ImageSettings(size=20, shorter_side=32)
    for across, down in ((0.0, 0.99), (0.99, 0.0), (0.5, 0.25)):
        left, top, *_ = ImageCrop().box((40, 32), settings, np.array([0, 0, across, down, 0]))
        assert (left, top) == (int(across * 21), int(down * 13))


@given(arrays(np.int16, (12 * SAMPLES,)))
def test_an_ecg_spans_minus_one_to_one_over_all_leads(record):
    mine = decode_ecg(record, EcgSettings())
    assert mine.shape == (12, SAMPLES) and mine.dtype == np.float32
    wide = record.astype(np.float64)
    if wide.min() == wide.max():
        assert not mine.any()
        return
    paper = (2 * ((wide - wide.min()) / (wide.max() - wide.min())) - 1).astype(np.float32).reshape(12, SAMPLES)
    assert np.array_equal(mine, paper) and mine.min() == -1 and mine.max() == 1
    assert np.array_equal(decode_ecg(record, EcgSettings(scale=False)).ravel(), record)


@given(st.lists(st.none() | st.sampled_from(SHARES), min_size=1, max_size=50))
def test_labs_are_percentiles_without_gaps_then_what_was_observed(known):
    row = np.array([np.nan if value is None else value for value in known], dtype=np.float32)
    means = tuple(np.linspace(0, 1, len(known)).tolist())
    for fill, expected in ((0.5, (0.5,) * len(known)), (means, means)):
        vector = decode_labs(row, LabsSettings(fill=fill))
        assert vector.dtype == np.float32 and vector.shape == (2 * len(known),)
        for place, value in enumerate(known):
            assert vector[place] == np.float32(expected[place] if value is None else value)
            assert vector[len(known) + place] == (value is not None)  # 1 is observed
    assert np.array_equal(decode_labs(row, LabsSettings()), row, equal_nan=True)


def test_means_are_those_of_the_rows_that_have_the_lab(mimic):
    rows = np.array([values(row)[1] for row in range(ROWS) if "labs" not in lacks(row)], dtype=np.float64)
    wanted = [np.nanmean(column) if not np.isnan(column).all() else 0.5 for column in rows.T]
    assert np.allclose(mean_percentiles(mimic), wanted, atol=1e-12) and wanted[-1] == 0.5


@pytest.mark.parametrize("cache", [False, True, "directory"])
def test_batches_hold_what_was_stored(mimic, tmp_path, cache):
    transforms = {"cxr": XRAY, "labs": LabsSettings(fill=0.5)}
    where = tmp_path if cache == "directory" else cache
    loader = BatchLoader(mimic, 7, transforms=transforms, drop_last=False, cache=where)
    seen = []
    for batch in loader:
        for place, row in enumerate(batch["sample_id"].tolist()):
            ecg, labs = values(row)
            no_ecg, no_labs = "ecg" in lacks(row), "labs" in lacks(row)
            assert batch["missing"][place].tolist() == [False, no_ecg, no_labs]
            record = np.zeros((12, SAMPLES)) if no_ecg else decode_ecg(ecg.ravel(), EcgSettings())
            vector = np.zeros(2 * LABS) if no_labs else decode_labs(labs, LabsSettings(fill=0.5))
            assert np.array_equal(batch["ecg"][place], record) and np.array_equal(batch["labs"][place], vector)
            seen.append(row)
    assert sorted(seen) == list(range(ROWS))


def test_masks_say_that_what_is_taken_away_at_load_is_missing(mimic):
    masks = ("cxr_missing", "ecg_missing", "labs_all_missing", "labs_missing")
    loader = BatchLoader(mimic, 7, columns=masks, missingness={"labs": 0.5, "cxr": 0.5}, drop_last=False)
    taken = 0
    for batch in loader:
        assert torch.stack([batch[mask] for mask in masks[:3]], dim=1).equal(batch["missing"])
        for place, row in enumerate(batch["sample_id"].tolist()):
            gone = bool(batch["missing"][place, 2])
            expected = np.full(LABS, True) if gone else np.isnan(values(row)[1])
            assert batch["labs_missing"].dtype == torch.bool and np.array_equal(batch["labs_missing"][place], expected)
            taken += gone and "labs" not in lacks(row)
    assert 0 < taken < ROWS


def test_null_records_stay_int16():
    column = pa.array([[1] * 12, None, [3] * 12], pa.list_(pa.int16(), 12))
    found: Any = DECODERS["ecg"].values(column)
    assert found.dtype == np.int16 and found[[0, 2]].tolist() == [[1] * 12, [3] * 12]


def test_the_fill_of_a_lab_and_the_place_of_a_crop_are_remembered_by_a_state(mimic):
    state = BatchLoader(
        mimic, 6, variation=Variation(augment={"cxr": ImageCrop()}), transforms={"cxr": XRAY}
    ).state_dict()
    assert json.loads(json.dumps(state)) == state
    with pytest.raises(UsageError, match=r"augment.cxr.view"):
        BatchLoader(
            mimic, 6, variation=Variation(augment={"cxr": ImageAugment()}), transforms={"cxr": XRAY}
        ).load_state_dict(state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda split: EcgSettings(leads=0), "at least one lead"),
        (lambda split: LabsSettings(fill=1.5), "from 0 to 1"),
        (lambda split: ImageCrop(flip=2.0), "mirror"),
        (lambda split: BatchLoader(split, 4, transforms={"ecg": EcgSettings(leads=5)}), "84 samples, 5 leads"),
        (lambda split: BatchLoader(split, 4, transforms={"labs": LabsSettings(fill=(0.5,))}), "1 numbers, 5 labs"),
        (lambda split: mean_percentiles(split, "cxr"), "no such labs"),
        (
            lambda split: BatchLoader(split, 4, variation=Variation(augment={"cxr": ImageCrop()}), cache=True),
            "ImageCrop cannot work on it",
        ),
        (
            lambda split: BatchLoader(
                split,
                4,
                variation=Variation(augment={"cxr": ImageJitter()}),
                transforms={"cxr": ImageSettings(size=32, normalise=True)},
                cache=True,
            ),
            "images in uint8; got cxr normalised",
        ),
        (lambda split: DECODERS["ecg"].layout(EcgSettings(), pa.list_(pa.int16())), "fixed-size list of whole"),
        (lambda split: DECODERS["labs"].layout(LabsSettings(), pa.float32()), "fixed-size list of numbers"),
    ],
)
def test_impossible_settings_are_refused(mimic, make, message):
    with pytest.raises(UsageError, match=message):
        make(mimic)
