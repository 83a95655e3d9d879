"""Some rows of a split: filters in SQL's form, Arrow expressions and ranges, beside a slow reading of the rows."""

import contextlib
import operator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_datasets import write_m3

from symile_data.errors import UsageError
from symile_data.format.shards.parquet import ParquetShard
from symile_data.loaders import BatchLoader, ImageSettings, open_split
from symile_data.loaders.selection.where import parse_filter

ROWS = 40
COLUMNS = ["lang", "cls_id", "text", "image_missing", "sample_id", "odd name"]
SMALL = {"image": ImageSettings(size=4)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """40 rows in several shards; every seventh lacks its image, every ninth its text."""

    def lacking(row):
        return (("image",) if row % 7 == 0 else ()) + (("text",) if row % 9 == 0 else ())

    return write_m3(tmp_path_factory.mktemp("m3"), ROWS, missing=lacking)


def ids(split):
    return split.read_all(["sample_id"])["sample_id"].to_pylist()


@pytest.fixture(scope="module")
def table(dataset):
    return open_split(dataset, "train").read_all(["sample_id", "lang", "cls_id", "text", "image_missing"]).to_pylist()


CASES = {
    "lang = 'el'": lambda row: row["lang"] == "el",
    "lang != 'el' and not image_missing": lambda row: row["lang"] != "el" and not row["image_missing"],
    "cls_id in (1, 3) or text is null": lambda row: row["cls_id"] in (1, 3) or row["text"] is None,
    "cls_id NOT IN (1, 3) AND text IS NOT NULL": lambda row: row["cls_id"] not in (1, 3) and row["text"] is not None,
    "text not in ('w0el_w1en_w2hi')": lambda row: row["text"] is not None and row["text"] != "w0el_w1en_w2hi",
    "not text in ('w0el_w1en_w2hi')": lambda row: row["text"] is not None and row["text"] != "w0el_w1en_w2hi",
    "not (text not in ('w0el_w1en_w2hi', 'x'))": lambda row: row["text"] == "w0el_w1en_w2hi",
    "cls_id < 99999999999999999999 and cls_id not in (1, 99999999999999999999)": lambda row: row["cls_id"] != 1,
    "not (cls_id < 4 or cls_id >= 6.5)": lambda row: 4 <= row["cls_id"] < 6.5,
    "image_missing": lambda row: row["image_missing"],
    "image_missing = false and cls_id <> 2": lambda row: not row["image_missing"] and row["cls_id"] != 2,
    "text != 'no such text'": lambda row: row["text"] is not None,
    "cls_id > 1 and cls_id > 2 or lang = 'en' and cls_id <= 1": (
        lambda row: row["cls_id"] > 2 or (row["lang"] == "en" and row["cls_id"] <= 1)
    ),
    '"cls_id" == -1 or "cls_id" == 7': lambda row: row["cls_id"] == 7,
}


@pytest.mark.parametrize("where", CASES)
def test_a_filter_selects_what_it_says(dataset, table, where):
    expected = [row["sample_id"] for row in table if CASES[where](row)]
    assert 0 < len(expected) < ROWS
    assert ids(open_split(dataset, "train", where=where)) == expected


COMPARISONS = {"=": operator.eq, "<": operator.lt, ">=": operator.ge, "<>": operator.ne}
atoms = st.tuples(st.sampled_from(["cls_id", "sample_id"]), st.sampled_from(sorted(COMPARISONS)), st.integers(0, 40))
trees = st.recursive(
    atoms,
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), st.tuples(inner, st.sampled_from(["and", "or"]), inner)),
    max_leaves=6,
)


def written(tree):
    if tree[0] == "not":
        return f"not ({written(tree[1])})"
    if tree[1] in ("and", "or"):
        return f"({written(tree[0])}) {tree[1]} ({written(tree[2])})"
    return f"{tree[0]} {tree[1]} {tree[2]}"


def holds(tree, row):
    if tree[0] == "not":
        return not holds(tree[1], row)
    if tree[1] in ("and", "or"):
        return (all if tree[1] == "and" else any)((holds(tree[0], row), holds(tree[2], row)))
    return COMPARISONS[tree[1]](row[tree[0]], tree[2])


@settings(max_examples=40, deadline=None)
@given(tree=trees, start=st.integers(0, ROWS), stop=st.integers(0, ROWS), step=st.integers(1, 3))
def test_any_filter_of_any_range_is_what_a_loop_finds(dataset, table, tree, start, stop, step):
    expected = [row["sample_id"] for row in table[start:stop:step] if holds(tree, row)]
    if not expected:
        with pytest.raises(UsageError, match="no row of split train is left"):
            open_split(dataset, "train", where=written(tree), rows=slice(start, stop, step))
        return
    assert ids(open_split(dataset, "train", where=written(tree), rows=slice(start, stop, step))) == expected


def test_an_arrow_expression_is_a_filter_too(dataset, table):
    split = open_split(dataset, "train", where=(pc.field("cls_id") == 3) | pc.field("text").is_null())
    assert ids(split) == [row["sample_id"] for row in table if row["cls_id"] == 3 or row["text"] is None]


def test_expressions_of_other_rows_are_other_filters_where_arrow_shortens_them_to_one_text(dataset, tmp_path):
    every = ids(open_split(dataset, "train"))
    chosen = every[:30]
    others = [*every[:15], every[35], *every[16:30]]  # another value in the middle, which the text leaves out
    one, two = (pc.field("sample_id").isin(pa.array(values)) for values in (chosen, others))
    assert str(one) == str(two)
    first, second = open_split(dataset, "train", where=one), open_split(dataset, "train", where=two)
    assert open_split(dataset, "train", where=one).fingerprint == first.fingerprint != second.fingerprint
    state = BatchLoader(first, 3, modalities=["text"]).state_dict()
    with pytest.raises(UsageError, match="the loader's state was saved under other settings"):
        BatchLoader(second, 3, modalities=["text"]).load_state_dict(state)

    def images(split, **options):
        loader = BatchLoader(split, 5, shuffle=False, modalities=["image"], transforms=SMALL, **options)
        return {int(i): image.tolist() for b in loader for i, image in zip(b["sample_id"], b["image"], strict=True)}

    images(first, cache=tmp_path)
    assert images(second, cache=tmp_path) == images(second)


def test_rows_are_those_of_a_slice_or_range(dataset, table):
    every = [row["sample_id"] for row in table]
    assert ids(open_split(dataset, "train", rows=slice(-5, None))) == every[-5:]
    assert ids(open_split(dataset, "train", rows=range(3, 30, 4))) == every[3:30:4]
    for wrong in (slice(None, None, -1), range(0, ROWS + 1), range(5, 0, -1)):
        with pytest.raises(UsageError, match="`rows` must ascend within the split"):
            open_split(dataset, "train", rows=wrong)
    for odd in (30, [1, 2]):
        with pytest.raises(UsageError, match="`rows` is a slice or a range or None; got "):
            open_split(dataset, "train", rows=odd)  # type: ignore[arg-type]
    for wrong in (slice("a", 3), slice(1, 3, 0)):
        with pytest.raises(UsageError, match=r"`rows` is no slice of row numbers; got slice\("):
            open_split(dataset, "train", rows=wrong)


def test_batches_hold_the_chosen_rows_with_their_values(dataset, table):
    split = open_split(dataset, "train", where="lang = 'hi' and text is not null")
    loader = BatchLoader(split, 3, transforms=SMALL, columns=["lang"], drop_last=False)
    seen = {int(id_): text for batch in loader for id_, text in zip(batch["sample_id"], batch["text"], strict=True)}
    assert len(seen) == split.rows
    assert seen == {row["sample_id"]: row["text"] for row in table if row["lang"] == "hi" and row["text"] is not None}
    cached = BatchLoader(split, 3, transforms=SMALL, columns=["lang"], drop_last=False, cache=True)
    assert {int(id_) for batch in cached for id_ in batch["sample_id"]} == set(seen)


def test_an_epoch_continues_exactly_and_not_with_another_filter(dataset):
    def loader(where):
        return BatchLoader(open_split(dataset, "train", where=where), 4, transforms=SMALL)

    whole = [batch["sample_id"].tolist() for batch in loader("cls_id < 6")]
    first = loader("cls_id < 6")
    begun = [next(iter(first))["sample_id"].tolist()]
    again = loader("cls_id < 6")
    again.load_state_dict(first.state_dict())
    assert begun + [batch["sample_id"].tolist() for batch in again] == whole
    with pytest.raises(UsageError, match="fingerprint"):
        loader("cls_id <= 6").load_state_dict(first.state_dict())
    assert open_split(dataset, "train", rows=slice(4)).fingerprint != open_split(dataset, "train").fingerprint


def test_only_the_columns_of_the_filter_are_read(dataset, monkeypatch):
    read, whole = [], ParquetShard.read_all

    def spied(shard, columns):
        read.append(list(columns))
        return whole(shard, columns)

    monkeypatch.setattr(ParquetShard, "read_all", spied)
    open_split(dataset, "train", where="lang = 'el'")
    assert read
    assert all(columns == ["lang"] for columns in read)
    read.clear()
    open_split(dataset, "train", where=pc.field("image_missing"))
    assert all(columns == ["image_missing"] for columns in read)


def test_what_statistics_exclude_is_not_read(dataset, monkeypatch):
    split = open_split(dataset, "train")
    last = split.shards[-1]
    assert isinstance(last, ParquetShard)
    starts = np.cumsum([0, *last.group_rows])
    first_id = int(last.read_all(["sample_id"])["sample_id"][int(starts[-2])].as_py())
    assert last.groups_without(pc.field("sample_id") >= first_id) == list(range(len(last.group_rows) - 1))
    assert last.groups_without(pc.field("lang") == "xx") == []  # no statistics of texts
    read, whole = [], ParquetShard.read_all

    def spied(shard, columns):
        read.append(shard.name)
        return whole(shard, columns)

    monkeypatch.setattr(ParquetShard, "read_all", spied)
    open_split(dataset, "train", where=f"sample_id >= {first_id}")
    assert read == [last.name]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "Write a column, `not` or a parenthesis at its end"),
        ("lang =", "Write a number, a 'text', true or false at its end"),
        ("lang = el", "Write a number, a 'text', true or false at character 8, where 'el' stands"),
        ("lang = 'el' cls_id = 1", "Write `and`, `or` or the end at character 13, where 'cls_id = 1' stands"),
        ("(lang = 'el'", "Write a closing parenthesis at its end"),
        ("cls_id in 1", "Write an opening parenthesis at character 11, where '1' stands"),
        ("cls_id in (1", "Write a comma or a closing parenthesis at its end"),
        ("cls_id in (1, 'a')", "Write values of one type at character 11"),
        ("cls_id is 1", "Write `null` at character 11"),
        ("cls_id not 1", "Write `in` at character 12"),
        ("cls_id + 1 = 2", "Write a column, a value or a comparison at character 8, where '+ 1 = 2' stands"),
        ("lang = 'el", "Write a column, a value or a comparison at character 8"),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(where, said):
    with pytest.raises(UsageError) as error:
        parse_filter(where, COLUMNS)
    assert str(error.value).startswith("the filter where cannot be read")
    assert said in str(error.value)


def test_a_filter_that_does_not_fit_the_columns_is_refused(dataset):
    with pytest.raises(UsageError, match=r"names no column; got nothing_here\. It has lang"):
        open_split(dataset, "train", where="nothing_here = 1")
    with pytest.raises(UsageError, match=r"does not fit the columns' types"):
        open_split(dataset, "train", where="lang = 1")
    with pytest.raises(UsageError, match=r"does not fit the columns' types"):
        open_split(dataset, "train", where="cls_id")
    with pytest.raises(UsageError, match="no row of split train is left"):
        open_split(dataset, "train", where="cls_id > 1000")
    with pytest.raises(UsageError, match="names no column"):
        open_split(dataset, "train", where=pc.field("nothing_here") == 1)


@pytest.mark.parametrize(
    ("where", "instead"),
    [
        ("image is null", "image_missing"),
        ("image is not null and lang = 'en'", "not image_missing and lang = 'en'"),
        ("cls_id > 3 and (image is null or audio_missing)", "cls_id > 3 and (image_missing or audio_missing)"),
        ("image = 3", "image_missing or not image_missing"),
        ("not image", "image_missing or not image_missing"),
        (pc.field("image").is_null(), "pc.field('image_missing')"),
    ],
)
def test_missing_images_are_found_by_their_mask(dataset, where, instead):
    """Media are never read."""
    with pytest.raises(UsageError) as caught:
        open_split(dataset, "train", where=where)
    assert str(caught.value) == (
        "the filter where cannot ask for what an image or audio holds; got image. The column image_missing says where "
        f"it is missing: write {instead}" + ("" if instead.endswith("'") else ".")
    )
    if isinstance(where, str) and "null" in where:
        with contextlib.suppress(UsageError):  # perhaps no row is left
            open_split(dataset, "train", where=instead)


def test_a_mask_of_an_odd_name_is_quoted():
    with pytest.raises(UsageError, match='write not "an image_missing"\\.'):
        parse_filter('"an image" is not null', COLUMNS, {"an image": "an image_missing"})


def test_texts_and_names_may_hold_quotes():
    expression, columns = parse_filter("\"odd name\" = 'it''s'", COLUMNS)
    assert columns == ["odd name"]
    assert pa.table({"odd name": ["it's", "its"]}).filter(expression).to_pylist() == [{"odd name": "it's"}]
