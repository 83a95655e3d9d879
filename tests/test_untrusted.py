"""Files from strangers: whatever is in them, the answer is a value or one of our errors, soon and in little memory."""

import ast
import contextlib
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from factories import encoded, names_table, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symile_data.builders.m3.audio.common_voice import CommonVoiceSource
from symile_data.builders.m3.text.overrides import override_names
from symile_data.builders.m3.text.sentences import read_bank
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.datasets.m3.names import read_names
from symile_data.errors import DamageError, SymileDataError
from symile_data.files import digest, pretty_json
from symile_data.format import manifest as manifests
from symile_data.format.location import Location
from symile_data.format.media import MOST_PIXELS, MOST_SAMPLES, UnfitMediumError, open_image, read_audio
from symile_data.format.shards import open_shard
from symile_data.format.shards.writer import write_shard
from symile_data.format.verify import verify
from symile_data.loaders import open_split
from symile_data.loaders.decoders.audio import AudioSettings, decode_audio
from symile_data.loaders.decoders.base import UndecodableError
from symile_data.loaders.decoders.image import ImageSettings, decode_image
from symile_data.training.config import read_config
from symile_data.training.run import BEST, load_module
from symile_data.training.run_record import RUN_FILE, read_run
from symile_data.workflows.datasets import invariants_of

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path for top in ("symile_data", "builders", "loaders", "cards") for path in (REPOSITORY / top).rglob("*.py")
)

# One directory for all examples of a test is what these tests want: each example overwrites the last one's file.
fuzz = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["../x", "/etc/passwd", "data/../../x", "\x1b[2J", "train", ""])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def only_ours(read: Callable[[], object]) -> SymileDataError | None:
    """Call it; one of our errors, of one line, is an answer like a value."""
    try:
        read()
    except SymileDataError as error:
        assert str(error).isprintable()
        return error
    return None


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place within a JSON value."""
    found = [path]
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        found += places(part, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a JSON value with another part at one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished XOR dataset; its manifest is what the tests overwrite."""
    out = tmp_path_factory.mktemp("untrusted") / "xor"
    spec = XorSpec(rows={"train": 4, "validation": 2, "test": 2})
    build_xor(spec, out, workers=1, write_card=lambda *_: [])
    return out


@pytest.fixture(scope="module")
def written(dataset: Path) -> dict[str, Any]:
    return json.loads((dataset / manifests.FILE_NAME).read_text(encoding="utf-8"))


def sealed(value: Any) -> Any:
    """With the digests that a forger would write."""
    if isinstance(value, dict):
        parts = {name: value.get(name) for name in ("dataset", "spec", "sources", "versions")}
        value = {**value, "fingerprint": digest({"format": manifests.FORMAT, **parts})}
        value = {**value, "digest": digest({name: part for name, part in value.items() if name != "digest"})}
    return value


def look(directory: Path) -> None:
    """What people do with a dataset that they were given."""
    manifest = manifests.read(directory)
    list(verify(directory, invariants_of(manifest), deep=True))
    open_split(directory, "train")


@fuzz
@given(st.data())
def test_a_forged_manifest_is_read_or_refused(dataset: Path, written: dict[str, Any], data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(places(written)))
    forged = sealed(replaced(written, place, data.draw(values)))
    (dataset / manifests.FILE_NAME).write_text(pretty_json(forged), encoding="utf-8")
    only_ours(lambda: look(dataset))


@fuzz
@given(st.binary(max_size=60), st.data())
def test_bytes_in_place_of_a_manifest_are_refused(
    dataset: Path, written: dict[str, Any], junk: bytes, data: st.DataObject
) -> None:
    whole = pretty_json(written).encode()
    at = data.draw(st.integers(0, len(whole)))
    (dataset / manifests.FILE_NAME).write_bytes(whole[:at] + junk)
    error = only_ours(lambda: manifests.read(dataset))
    assert isinstance(error, DamageError) or not junk.strip() or whole[at:] in junk


@pytest.mark.parametrize(
    "path", ["../outside", "/etc/hostname", "data/../../outside", "data\\x", "./x", "a\x1b[2J", ""]
)
def test_a_manifest_that_names_files_elsewhere_is_refused(dataset: Path, written: dict[str, Any], path: str) -> None:
    files = [*written["files"], {"path": path, "bytes": 0, "sha256": "0"}]
    (dataset / manifests.FILE_NAME).write_text(pretty_json(sealed({**written, "files": files})), encoding="utf-8")
    error = only_ours(lambda: manifests.read(dataset))
    assert "names a file outside its directory" in str(error)


def test_a_shard_that_is_a_link_to_elsewhere_is_refused(dataset: Path, written: dict[str, Any], tmp_path: Path) -> None:
    (dataset / manifests.FILE_NAME).write_text(pretty_json(written), encoding="utf-8")
    shard = dataset / written["files"][0]["path"]
    moved = shard.rename(tmp_path / "elsewhere.parquet")
    shard.symlink_to(moved)
    try:
        assert "a link leads out of the dataset's directory" in str(only_ours(lambda: open_split(dataset, "train")))
    finally:
        shard.unlink()
        moved.rename(shard)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    config = {"epochs": 1, "batch_size": 2, "dim": 4, "lr": 0.1, "logit_scale_init": 0, "target": "a", "label": "b"}
    modality = {"name": "a", "kind": "vector", "column": "a", "null_columns": ["a"], "mask": "a_missing"}
    value = {
        "config": config,
        "dataset": "xor",
        "fingerprint": "0f",
        "location": "x",
        "modalities": [modality],
        "vocabularies": {"a": ["w"]},
        "sizes": {},
    }
    return tmp_path_factory.mktemp("run"), value


def test_a_run_is_read(run: tuple[Path, dict[str, Any]]) -> None:
    directory, value = run
    (directory / RUN_FILE).write_text(json.dumps(value), encoding="utf-8")
    assert read_run(directory).config.lr == 0.1


@fuzz
@given(st.data())
def test_a_forged_run_is_read_or_refused(run: tuple[Path, dict[str, Any]], data: st.DataObject) -> None:
    directory, value = run
    forged = replaced(value, data.draw(st.sampled_from(places(value))), data.draw(values))
    (directory / RUN_FILE).write_text(json.dumps(forged), encoding="utf-8")
    only_ours(lambda: read_run(directory))


CONFIG = (REPOSITORY / "symile_data" / "training" / "configs" / "m3-small.toml").read_text(encoding="utf-8")


@fuzz
@given(st.integers(0, len(CONFIG)), st.integers(0, 8), st.text(max_size=8) | st.sampled_from(["[" * 3000, "9" * 5000]))
def test_a_config_of_any_form_is_read_or_refused(tmp_path: Path, at: int, cut: int, junk: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes((CONFIG[:at] + junk + CONFIG[at + cut :]).encode("utf-8", "surrogatepass"))
    only_ours(lambda: read_config(str(path)))


@pytest.mark.parametrize("name", ["\x00", "x" * 5000, "no-such"])
def test_a_config_by_an_impossible_name_is_refused(name: str) -> None:
    assert "there is no such config" in str(only_ours(lambda: read_config(name)))


def edited(data: bytes, edits: list[tuple[float, bytes]]) -> bytes:
    """Bytes with some overwritten, each edit at a share of the length."""
    changed = bytearray(data)
    for share, new in edits:
        at = int(share * len(changed))
        changed[at : at + len(new)] = new
    return bytes(changed)


edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.binary(min_size=1, max_size=3)
        | st.sampled_from([b"\t", b"\n", b"\r", b"\x00", b"\xff\xfe", b'"', b"\xc2\xa0"]),
    ),
    min_size=1,
    max_size=3,
)


@fuzz
@given(edits)
def test_a_names_table_of_any_bytes_is_read_or_refused(tmp_path: Path, edits: list[Any]) -> None:
    path = names_table(tmp_path / "names.tsv")
    path.write_bytes(edited(path.read_bytes(), edits))
    only_ours(lambda: read_names(path).select(["n01440764"], ["en", "el"]))
    only_ours(lambda: override_names(read_names(), path))


@fuzz
@given(edits)
def test_a_sentence_table_of_any_bytes_is_read_or_refused(tmp_path: Path, edits: list[Any]) -> None:
    path = tmp_path / "sentences.tsv"
    path.write_bytes(edited("sentence_id\ten\tel\n1\tIt rains.\tΒρέχει.\n2\tYes.\tΝαι.\n".encode(), edits))
    only_ours(lambda: read_bank(path, ["en", "el"]))


@fuzz
@given(edits, st.sampled_from(["train.tsv", "clip_durations.tsv"]))
def test_common_voice_tables_of_any_bytes_are_read_or_refused(tmp_path: Path, edits: list[Any], name: str) -> None:
    tables = {
        "train.tsv": b"client_id\tpath\tsentence\na\tx.mp3\tYes\nb\ty.mp3\tNo\n",
        "clip_durations.tsv": b"clip\tduration[ms]\nx.mp3\t900\ny.mp3\t800\n",
    }
    clips = tmp_path / "en" / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    for clip in ("x.mp3", "y.mp3"):
        (clips / clip).write_bytes(b"1")
    for table, content in tables.items():
        (tmp_path / "en" / table).write_bytes(edited(content, edits) if table == name else content)
    only_ours(lambda: CommonVoiceSource(tmp_path, 0, ["en"], {"train": 1, "validation": 0, "test": 1}, True))


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A Parquet file with every kind of column."""
    from datasets import Features, Image, List, Value

    from symile_data.format.schema import DatasetSchema

    features = Features(
        {
            "sample_id": Value("int64"),
            "image": Image(),
            "x": Value("string"),
            "v": List(Value("float32"), length=2),
            "words": List({"text": Value("string"), "cls_id": Value("int32")}),
            "x_missing": Value("bool"),
        }
    )
    rows = [
        {
            "sample_id": row,
            "image": {"bytes": bytes([row]) * 9, "path": "a"},
            "x": f"t{row % 3}",
            "v": [0.0, 1.0],
            "words": [{"text": "a", "cls_id": 1}],
            "x_missing": False,
        }
        for row in range(8)
    ]
    schema = DatasetSchema(features=features, modalities=())
    batches = [pa.RecordBatch.from_pylist(part, schema=schema.arrow) for part in (rows[:4], rows[4:])]
    path = tmp_path_factory.mktemp("shard") / "x.parquet"
    write_shard(path, schema, iter(batches))
    return path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=3), st.booleans())
def test_a_parquet_file_of_any_bytes_is_read_or_refused(
    shard: bytes, tmp_path: Path, edits: list[tuple[float, int]], footer: bool
) -> None:
    start = len(shard) - 8 - int.from_bytes(shard[-8:-4], "little") if footer else 0
    changed = bytearray(shard)
    for share, byte in edits:
        changed[min(start + int(share * (len(shard) - start)), len(shard) - 1)] = byte
    path = tmp_path / "x.parquet"
    path.write_bytes(changed)
    only_ours(lambda: read_all(path))

    def load() -> None:
        opened = open_shard(Location.of(tmp_path), path.name)
        for group in range(len(opened.group_rows)):
            opened.read(group, opened.schema.names)

    only_ours(load)


def read_all(path: Path) -> pa.Table:
    opened = open_shard(Location.of(path.parent), path.name)
    return opened.read_all(opened.schema.names)


def test_a_parquet_file_that_inflates_without_end_is_left_in_time(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("symile_data.format.shards.limits.ALWAYS_ALLOWED_BYTES", 1 << 20)
    monkeypatch.setattr("symile_data.format.shards.limits.MOST_INFLATION", 10)
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": ["same long text" * 1000] * 5000}), tmp_path / "bomb.parquet", row_group_size=100)
    assert (tmp_path / "bomb.parquet").stat().st_size < 1 << 18
    assert "it inflates beyond 1048576 bytes" in str(only_ours(lambda: read_all(tmp_path / "bomb.parquet")))


def png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims any size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = b""
    for chunk in (header, b"IDAT" + zlib.compress(bytes(64)), b"IEND"):
        chunks += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_500, 14_000, 60_000])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(side: int) -> None:
    assert side * side > MOST_PIXELS
    with pytest.raises(UndecodableError, match=r"pixels|decompression bomb"):
        decode_image(png(side, side), ImageSettings(size=8))


@pytest.mark.parametrize("form", ["PPM", "ICO", "PCX", "TGA", "EPS"])
def test_rare_formats_of_images_are_refused(form: str) -> None:
    with pytest.raises(UnfitMediumError, match="cannot identify"), open_image(encoded(picture(), form)):
        pass


@fuzz
@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]), edits)
def test_an_image_of_any_bytes_is_decoded_or_refused(form: str, edits: list[Any]) -> None:
    with contextlib.suppress(UndecodableError):
        assert decode_image(edited(encoded(picture(), form), edits), ImageSettings(size=8)).shape == (8, 8, 3)


def clip(form: str = "FLAC", samples: int = 800, rate: int = 16_000, channels: int = 1) -> bytes:
    import io

    import soundfile

    wave = np.sin(np.arange(samples * channels, dtype=np.float32).reshape(samples, channels) / 9) / 2
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format=form)
    return buffer.getvalue()


@fuzz
@given(st.sampled_from(["FLAC", "WAV", "OGG", "MP3"]), edits)
def test_a_recording_of_any_bytes_is_decoded_or_refused(form: str, edits: list[Any]) -> None:
    with contextlib.suppress(UndecodableError):
        assert decode_audio(edited(clip(form), edits), AudioSettings(seconds=0.1)).shape == (1600,)


def test_a_recording_of_too_many_samples_is_refused_before_it_is_decoded() -> None:
    data = bytearray(clip())
    info = int.from_bytes(data[18:26], "big")  # rate, channels, bits and the 36 bits of the number of samples
    data[18:26] = (info >> 36 << 36 | MOST_SAMPLES + 1).to_bytes(8, "big")
    with pytest.raises(UnfitMediumError, match="samples are too many"):
        read_audio(bytes(data))


@pytest.mark.parametrize("rate", [1, 2_000, 2**31 - 1])
def test_a_recording_of_an_absurd_rate_is_refused(rate: int) -> None:
    data = bytearray(clip("WAV"))
    data[24:28] = rate.to_bytes(4, "little")
    with pytest.raises(UndecodableError, match=f"a sampling rate of {rate} Hz"):
        decode_audio(bytes(data), AudioSettings())


def test_rare_formats_of_recordings_are_refused() -> None:
    with pytest.raises(UnfitMediumError, match="AU is none of FLAC"):
        read_audio(clip("AU"))


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """Dotted names of all calls in a file."""
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(word.value) for word in call.keywords if word.arg == name), None)


FORBIDDEN = {
    "eval", "exec", "pickle.load", "pickle.loads", "pickle.dump", "pickle.dumps", "marshal.loads", "shelve.open",
    "joblib.load", "yaml.load", "os.system", "pandas.read_pickle", "pd.read_pickle",
}  # fmt: skip

ASKS_FOR_CODE = {"from_pretrained", "load_dataset", "load_dataset_builder", "pipeline"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_nothing_that_runs_code_from_a_file(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name, call in calls(tree):
        assert name not in FORBIDDEN, f"line {call.lineno}: {name}"
        assert not name.endswith("load_from_checkpoint"), f"line {call.lineno}: {name}"
        assert keyword(call, "allow_pickle") in (None, "False"), f"line {call.lineno}: allow_pickle"
        if name.rpartition(".")[2] in ASKS_FOR_CODE:  # without the word transformers asks, and `yes |` answers
            assert keyword(call, "trust_remote_code") == "False", f"line {call.lineno}: trust_remote_code"
        assert keyword(call, "trust_remote_code") in (None, "False"), f"line {call.lineno}: trust_remote_code"
        assert keyword(call, "shell") in (None, "False"), f"line {call.lineno}: shell"
        if name == "torch.load" or name.endswith("trainer.fit"):
            assert keyword(call, "weights_only") == "True", f"line {call.lineno}: {name} without weights_only=True"
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not modules & {"marshal", "shelve", "dill", "cloudpickle", "joblib"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
            assert node.attr == "UnpicklingError"  # what torch raises for damaged weights


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_checkpoint_that_would_run_code_is_refused(run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    import pickle

    import torch

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "trapped"),)

    directory, value = run
    (directory / RUN_FILE).write_text(json.dumps(value), encoding="utf-8")
    best = directory / BEST["val_accuracy"]
    torch.save({"state_dict": Trap()}, best)
    assert "a file of weights cannot be read" in str(only_ours(lambda: load_module(directory)))
    best.write_bytes(pickle.dumps({"state_dict": Trap()}))
    assert "a file of weights cannot be read" in str(only_ours(lambda: load_module(directory)))
    assert not (tmp_path / "trapped").exists()
