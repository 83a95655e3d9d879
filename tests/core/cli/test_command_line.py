"""The command line: help, results on stdout, one sentence on stderr, exit codes 0, 1 and 2."""

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from command import Outcome, outcome
from datasets import Features, Value
from factories import build, imagenet_tree

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.cards import write_card
from symile_data.errors import SourceError

pytestmark = pytest.mark.usefixtures("undrawn")

SMALL = ("--langs", "2", "--train", "6", "--validation", "2", "--test", "2", "--workers", "1")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `symile-data` with some words."""
    return partial(outcome, capsys)


@pytest.fixture(scope="module")
def dataset(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset with its card; not to be changed."""
    out = tmp_path_factory.mktemp("dataset") / "m3"
    build(tree, out, write_card=write_card)
    return out


@pytest.mark.parametrize(
    ("words", "mentioned"),
    [
        ((), ("build", "sample", "verify", "info")),
        (("--help",), ("build", "sample", "verify", "info", "train", "evaluate", "--debug")),
        (("build", "--help"), ("m3",)),
        (
            ("build", "m3", "--help"),
            ("--out", "--langs", "--size", "--words", "--mode", "--splits", "--images", "--missing", "--workers"),
        ),
        (("build", "m3", "--help"), ("--translations", "--manual", "--skip-unnamed-classes")),
        (("plan", "m3", "--help"), ("--translations", "--manual", "--skip-unnamed-classes")),
        (("build", "m3", "-h"), ("Same seed, same bytes", "symile-data build m3 --out")),
        (("sample", "imagenet", "--help"), ("--per-class", "Twemoji")),
        (("verify", "--help"), ("--json",)),
        (("info", "--help"), ("--json",)),
    ],
)
def test_help_tells_what_there_is(
    run: Callable[..., Outcome], words: tuple[str, ...], mentioned: tuple[str, ...]
) -> None:
    said = run(*words)
    assert said.code == (0 if words else 2)
    text = " ".join((said.out + said.err).split()).casefold()
    assert [word for word in mentioned if word.casefold() not in text] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--langs", "3"),
            "--langs takes the number of languages; got 3. Choose 2, 5 or 10, or give codes such as el,en,fr.",
        ),
        (("--missing", "1.5"), "a missing rate is a number between 0 and 1; got '1.5'."),
        (("--image-size", "8"), "--image-size is the shorter side in pixels, at least 16; got 8."),
        (("--train", "0"), "a dataset needs training rows; got --train 0."),
        (
            ("--words", "3", "--langs", "2"),
            "3 words cannot all have different languages; got 2 languages. Lower --words.",
        ),
        (
            ("--words", "3", "--langs", "2", "--mode", "overlap"),
            "with --mode overlap and two languages the text alone answers every row: the target is its only word in one"
            " language, all others are in the other; got --words 3. Take --words 2, more languages or --mode disjoint.",
        ),
    ],
)
def test_a_wrong_option_exits_with_2(
    run: Callable[..., Outcome], tree: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    said = run("build", "m3", "--out", tmp_path / "out", "--images", tree, *words)
    assert said == (2, "", f"symile-data: {sentence}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("build", "m3"),
        ("build", "m4"),
        ("frobnicate",),
        ("build", "m3", "--out", "x", "--langs", "many"),
        ("build", "m3", "--out", "x", "--train", "-1"),
        ("build", "m3", "--out", "x", "--colour", "red"),
        ("build", "m3", "--out", "x", "--size", "xl"),
        ("build", "m3", "--out", "x", "--mode", "wild"),
        ("build", "m3", "--out", "x", "--splits", "none"),
        ("build", "m3", "--out", "x", "--layout", "heap"),
        ("verify",),
    ],
)
def test_words_that_are_no_command_exit_with_2(run: Callable[..., Outcome], words: tuple[str, ...]) -> None:
    said = run(*words)
    assert said.code == 2
    assert said.out == ""
    assert "Error" in said.err


def test_a_build_reports_on_stdout_and_progresses_on_stderr(run: Callable[..., Outcome], tmp_path: Path) -> None:
    images = imagenet_tree(tmp_path / "images", extra={"n01440764/nothing.JPEG": b""})
    out = tmp_path / "out"
    said = run("build", "m3", "--out", out, "--images", images, *SMALL, "--train", "40")
    assert said.code == 0
    assert said.out.splitlines()[0].startswith(f"symile-m3 in {out}: 40 train, 2 validation, 2 test rows, ")
    assert said.out.splitlines()[1:] == [
        "dropped: 1 (image: empty file), such as n01440764/nothing.JPEG",
        f"load it with: datasets.load_dataset({str(out)!r})",
    ]
    assert "shards: 3/3 shards" in said.err
    assert run("verify", out).code == 0


def test_a_build_in_overlap_mode_says_what_the_text_gives_away(run: Callable[..., Outcome], tmp_path: Path) -> None:
    images = imagenet_tree(tmp_path / "images")
    out = tmp_path / "out"
    said = run(
        "build", "m3", "--out", out, "--images", images, *SMALL, "--langs", "5", "--mode", "overlap", "--words", "3"
    )
    ceilings = json.loads((out / "stats.json").read_text(encoding="utf-8"))["ceilings"]
    assert list(ceilings) == ["validation", "test"]
    assert said.out.splitlines()[-2:] == [
        f"{split}: the text alone finds {found['text_alone']:.3f} of the images (see the card)"
        for split, found in ceilings.items()
    ]


def test_the_recorded_command_names_no_directory_of_this_machine(
    run: Callable[..., Outcome], tree: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = run("build", "m3", f"--out={out}/", "--images", f"{tree}/", *SMALL)
    assert said.code == 0
    shown = f"symile-data build m3 --out=out --images {tree.name} {' '.join(SMALL)}"
    assert json.loads((out / "manifest.json").read_text())["command"] == shown
    texts = [path.read_text(encoding="utf-8") for path in out.rglob("*") if path.suffix in (".md", ".json")]
    assert len(texts) == 5  # README.md, manifest, stats, croissant and dataset_infos
    assert not any(str(tmp_path) in text or str(tree) in text for text in texts)


def test_a_missing_image_folder_exits_with_1(run: Callable[..., Outcome], tmp_path: Path) -> None:
    said = run("build", "m3", "--out", tmp_path / "out", "--images", tmp_path / "nowhere", *SMALL)
    assert said == (
        1,
        "",
        f"symile-data: there is no image folder ({tmp_path / 'nowhere'}). "
        "Point --images at a folder in ImageNet's layout, or use --images sample.\n",
    )


def test_debug_shows_the_traceback(run: Callable[..., Outcome], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no image folder"):
        run("--debug", "build", "m3", "--out", tmp_path / "out", "--images", tmp_path / "nowhere")


def test_ctrl_c_says_how_to_go_on(run: Callable[..., Outcome], tree: Path, tmp_path: Path, monkeypatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("symile_data.builders.m3.build.make_shard", interrupted)
    said = run("build", "m3", "--out", tmp_path / "out", "--images", tree, *SMALL)
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith("symile-data: interrupted. Run the same command again to go on from here.\n")
    assert "Traceback" not in said.err


def test_verify_approves_a_sound_dataset(run: Callable[..., Outcome], dataset: Path) -> None:
    said = run("verify", dataset)
    assert said.code == 0
    assert all(line.startswith("verifying: ") for line in said.err.splitlines())
    assert said.out.endswith("20 rows, all as built\n")
    assert json.loads(run("verify", dataset, "--json").out) == {"ok": True, "problems": []}


def test_verify_lists_problems_and_exits_with_1(run: Callable[..., Outcome], dataset: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(dataset, tmp_path / "damaged")
    (damaged / "stats.json").unlink()
    (damaged / "extra").touch()
    problems = ["stats.json: missing", "extra: not in the manifest; remove it or build the dataset again"]
    said = run("verify", damaged)
    assert (said.code, said.out) == (1, "\n".join(problems) + "\n")
    said = run("verify", damaged, "--json")
    assert said.code == 1
    assert json.loads(said.out) == {"ok": False, "problems": problems}


def test_a_sample_says_what_it_did_not_read(run: Callable[..., Outcome], tmp_path: Path) -> None:
    from symile_data.builders.xor import build
    from symile_data.builders.xor.spec import XorSpec

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "ROWS_PER_SHARD", 3)
        spec = XorSpec(rows={"train": 9, "validation": 2, "test": 2})
        build.build_xor(spec, tmp_path / "xor", workers=1, write_card=lambda *_: [])
    said = run("verify", tmp_path / "xor", "--sample", "1", "--deep", "--workers", "1")
    assert (said.code, said.out) == (
        0,
        f"{tmp_path / 'xor'}: 3 of 5 files were read, all as built. "
        "Of the other 2, with 6 rows, only the sizes were checked, and no rules across shards.\n",
    )
    unread = [f"data/train-0000{index}-of-00003.parquet" for index in (1, 2)]
    said = run("verify", tmp_path / "xor", "--sample", "1", "--json")
    assert json.loads(said.out) == {"ok": True, "problems": [], "unread": unread}
    (tmp_path / "xor" / "\x1b[2J").touch()
    assert "\\x1b[2J: not in the manifest" in run("verify", tmp_path / "xor").out


@pytest.mark.parametrize("verb", ["verify", "info"])
def test_a_directory_that_is_no_dataset_exits_with_1(run: Callable[..., Outcome], tmp_path: Path, verb: str) -> None:
    said = run(verb, tmp_path)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("symile-data: this directory is no finished dataset: it has no manifest.json")


def test_info_shows_splits_settings_and_modalities(run: Callable[..., Outcome], dataset: Path) -> None:
    said = run("info", dataset)
    assert said.code == 0
    for shown in (
        "symile-m3",
        "12 rows in 1 shard",
        "image (image), audio (audio), text (text)",
        "target_text",
        "el, en",
        "disjoint",
    ):
        assert shown in said.out


def test_info_prints_json_for_machines(run: Callable[..., Outcome], dataset: Path) -> None:
    value = json.loads(run("info", dataset, "--json").out)
    assert value["splits"] == {"train": 12, "validation": 4, "test": 4}
    assert value["spec"]["languages"] == ["el", "en"]
    assert "files" not in value


def test_sample_writes_an_imagenet_folder(run: Callable[..., Outcome], tmp_path: Path, monkeypatch) -> None:
    classes = {"n02129165": ["1f981"], "n07749582": ["1f34b"]}
    monkeypatch.setattr("symile_data.builders.m3.images.sample.sample_classes", lambda: classes)
    said = run("sample", "imagenet", tmp_path / "S", "--per-class", "3")
    assert said.code == 0
    assert said.out.startswith(f"6 images in {tmp_path / 'S'}; build with: symile-data build m3")
    assert len(list((tmp_path / "S").glob("ILSVRC/Data/CLS-LOC/train/n*/*.JPEG"))) == 6
    mapping = (tmp_path / "S" / "LOC_synset_mapping.txt").read_text(encoding="utf-8")
    assert [line.split(" ")[0] for line in mapping.splitlines()] == list(classes)


def test_preview_writes_a_page_beside_the_dataset(run: Callable[..., Outcome], dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "m3")
    said = run("preview", copy, "--count", "3")
    page = tmp_path / "m3-preview.html"
    assert said.code == 0
    assert said.out.startswith(f"{page}: 3 rows of train, ")
    assert page.read_text(encoding="utf-8").count("<article") == 3
    other = tmp_path / "other.html"
    value = json.loads(run("preview", copy, "--split", "test", "--out", other, "--json").out)
    assert value == {"page": str(other), "rows": 4}
    assert run("verify", copy).code == 0
    said = run("preview", copy, "--split", "dev")
    assert said.code == 2 and "the split does not exist" in said.err and "got 'dev'. Choose train, " in said.err


def test_preview_shows_the_splits_of_ones_own_whatever_their_names(run: Callable[..., Outcome], tmp_path: Path) -> None:
    schema = own_schema(Features({"a": Value("string"), "b": Value("string")}), {"a": "text", "b": "text"})
    rows = [{"a": "x", "b": "y"}] * 3
    write_dataset(tmp_path / "own", name="own", schema=schema, splits={"dev": rows[:2], "held_out": rows}, spec={})
    assert ": 2 rows of dev, " in run("preview", tmp_path / "own").out
    assert ": 3 rows of held_out, " in run("preview", tmp_path / "own", "--split", "held_out").out


def test_card_writes_the_card_anew_and_prints_it(run: Callable[..., Outcome], dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "m3")
    (copy / "README.md").write_text("spoiled")
    (copy / "figures" / "splits.png").unlink()
    assert run("verify", copy).code == 1
    assert run("card", copy, "--print").out == "spoiled"
    said = run("card", copy)
    assert said.code == 0
    assert "README.md" in said.out
    assert run("verify", copy).code == 0
    assert (copy / "README.md").read_bytes() == (dataset / "README.md").read_bytes()
    assert "README.md" in json.loads(run("card", copy, "--json").out)["written"]
    (copy / "README.md").unlink()
    assert run("card", copy, "--print").err.startswith("symile-data: the dataset has no card")


def test_a_plan_says_what_a_build_takes_and_writes_nothing(
    run: Callable[..., Outcome], tree: Path, tmp_path: Path
) -> None:
    options = ("m3", "--out", tmp_path / "out", "--images", tree, "--langs", "2", "--size", "l")
    said = run("plan", *options, "--json")
    assert said.code == 0
    found = json.loads(said.out)
    assert found["rows"] == {"train": 10_000_000, "validation": 500_000, "test": 500_000}
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert stages["images"]["units"] == 36
    assert stages["shards"]["units"] == 11_000_000
    assert found["dataset_bytes"] > 11_000_000 * 1000
    assert ("is too small" in said.err) == (not found["fits"])
    pooled = json.loads(run("plan", *options, "--layout", "pooled", "--json").out)
    assert pooled["dataset_bytes"] < found["dataset_bytes"] / 10
    assert "of CPU" in run("plan", *options).out
    assert not (tmp_path / "out").exists()


def test_a_plan_needs_no_directory(
    run: Callable[..., Outcome], tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("plan", "m3", "--images", tree, "--langs", "2", "--train", "30", "--validation", "0", "--test", "0")
    assert said.code == 0
    lines = dict(line.split(": ", 1) for line in said.out.splitlines() if ": " in line)
    assert lines["rows"] == "30 train, in 1 file"
    assert re.fullmatch(r"[\d.]+ [kM]B, and [\d.]+ [kM]B until it is built", lines["disk"])
    assert not list(tmp_path.iterdir())


def test_the_languages_are_listed(run: Callable[..., Outcome]) -> None:
    said = run("languages")
    assert said.code == 0
    for row in (r"el +│ Greek +│ el +│ 2, 5, 10", r"zh-CN +│ Mandarin Chinese +│ cmn +│ 10 "):
        assert re.search(row, said.out), row
    listed = json.loads(run("languages", "--json").out)
    assert [row["code"] for row in listed if 5 in row["sets"]] == ["el", "en", "hi", "ja", "uk"]
    assert len(listed) == 10


def test_an_estimate_of_a_small_build_is_near_what_is_written(
    run: Callable[..., Outcome], tree: Path, tmp_path: Path
) -> None:
    options = ("m3", "--out", tmp_path / "out", "--images", tree, "--langs", "2", "--train", "300", "--workers", "1")
    expected = json.loads(run("plan", *options, "--validation", "0", "--test", "0", "--json").out)["dataset_bytes"]
    assert run("build", *options, "--validation", "0", "--test", "0").code == 0
    written = sum(path.stat().st_size for path in (tmp_path / "out" / "data").iterdir())
    assert 0.6 < expected / written < 1.6
