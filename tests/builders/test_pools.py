"""Pools of media: everything prepared once; an image that cannot be read gives its place to the next of its class."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import WNIDS, encoded, imagenet_tree, picture, unreadable_files

from symile_data.builders.engine.build_dir import BuildDir, open_build_dir
from symile_data.builders.m3 import prepare_media
from symile_data.builders.m3.audio.sources import EspeakSource, SplitAudio
from symile_data.builders.m3.images.imagenet import ImageCatalogue, SplitImages, list_images, read_image, split_images
from symile_data.builders.m3.media_store import MediaStore
from symile_data.builders.m3.prepare_media import prepare_audio, prepare_images
from symile_data.builders.m3.text.sentences import read_bank
from symile_data.errors import SourceError
from symile_data.format.manifest import BuildFingerprint, Dropped

ROWS = {"train": 8, "validation": 0, "test": 4}


@pytest.fixture
def build_dir(tmp_path: Path) -> Iterator[BuildDir]:
    with open_build_dir(tmp_path / "out", BuildFingerprint(dataset="m3", spec={}, sources={}, versions={})) as opened:
        assert isinstance(opened, BuildDir)
        yield opened


def prepared(
    build_dir: BuildDir, tree: Path, size: int | None = None
) -> tuple[ImageCatalogue, dict[str, SplitImages], list[Dropped]]:
    """All images of the tree in two stores."""
    catalogue = list_images(tree)
    images = split_images(catalogue, 0, ROWS, shared=False)
    wanted = {split: (pool, np.arange(len(pool.order))) for split, pool in images.items()}
    return catalogue, images, prepare_images(build_dir, None, catalogue, wanted, size)


def given_out(build_dir: BuildDir, catalogue: ImageCatalogue, split: str, slots: np.ndarray) -> list[tuple[str, bytes]]:
    pool = MediaStore(build_dir.internal, "images", split, catalogue.root)
    return list(pool.media(pool.rows_of(slots)))


@pytest.mark.parametrize("chunk", [1, 3, 256])
def test_slots_get_their_images_in_any_order(build_dir: BuildDir, tree: Path, monkeypatch, chunk: int) -> None:
    monkeypatch.setattr(prepare_media, "CHUNK", chunk)
    catalogue, images, dropped = prepared(build_dir, tree)
    assert dropped == []
    for split, pool in images.items():
        slots = np.random.default_rng(0).integers(0, len(pool.order), 30)
        media = given_out(build_dir, catalogue, split, slots)
        assert [image_id for image_id, _ in media] == [pool.image_id(catalogue, int(slot)) for slot in slots]
        assert all(data[:3] == b"\xff\xd8\xff" for _, data in media)
        for image_id, data in media:
            assert (data == (tree / image_id).read_bytes()) == (image_id[10:11] == "n")  # the odd files are converted


def test_unreadable_images_are_replaced_counted_and_named(build_dir: BuildDir, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(prepare_media, "CHUNK", 4)
    bad = {f"{wnid}/{name}": content for wnid in WNIDS[:2] for name, content in unreadable_files().items()}
    tree = imagenet_tree(tmp_path / "tree", pictures=9, extra={path: data for path, (data, _) in bad.items()})
    catalogue, images, dropped = prepared(build_dir, tree)
    assert {entry.reason: (entry.count, entry.examples) for entry in dropped} == {
        f"image: {reason}": (2, sorted(path for path, (_, why) in bad.items() if why == reason))
        for reason in ("empty file", "not an image", "truncated or corrupt")
    }
    for split, pool in images.items():
        slots = np.arange(len(pool.order))
        for slot, (image_id, _) in zip(slots, given_out(build_dir, catalogue, split, slots), strict=True):
            expected = int(slot)
            while pool.image_id(catalogue, expected) in bad:
                expected = pool.following(expected)
            assert image_id == pool.image_id(catalogue, expected)


def test_examples_are_few(build_dir: BuildDir, tmp_path: Path) -> None:
    extra = {f"{WNIDS[0]}/bad{index}.JPEG": b"" for index in range(9)}
    _, _, dropped = prepared(build_dir, imagenet_tree(tmp_path / "tree", extra=extra))
    assert [(entry.reason, entry.count, len(entry.examples)) for entry in dropped] == [("image: empty file", 9, 5)]


def test_a_class_without_a_readable_image_is_an_error_that_names_it(build_dir: BuildDir, tmp_path: Path) -> None:
    extra = {f"n02123045/{index}.JPEG": b"no picture" for index in range(4)}
    tree = imagenet_tree(tmp_path / "tree", extra=extra)
    with pytest.raises(SourceError) as caught:
        prepared(build_dir, tree)
    assert str(caught.value) == (
        f"a class has no readable image for one of its splits ({tree / 'n02123045'}). Replace its files or remove it."
    )


def test_every_image_is_read_once(build_dir: BuildDir, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    original = read_image

    def noted(path: Path, size: int | None) -> Any:
        read.append(path)
        return original(path, size)

    monkeypatch.setattr(prepare_media, "read_image", noted)
    prepared(build_dir, tree)
    assert len(read) == len(set(read)) == 36
    prepared(build_dir, tree)
    assert len(read) == 36


def test_images_are_shrunk(build_dir: BuildDir, tmp_path: Path) -> None:
    large = {f"{wnid}/large.JPEG": encoded(picture(0, 64, 48)) for wnid in WNIDS}
    tree = imagenet_tree(tmp_path / "tree", extra=large)
    catalogue, images, _ = prepared(build_dir, tree, size=16)
    for split, pool in images.items():
        for image_id, data in given_out(build_dir, catalogue, split, np.arange(len(pool.order))):
            assert data != (tree / image_id).read_bytes()


def test_an_image_that_vanishes_is_an_error_that_names_it(build_dir: BuildDir, tmp_path: Path) -> None:
    tree = imagenet_tree(tmp_path / "tree", odd=False)
    catalogue, _, _ = prepared(build_dir, tree)
    (tree / WNIDS[0] / f"{WNIDS[0]}_0.JPEG").unlink()
    with pytest.raises(SourceError, match=rf"cannot open an image .*{WNIDS[0]}_0.JPEG\); got No such file"):
        for split in ("train", "test"):
            given_out(build_dir, catalogue, split, np.arange(4))


def test_recordings_are_found_by_number(build_dir: BuildDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_media, "CHUNK", 2)
    numbers = np.array([1, 4, 5, 9, 12])
    source = EspeakSource(0, ["en"], {"train": 26, "validation": 0, "test": 0}, False, read_bank(None, ["en"]))
    pool = SplitAudio(source, "train")
    clips = [pool.recording(int(number)) for number in numbers]
    assert prepare_audio(build_dir, None, {"train": (numbers, pool)}) == []
    prepared_pool = MediaStore(build_dir.internal, "clips", "train")
    found = list(prepared_pool.media(prepared_pool.rows_of(np.array([9, 1, 9, 12]))))
    assert found == [(clips[i].clip_id, clips[i].encode()) for i in (3, 0, 3, 4)]
