"""Images from ImageNet folders: found in every layout, divided fairly, read whatever they are."""

import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from factories import (
    HEIGHT,
    WIDTH,
    WNIDS,
    build,
    encoded,
    imagenet_tree,
    picture,
    problems,
    rotated,
    rows_of,
    unreadable_files,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from symile_data.builders.m3.images.imagenet import (
    ImageCatalogue,
    UnreadableImageError,
    check_size,
    list_images,
    read_image,
    split_images,
)
from symile_data.errors import SourceError, UsageError
from symile_data.loaders import ImageSettings
from symile_data.loaders.decoders.image import decode_image

CLOSE = 14.0  # mean difference in grey levels that JPEG compression may make; other pictures differ by 40


def read(tmp_path: Path, data: bytes, size: int | None = None) -> tuple[Image.Image, str]:
    path = tmp_path / "picture.JPEG"
    path.write_bytes(data)
    jpeg, outcome = read_image(path, size)
    image = Image.open(io.BytesIO(jpeg))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert image.getexif().get(0x0112, 1) == 1
    if outcome == "kept":
        assert jpeg == data
    return image, outcome


def distance(one: Image.Image, other: Image.Image) -> float:
    a, b = (np.asarray(image.convert("RGB"), dtype=float) for image in (one, other))
    assert a.shape == b.shape
    return float(np.abs(a - b).mean())


def test_an_upright_rgb_jpeg_is_kept_byte_for_byte(tmp_path: Path) -> None:
    assert read(tmp_path, encoded(picture()))[1] == "kept"
    assert read(tmp_path, rotated(picture(), 1))[1] == "kept"


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "RGB"),
        ("PNG", "L"),
        ("PNG", "P"),
        ("GIF", "P"),
        ("WEBP", "RGB"),
        ("BMP", "RGB"),
    ],
)
def test_every_other_form_becomes_an_rgb_jpeg(tmp_path: Path, form: str, mode: str) -> None:
    original = picture(1).convert(mode)
    image, outcome = read(tmp_path, encoded(original, form))
    assert outcome == "converted"
    assert distance(image, original) < CLOSE


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_images_are_set_upright(tmp_path: Path, orientation: int) -> None:
    undo = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}[orientation]
    stored = picture(2)
    for step in undo:
        stored = stored.transpose(Image.Transpose(step))
    image, outcome = read(tmp_path, rotated(stored, orientation))
    assert outcome == "converted"
    assert distance(image, picture(2)) < CLOSE


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    original = picture(3).convert("RGBA")
    original.putalpha(
        Image.fromarray(np.repeat([[255] * (WIDTH // 2) + [0] * (WIDTH // 2)], HEIGHT, 0).astype(np.uint8))
    )
    pixels = np.asarray(read(tmp_path, encoded(original, "PNG"))[0], dtype=float)
    assert pixels[:, WIDTH // 2 + 2 :].min() > 245
    assert np.abs(pixels[:, : WIDTH // 2 - 2] - np.asarray(picture(3))[:, : WIDTH // 2 - 2]).mean() < CLOSE


def test_a_transparent_palette_colour_is_white(tmp_path: Path) -> None:
    original = Image.new("P", (WIDTH, HEIGHT), 0)
    original.putpalette([10, 20, 30] * 256)
    pixels = np.asarray(read(tmp_path, encoded(original, "PNG", transparency=0))[0])
    assert pixels.min() > 245


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16)
    image, _ = read(tmp_path, encoded(Image.fromarray(ramp), "PNG"))
    assert distance(image, Image.fromarray((ramp >> 8).astype(np.uint8))) < CLOSE


@pytest.mark.parametrize(("name", "content"), unreadable_files().items())
def test_a_file_that_is_no_image_has_its_reason(tmp_path: Path, name: str, content: tuple[bytes, str]) -> None:
    data, reason = content
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnreadableImageError) as caught:
        read_image(tmp_path / name, None)
    assert str(caught.value) == reason


def test_an_image_of_absurd_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT // 3)
    with pytest.raises(UnreadableImageError, match="too large"):
        read(tmp_path, encoded(picture()))


@pytest.mark.filterwarnings("ignore:.*EXIF|Tag data:UserWarning")
@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF"])
def test_no_damage_makes_reading_crash(tmp_path: Path, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    whole = encoded(picture(), form, **({} if form in ("GIF", "TIFF") else {"exif": exif}))
    rng = np.random.default_rng(0)
    read_well = 0
    for _ in range(250):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), size=int(rng.integers(1, 4))):
            data[int(place * rng.random())] = int(rng.integers(256))
        if rng.random() < 0.3:
            del data[int(rng.integers(1, len(data))) :]
        try:
            read(tmp_path, bytes(data))
            read_well += 1
        except UnreadableImageError as error:
            assert str(error) in ("not an image", "truncated or corrupt", "too large")
    assert read_well < 250


@pytest.mark.parametrize("failure", [RuntimeError("decoder"), IndexError("table"), OverflowError("size")])
def test_whatever_a_decoder_raises_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(Image, "open", fail)
    (tmp_path / "x").write_bytes(b"data")
    with pytest.raises(UnreadableImageError, match="truncated or corrupt"):
        read_image(tmp_path / "x", None)


def test_lack_of_memory_is_not_blamed_on_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", fail)
    (tmp_path / "x").write_bytes(b"data")
    with pytest.raises(MemoryError):
        read_image(tmp_path / "x", None)


def test_a_file_that_cannot_be_opened_stops_the_build_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot open an image \(.*gone.JPEG\); got No such file"):
        read_image(tmp_path / "gone.JPEG", None)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to write again and again."""
    return tmp_path_factory.mktemp("scratch") / "picture.JPEG"


@given(width=st.integers(17, 90), height=st.integers(17, 90), size=st.integers(16, 60))
def test_shrinking_keeps_the_shape_and_never_enlarges(scratch: Path, width: int, height: int, size: int) -> None:
    scratch.write_bytes(encoded(picture(0, width, height)))
    jpeg, outcome = read_image(scratch, size)
    image = Image.open(io.BytesIO(jpeg))
    assert min(image.size) == min(size, width, height)
    assert (outcome == "kept") == (min(width, height) <= size)
    longer = max(width, height) * min(image.size) / min(width, height)
    assert abs(max(image.size) - longer) <= 0.5


def test_a_turned_image_is_shrunk_by_its_upright_sides(tmp_path: Path) -> None:
    image, _ = read(tmp_path, rotated(picture(0, 64, 32), 6), size=16)
    assert image.size == (16, 32)


@pytest.mark.parametrize("size", [0, 15, -3])
def test_sizes_at_which_nothing_is_seen_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match="`image_size` is the shorter side in pixels, at least 16; got"):
        check_size(size)


def test_the_size_of_originals_is_no_size() -> None:
    check_size(None)
    check_size(16)


@pytest.mark.parametrize("layout", ["ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train", "CLS-LOC/train", "train", "."])
def test_every_layout_is_found(tmp_path: Path, tree: Path, layout: str) -> None:
    imagenet_tree(tmp_path / layout)
    (tmp_path / "LOC_synset_mapping.txt").touch()
    found, plain = list_images(tmp_path), list_images(tree)
    assert found.root == tmp_path / layout
    assert (found.wnids, found.files, found.fingerprint) == (plain.wnids, plain.files, plain.fingerprint)


def test_what_is_no_class_folder_is_passed_over(tmp_path: Path) -> None:
    imagenet_tree(tmp_path, extra={"readme.txt": b"hello", "other/x.JPEG": b"x", "n0144/x.JPEG": b"x"})
    (tmp_path / "n99999999").touch()
    (tmp_path / "n01440764" / "folder").mkdir()
    assert list_images(tmp_path).files == list_images(imagenet_tree(tmp_path / "plain")).files


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "n01440764" / "cmyk.JPEG").unlink(),
        lambda tree: (tree / "n02129165" / "new").write_text("x"),
    ],
)
def test_another_listing_is_another_fingerprint(tmp_path: Path, change) -> None:
    tree = imagenet_tree(tmp_path)
    before = list_images(tree).fingerprint
    change(tree)
    assert list_images(tree).fingerprint != before


def test_no_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", imagenet_tree(tmp_path) / "n01440764" / "cmyk.JPEG"):
        with pytest.raises(SourceError) as caught:
            list_images(path)
        assert str(caught.value) == (
            f"there is no image folder ({path}). Point `images` at a folder in ImageNet's layout, or use `images=None`."
        )


@pytest.mark.parametrize(("names", "got"), [((), "an empty folder"), (("cats", "dogs"), "cats, dogs")])
def test_a_folder_without_classes_is_an_error_that_says_what_was_found(
    tmp_path: Path, names: tuple[Any, ...], got: str
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(SourceError) as caught:
        list_images(tmp_path)
    assert str(caught.value) == (
        f"the image folder has no class folders named by wnid (n01440764, ...) ({tmp_path}); got {got}. "
        "Point `images` at the folder above ILSVRC/, or at a folder of wnid folders."
    )


def test_an_empty_class_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    (imagenet_tree(tmp_path) / "n02123045").mkdir()
    with pytest.raises(SourceError, match=r"a class folder is empty \(.*/n02123045\). Fill it or remove it."):
        list_images(tmp_path)


def test_a_file_name_that_is_no_text_is_an_error_that_names_it(tmp_path: Path) -> None:
    tree = imagenet_tree(tmp_path)
    Path(str(tree / "n01440764" / "caf\udce9.JPEG")).touch()
    with pytest.raises(SourceError, match=r"an image's file name is not UTF-8 \(.*n01440764\); got 'caf\\udce9.JPEG'"):
        list_images(tree)


def catalogue(sizes: list[int]) -> ImageCatalogue:
    files = tuple(tuple(f"{index}.JPEG" for index in range(size)) for size in sizes)
    wnids = tuple(f"n{index:08d}" for index in range(len(sizes)))
    return ImageCatalogue(root=Path("root"), wnids=wnids, files=files, fingerprint="")


@given(
    st.lists(st.integers(3, 40), min_size=1, max_size=5),
    st.tuples(st.integers(1, 9000), st.integers(0, 9000), st.integers(0, 9000)),
    st.integers(0, 2**32),
)
def test_splits_divide_every_class(sizes: list[int], counts: tuple[int, int, int], seed: int) -> None:
    source = catalogue(sizes)
    rows = dict(zip(("train", "validation", "test"), counts, strict=True))
    pools = split_images(source, seed, rows, shared=False)
    assert list(pools) == [split for split, count in rows.items() if count]
    seen = {split: [pool.image_id(source, slot) for slot in range(len(pool.order))] for split, pool in pools.items()}
    together = [image for images in seen.values() for image in images]
    assert sorted(together) == sorted(f"{w}/{f}" for w, fs in zip(source.wnids, source.files, strict=True) for f in fs)
    for pool in pools.values():
        assert (np.diff(pool.offsets) >= 1).all()


def test_shares_are_as_the_rows_are() -> None:
    pools = split_images(catalogue([100, 50]), 0, {"train": 800, "validation": 100, "test": 100}, shared=False)
    assert {split: np.diff(pool.offsets).tolist() for split, pool in pools.items()} == {
        "train": [80, 40],
        "validation": [10, 5],
        "test": [10, 5],
    }


def test_shared_splits_draw_from_everything() -> None:
    source = catalogue([2, 1])
    pools = split_images(source, 0, {"train": 5, "validation": 0, "test": 5}, shared=True)
    assert list(pools) == ["train", "test"]
    assert pools["train"] is pools["test"]
    assert pools["train"].offsets.tolist() == [0, 2, 3]


def test_slots_know_their_class_and_go_round_in_it() -> None:
    pool = split_images(catalogue([3, 1, 2]), 0, {"train": 1, "validation": 0, "test": 0}, shared=False)["train"]
    assert [pool.class_of(slot) for slot in range(6)] == [0, 0, 0, 1, 2, 2]
    assert [pool.following(slot) for slot in range(6)] == [1, 2, 0, 3, 5, 4]


def test_fewer_images_than_splits_is_an_error_that_names_the_class() -> None:
    with pytest.raises(SourceError) as caught:
        split_images(catalogue([5, 2]), 0, {"train": 5, "validation": 5, "test": 5}, shared=False)
    assert str(caught.value) == (
        "a class has too few images for 3 splits without shared images (root/n00000001); got 2 files. "
        "Add images, ask for fewer splits (`rows['validation']=0`), or use `split_policy='shared'`."
    )


def test_real_photographs_are_read(photographs: Path) -> None:
    source = list_images(photographs)
    for wnid, files in zip(source.wnids[::4], source.files[::4], strict=True):
        jpeg, _ = read_image(source.root / wnid / files[0], 64)
        image = Image.open(io.BytesIO(jpeg))
        assert (image.mode, min(image.size) <= 64) == ("RGB", True)


JUNK = {
    f"{wnid}/{name}": b"x"
    for wnid in WNIDS
    for name in (".DS_Store", f"._{wnid}_0.JPEG", "Thumbs.db", "THUMBS.DB", "desktop.ini", "Icon\r", ".x/y.JPEG")
}


def test_what_file_managers_leave_is_no_image(tmp_path: Path, tree: Path) -> None:
    found, plain = list_images(imagenet_tree(tmp_path, extra=JUNK)), list_images(tree)
    assert (found.files, found.fingerprint, found.dropped) == (plain.files, plain.fingerprint, [])


def test_hidden_files_alone_are_an_empty_class(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a class folder is empty \(.*n02123045\)"):
        list_images(imagenet_tree(tmp_path, extra={"n02123045/._a.JPEG": b"x", "n02123045/images/.DS_Store": b"x"}))


def test_tiny_imagenet_is_read(tmp_path: Path) -> None:
    extra: dict[str, Any] = {}
    for number, wnid in enumerate(WNIDS):
        extra |= {f"train/{wnid}/images/{wnid}_{n}.JPEG": encoded(picture(10 * number + n)) for n in range(12)}
        extra |= {f"train/{wnid}/{wnid}_boxes.txt": b"a table", f"train/{wnid}/images/.DS_Store": b"x"}
    root = imagenet_tree(tmp_path / "tiny", wnids=(), extra=extra | {"val/images/val_0.JPEG": b"x", "wnids.txt": b"x"})
    found = list_images(root)
    assert found.root == root / "train"
    assert found.files == tuple(tuple(sorted(f"images/{wnid}_{n}.JPEG" for n in range(12))) for wnid in WNIDS)
    manifest = build(root, tmp_path / "out")
    assert (manifest.dropped, problems(tmp_path / "out")) == ([], [])
    for row in rows_of(tmp_path / "out", "train"):
        name = f"{row['wnid']}/images/{row['image']['path']}"
        assert (row["image_id"], row["image"]["bytes"]) == (name, (root / "train" / name).read_bytes())


def test_images_beside_an_inner_folder_are_not_lost(tmp_path: Path) -> None:
    found = list_images(imagenet_tree(tmp_path, WNIDS[:1], pictures=1, odd=False, extra={f"{WNIDS[0]}/images/a": b"x"}))
    assert found.files == (("images/a", f"{WNIDS[0]}_0.JPEG"),)


def test_a_folder_with_both_kinds_of_classes_says_which_it_takes(tmp_path: Path) -> None:
    extra = {"cats/a.JPEG": b"x", "dogs/images/a.JPEG": b"x", "empty/b/c.JPEG": b"x", ".git/a": b"x", "x.JPEG": b"x"}
    tree = imagenet_tree(tmp_path / "tree", extra=extra)
    assert list_images(tree).wnids == WNIDS
    entry = build(tree, tmp_path / "out").dropped[0]
    assert entry.reason == "image: class folders not named by wnid; the folders named by wnid are read"
    assert (entry.count, entry.examples) == (2, ["cats", "dogs"])


ALPHA = Image.fromarray(np.repeat([[255, 0, 128, 255]], HEIGHT, 0).astype(np.uint8)).resize((WIDTH, HEIGHT))
DEEP = np.linspace(0, 65_535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)


def transparent(mode: str) -> Image.Image:
    original = picture(5).convert("LA" if mode == "LA" else "RGBA")
    original.putalpha(ALPHA)
    return original.quantize(64) if mode == "P" else original


@pytest.mark.parametrize(
    "stored",
    [
        encoded(transparent("RGBA"), "PNG"),
        encoded(transparent("LA"), "PNG"),
        encoded(transparent("P"), "PNG"),
        encoded(transparent("RGBA"), "WEBP"),
        encoded(picture(6).quantize(8), "GIF", transparency=2),
        encoded(picture(6).convert("L"), "PNG", transparency=90),
        encoded(Image.fromarray(DEEP.astype(np.uint16)), "PNG"),
        encoded(Image.fromarray(DEEP.astype(np.int32)), "TIFF"),
        encoded(Image.fromarray((DEEP / 65_535).astype(np.float32)), "TIFF"),
        encoded(Image.fromarray((DEEP / 257).astype(np.float32)), "TIFF"),
        encoded(picture(1).convert("CMYK"), "TIFF"),
        rotated(picture(4), 6),
    ],
    ids=["RGBA", "LA", "P", "WebP", "GIF", "grey key", "I;16", "I", "F to 1", "F to 255", "CMYK", "turned"],
)
@pytest.mark.parametrize("kernel", ["exact", "fast"])
def test_loaders_show_what_builders_store(tmp_path: Path, stored: bytes, kernel: Literal["exact", "fast"]) -> None:
    settings = ImageSettings(size=16, kernel=kernel)
    (tmp_path / "picture").write_bytes(stored)
    converted, _ = read_image(tmp_path / "picture", None)
    direct, built = (decode_image(data, settings).astype(int) for data in (stored, converted))
    assert np.abs(direct - built).mean() < 5


def test_grey_values_of_no_known_range_have_a_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="unknown range of grey values"):
        read(tmp_path, encoded(Image.new("F", (20, 20), float("nan")), "TIFF"))
