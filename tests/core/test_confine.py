"""Paths that a manifest names stay within its directory."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.format.safe_paths import is_plain_path, leading_out


@given(st.lists(st.sampled_from(["..", ".", "", "a", "data", "/", "\\", "\x00", "é"]), max_size=6).map("/".join))
def test_a_plain_path_stays_inside(name: str) -> None:
    if is_plain_path(name):
        root = Path("/some/where")
        assert (root / name).resolve().is_relative_to(root)
        assert (root / name).resolve() != root


@pytest.mark.parametrize("name", ["data/train-00000-of-00001.parquet", "README.md", "figures/a b.png", "..a/b.."])
def test_usual_paths_are_plain(name: str) -> None:
    assert is_plain_path(name)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A dataset's directory with data/x, and a folder outside with a secret."""
    directory, outside = tmp_path / "dataset", tmp_path / "outside"
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "x").touch()
    outside.mkdir()
    (outside / "secret").touch()
    return directory, outside


def test_what_stays_inside_is_accepted(places: tuple[Path, Path]) -> None:
    directory, _ = places
    (directory / "data" / "link").symlink_to("x")
    (directory / "back").symlink_to("data")
    assert leading_out(directory, ["data/x", "data/link", "back/x", "absent", "no/such"]) is None
    (directory.parent / "alias").symlink_to(directory)
    assert leading_out(directory.parent / "alias", ["data/x"]) is None


def test_a_link_that_leads_out_is_named(places: tuple[Path, Path]) -> None:
    directory, outside = places
    (directory / "data" / "link").symlink_to(outside / "secret")
    assert leading_out(directory, ["data/x", "data/link"]) == "data/link"
    (directory / "folder").symlink_to(outside)
    assert leading_out(directory, ["data/x", "folder/secret"]) == "folder"
    (directory / "top").symlink_to("../outside/secret")
    assert leading_out(directory, ["top"]) == "top"


def test_a_snapshot_of_the_hub_links_to_its_own_blobs_only(tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "datasets--a--b" / "snapshots" / "0f", tmp_path / "datasets--a--b" / "blobs"
    (snapshot / "data").mkdir(parents=True)
    blobs.mkdir()
    (blobs / "12ab").touch()
    (snapshot / "data" / "x").symlink_to("../../../blobs/12ab")
    assert leading_out(snapshot, ["data/x"]) is None
    (tmp_path / "12ab").touch()
    (snapshot / "data" / "y").symlink_to(tmp_path / "12ab")
    assert leading_out(snapshot, ["data/x", "data/y"]) == "data/y"
