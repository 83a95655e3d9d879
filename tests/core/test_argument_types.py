"""Arguments of wrong types: each is named, with what was given and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import symile_data
from symile_data import loaders
from symile_data.arguments import check_argument, field_types
from symile_data.builders.custom import own_schema, write_dataset
from symile_data.builders.m3.spec import M3Spec
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor.spec import XorSpec
from symile_data.datasets.pid import PRESETS
from symile_data.errors import UsageError
from symile_data.loaders import BatchLoader, RemoteCache, Resources, Split, Variation, open_split
from symile_data.loaders.datamodule import DataModule
from symile_data.loaders.torch_dataset import BatchDataset
from symile_data.reliability import Reliability


@pytest.fixture(scope="module")
def xor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small XOR dataset; not to be changed."""
    rows = {"train": 16, "validation": 8, "test": 8}
    return symile_data.build_xor(tmp_path_factory.mktemp("types") / "xor", dims=1, rows=rows)


@pytest.fixture
def split(xor: Path) -> Split:
    return open_split(xor, "train")


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ("8", int, "a whole number; got '8'"),
        (8.0, int, "a whole number; got 8.0"),
        (True, int, "a whole number; got True"),
        (True, float, "a number; got True"),
        (1, bool, "True or False; got 1"),
        (b"x", str | Path, "a text or a path; got b'x'"),
        (None, str, "a text; got None"),
        (3, str | None, "a text or None; got 3"),
        ("ab", Sequence[str], "a list of texts; got 'ab'"),
        (["a", 1], tuple[str, ...], "a list of texts; got ['a', 1]"),
        ({"a": "1"}, Mapping[str, int] | None, "a table of whole numbers by name or None; got {'a': '1'}"),
        ({1: 1}, Mapping[str, int], "a table of whole numbers by name; got {1: 1}"),
        (3, Literal["a", "b"], "one of 'a', 'b'; got 3"),
        (object(), Resources | None, "a Resources or None; got a value of type object"),
        ("", str | Path, "an empty path; got ''. Name a directory"),
        ("x" * 300, int, f"a whole number; got '{'x' * 199}..."),
    ],
)
def test_what_does_not_fit_is_told(value: object, kind: Any, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_argument("it", value, kind)
    assert str(caught.value).startswith(f"`it` is {said}")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.int32(8), int),
        (np.float32(0.5), float),
        (3, float),
        ("", str),
        ([], Sequence[str]),
        (["a"], tuple[str, ...]),
        ({}, Mapping[str, int]),
        (len, Callable[[str], int]),
        ("c", Literal["a", "b"]),  # of the right type: the classes list their choices
        (object(), Any),
    ],
)
def test_what_fits_passes(value: object, kind: Any) -> None:
    check_argument("it", value, kind)


SETTINGS = [
    getattr(loaders, name) for name in loaders.__all__ if name.endswith(("Settings", "Crop", "Jitter", "Augment"))
]


@pytest.mark.parametrize(
    "kind", [*SETTINGS, Resources, Variation, loaders.Distribution, M3Spec, XorSpec, PidSpec, MimicSpec, Reliability]
)
def test_every_field_of_every_settings_class_is_checked(kind: Any) -> None:
    required: dict[Any, dict[str, Any]] = {
        M3Spec: {"languages": ("el", "en"), "words": 2},
        PidSpec: {"design": PRESETS["xor"]},
    }
    for name in field_types(kind):
        with pytest.raises(UsageError, match=rf"^`{name}` is .*; got a value of type object"):
            kind(**{**required.get(kind, {}), name: object()})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_size": "8"}, "`batch_size` is a whole number; got '8'"),
        ({"seed": 0.5}, "`seed` is a whole number; got 0.5"),
        ({"shuffle": "no"}, "`shuffle` is True or False; got 'no'"),
        ({"columns": "cls_id"}, "`columns` is a list of texts; got 'cls_id'"),
        ({"modalities": "a"}, "`modalities` is a list of texts or None; got 'a'"),
        ({"transforms": []}, r"`transforms` is a table or None; got \[\]"),
        ({"missingness": "0.5"}, "`missingness` is a number or a table of numbers by name or None; got '0.5'"),
        ({"cache": ""}, "`cache` is an empty path; got ''. Name a directory, or leave it out"),
        ({"cache": 5}, "`cache` is True or False or a text or a path or a MediaCache; got 5"),
        ({"resources": {"threads": 2}}, r"`resources` is a Resources or None; got \{'threads': 2\}"),
        ({"threads": "2"}, "`threads` is a whole number; got '2'"),
        ({"on_error": 3}, "`on_error` is one of 'raise', 'skip'; got 3"),
        ({"split": None}, "`split` is a Split; got None"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_loader_names_the_argument(
    split: Split, wrong: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        next(iter(BatchLoader(**{"split": split, "batch_size": 8, **wrong})))
    assert list(tmp_path.iterdir()) == []


def test_states_epochs_and_sizes_of_other_types(split: Split, tmp_path: Path) -> None:
    loader = BatchLoader(split, 8)
    for wrong in (None, 5, [1]):
        with pytest.raises(UsageError, match=r"`state` is a table; .*Give what `state_dict` returned"):
            loader.load_state_dict(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"`state\['settings'\]` is a table"):
        loader.load_state_dict({**loader.state_dict(), "settings": 3})
    with pytest.raises(UsageError, match="`epoch` is a whole number; got '1'"):
        loader.set_epoch("1")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`memory` is a whole number or a text or None"):
        Resources(memory=[])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`memory` is no number of bytes"):
        Resources(memory="lots")
    with pytest.raises(UsageError, match="`limit` is a whole number or a text; got None"):
        RemoteCache(tmp_path / "cache", limit=None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`limit` is no number of bytes"):
        RemoteCache(tmp_path / "cache", limit="much")
    with pytest.raises(UsageError, match="`directory` is an empty path"):
        RemoteCache("")
    assert list(tmp_path.iterdir()) == []


def test_opening_and_reading_name_the_argument(xor: Path, split: Split) -> None:
    for arguments, said in (
        ((None, "train"), "`location` is a text or a path; got None"),
        (("", "train"), "`location` is an empty path"),
        ((xor, 0), "`split` is a text; got 0"),
    ):
        with pytest.raises(UsageError, match=said):
            open_split(*arguments)
    for options, said in (
        ({"where": 3}, "`where` is a text or an Expression or None; got 3"),
        ({"features": "clip"}, "`features` is a list of texts; got 'clip'"),
        ({"remote_cache": "cache"}, "`remote_cache` is a RemoteCache or None; got 'cache'"),
    ):
        with pytest.raises(UsageError, match=said):
            open_split(xor, "train", **options)
    with pytest.raises(UsageError, match="`number` is a whole number; got '0'"):
        split.row("0")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`columns` is a list of texts; got 'a'"):
        split.read("a", 0)
    with pytest.raises(UsageError, match="`names` is a list of texts; got 'a'"):
        split.with_modalities("a")
    with pytest.raises(UsageError, match="`splits` is a list of Splits; got"):
        loaders.mix([xor, xor], [1, 1])  # type: ignore[list-item]


def test_wrappers_of_loaders_name_the_argument(xor: Path) -> None:
    with pytest.raises(UsageError, match="`loader` is a BatchLoader; got a value of type"):
        BatchDataset(xor)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`batch_size` is a whole number; got None"):
        DataModule(xor, None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`train` is a table"):
        DataModule(xor, 8, train=[1])  # type: ignore[arg-type]


def test_builds_name_the_argument_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong: Any
    for wrong, said in (
        ({"out": ""}, "`out` is an empty path"),
        ({"rows": 200}, 'table of whole numbers by name or None; got 200. Write it like {"train": 200'),
        ({"workers": "2"}, "`workers` is a whole number; got '2'"),
        ({"dims": "5"}, "`dims` is a whole number; got '5'"),
    ):
        with pytest.raises(UsageError, match=said):
            symile_data.build_xor(**{"out": "there", **wrong})
    for wrong, said in (
        ({"langs": 2.5}, "`langs` is a whole number or a text or a list of texts; got 2.5"),
        ({"names": 3}, "`names` is a path or None; got 3"),
        ({"words": "2"}, "`words` is a whole number; got '2'"),
    ):
        with pytest.raises(UsageError, match=said):
            symile_data.build_m3(**{"out": "there", **wrong})
    with pytest.raises(UsageError, match="`patients` is a whole number; got '20'"):
        symile_data.build_mimic("there", patients="20")
    with pytest.raises(UsageError, match="`design` is a text or a Design; got 3"):
        symile_data.build_pid("there", design=3)
    from datasets import Features, Value

    schema = own_schema(Features({"a": Value("string"), "b": Value("string")}), {"a": "text", "b": "text"})
    for wrong, said in (
        ({"out": ""}, "`out` is an empty path"),
        ({"notes": "one"}, "`notes` is a list of texts; got 'one'"),
        ({"rows_per_shard": 0}, "^rows_per_shard must be at least 1; got 0"),
        ({"reliability": 0.5}, "`reliability` is a Reliability; got 0.5"),
    ):
        settings: dict[str, Any] = {
            "out": "there",
            "name": "mine",
            "schema": schema,
            "splits": {"train": [{}]},
            "spec": {},
            **wrong,
        }
        with pytest.raises(UsageError, match=said):
            write_dataset(**settings)
    assert list(tmp_path.iterdir()) == []
