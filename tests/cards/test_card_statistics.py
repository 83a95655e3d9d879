from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_datasets import Tiny, m3_tiny_schema, mimic_tiny, xor_tiny

from symile_data.cards.descriptions import description_of
from symile_data.cards.statistics import collect as statistics
from symile_data.cards.statistics import column_counts
from symile_data.cards.statistics.collect import compute_statistics
from symile_data.cards.statistics.quantiles import quantiles
from symile_data.errors import DamageError


def computed(tiny: Tiny) -> dict[str, Any]:
    return compute_statistics(tiny.directory, tiny.manifest, tiny.schema, description_of(tiny.manifest))


def test_counts_equal_those_of_the_rows(documented: Tiny) -> None:
    found = json.loads((documented.directory / "stats.json").read_text(encoding="utf-8"))
    for split, rows in documented.rows.items():
        assert found["rows"][split] == len(rows)
        assert found["categories"]["lang"][split] == dict(sorted(Counter(row["lang"] for row in rows).items()))
        assert sum(found["categories"]["cls_id"][split].values()) == len(rows)
        assert found["categories"]["cls_id"][split].get("zebra", 0) == sum(row["cls"] == "zebra" for row in rows)
        patterns = Counter(
            "+".join(name for name in ("image", "audio", "text") if row[f"{name}_missing"]) for row in rows
        )
        assert found["missing"][split]["patterns"] == dict(patterns)
        assert found["missing"][split]["rates"]["image"] == pytest.approx(
            np.mean([row["image_missing"] for row in rows]), abs=1e-6
        )
        places = Counter(
            str([word["lang"] for word in row["words"]].index(row["lang"])) for row in rows if row["words"]
        )
        assert found["words"][split]["target_position"] == dict(sorted(places.items()))
        ids = {row["image_id"] for row in rows if row["image_id"]}
        assert found["identifiers"]["image_id"]["distinct"][split] == len(ids)


def test_ids_in_two_splits_are_counted(documented: Tiny) -> None:
    shared = computed(documented)["identifiers"]
    assert set(shared["image_id"]["shared"].values()) == {0}
    assert shared["clip_id"]["shared"] == {"train+validation": 3, "train+test": 3, "validation+test": 3}


def test_media_are_measured_by_their_headers(documented: Tiny) -> None:
    media = computed(documented)["media"]
    rows = [row for split in documented.rows.values() for row in split]
    assert media["image"]["measured"] == sum(row["image"] is not None for row in rows)
    widths = [40 + 8 * row["cls_id"] for row in rows if row["image"]]
    assert media["image"]["width"]["mean"] == pytest.approx(np.mean(widths), abs=0.1)
    assert sum(count for _, _, count in media["image"]["sizes"]) == len(widths)
    assert media["audio"]["seconds_by"]["lang"]["ar"]["median"] == 0.2
    assert media["audio"]["sample_rates_hz"] == {"16000": media["audio"]["measured"]}


def test_few_row_groups_are_measured_where_there_are_many(documented: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = computed(documented)
    monkeypatch.setattr(statistics, "MEDIA_GROUPS", 1)
    some = computed(documented)
    assert 0 < some["media"]["audio"]["measured"] < everything["media"]["audio"]["measured"]
    assert some["categories"] == everything["categories"]


def test_broken_media_are_counted_and_not_fatal(tmp_path: Path) -> None:
    tiny = mimic_tiny(tmp_path)
    tiny.rows["train"][0]["cxr"] = {"bytes": b"no image", "path": "x"}
    table = pa.Table.from_pylist(tiny.rows["train"], schema=tiny.schema.arrow)
    import pyarrow.parquet as pq

    pq.write_table(table, tiny.directory / tiny.manifest.shards("train")[0].path)
    assert computed(tiny)["media"]["cxr"]["unreadable"] == 1


def test_lists_without_numbers_leave_the_mean_alone() -> None:
    vector = column_counts._Vector()
    for lists in ([[1.0, 2.0]], [None], [[None]], [[0.0]]):
        vector.add(pa.array(lists, pa.list_(pa.float32())))
    assert vector.summary() == {"rows": 3, "mean": 1.0, "null_share": 0.25}


def test_vectors_have_a_mean_and_a_share_of_nulls(tmp_path: Path) -> None:
    mimic = mimic_tiny(tmp_path / "mimic")
    assert computed(mimic)["vectors"] == {}  # the mean of different tests says nothing
    description = replace(description_of(mimic.manifest), plain_lists=())
    labs = compute_statistics(mimic.directory, mimic.manifest, mimic.schema, description)["vectors"]
    assert labs["labs"]["train"] == {"rows": 6, "mean": 2.0, "null_share": 0.5}
    assert labs["labs_missing"]["train"]["mean"] == 0.5
    assert "ecg" not in labs  # a waveform, not numbers to average
    xor = xor_tiny(tmp_path / "xor")
    bits = [bit for row in xor.rows["train"] if row["a"] for bit in row["a"]]
    assert computed(xor)["vectors"]["a"]["train"]["mean"] == pytest.approx(np.mean(bits), abs=1e-6)


def test_a_truncated_shard_is_named(copied: Tiny) -> None:
    path = copied.directory / copied.manifest.shards("test")[0].path
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamageError, match=r"a shard is truncated .*test-00000-of-00002.*build the dataset"):
        computed(copied)


def test_a_shard_without_a_column_is_named(copied: Tiny) -> None:
    import pyarrow.parquet as pq

    path = copied.directory / copied.manifest.shards("test")[0].path
    pq.write_table(pq.read_table(path).drop_columns(["lang"]), path)
    with pytest.raises(DamageError, match=r"a shard lacks a column .*test-00000-of-00002.*lang.*Build the dataset"):
        computed(copied)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=40))
def test_patterns_are_a_count_of_masks(masks: list[tuple[bool, bool, bool]]) -> None:
    names = ("image", "audio", "text")
    schema = m3_tiny_schema()
    columns = column_counts.SmallColumns(tuple(f"{name}_missing" for name in names), (), (), (), False)
    counts = column_counts.ColumnCounts(columns, schema)
    for some in (masks[:7], masks[7:]):
        arrays = [pa.array([mask[bit] for mask in some], pa.bool_()) for bit in range(3)]
        counts.add(pa.RecordBatch.from_arrays(arrays, names=list(columns.masks)))
    expected = Counter("+".join(name for name, gone in zip(names, mask, strict=True) if gone) for mask in masks)
    found = counts.missing()
    assert found["patterns"] == dict(expected)
    rates = {name: round(sum(mask[bit] for mask in masks) / max(len(masks), 1), 6) for bit, name in enumerate(names)}
    assert found["rates"] == rates


@given(st.lists(st.lists(st.sampled_from("abcdef")), max_size=5))
def test_distinct_values_survive_compaction(batches: list[list[str]]) -> None:
    distinct = column_counts._Distinct(pa.string())
    limit, column_counts._COMPACT_AT = column_counts._COMPACT_AT, 2
    try:
        for batch in batches:
            distinct.add(pa.array([*batch, None], pa.string()))
    finally:
        column_counts._COMPACT_AT = limit
    assert sorted(distinct.values().to_pylist()) == sorted({value for batch in batches for value in batch})


@given(st.integers(0, 1000), st.integers(1, 50))
def test_evenly_spaced_positions_are_distinct_and_in_range(count: int, most: int) -> None:
    places = statistics.evenly_spaced(count, most)
    assert len(places) == len(set(places)) == min(count, most)
    assert all(0 <= place < count for place in places)


def test_quantiles_are_ordered() -> None:
    marks = quantiles([3.0, 1.0, 2.0, 10.0])
    assert (marks["min"], marks["median"], marks["max"], marks["count"]) == (1.0, 2.5, 10.0, 4)
    hundred = {"min": 0.0, "p5": 5.0, "p25": 25.0, "median": 50.0, "p75": 75.0, "p95": 95.0, "max": 100.0}
    assert quantiles(range(101)) == {"count": 101, "mean": 50.0, **hundred}


def test_words_are_counted_as_target_and_as_distractor(documented: Tiny) -> None:
    found = json.loads((documented.directory / "stats.json").read_text(encoding="utf-8"))["words"]
    for split, rows in documented.rows.items():
        words = [(word, row["lang"]) for row in rows for word in row["words"] or []]
        classes = {word["cls_id"] for word, _ in words}
        for part, wanted in (("target", True), ("distractor", False)):
            counts = Counter((w["lang"], w["cls_id"]) for w, spoken in words if (w["lang"] == spoken) is wanted)
            for language, summary in found[split][part].items():
                of_language = [counts[language, cls] for cls in classes]
                assert summary["words"] == sum(of_language)
                assert summary["per_class"]["count"] == len(classes)
                assert summary["per_class"]["max"] == max(of_language)
                assert summary["per_class"]["mean"] == pytest.approx(np.mean(of_language), abs=0.06)
            assert {language for language, _ in counts} == set(found[split][part])


def test_ceilings_are_counted_from_the_complete_rows_outside_training(documented: Tiny) -> None:
    found = compute_statistics(
        documented.directory, documented.manifest, documented.schema, description_of(documented.manifest)
    )["ceilings"]
    assert list(found) == ["validation", "test"]
    for split, ceilings in found.items():
        rows = [
            row
            for row in documented.rows[split]
            if not (row["image_missing"] or row["audio_missing"] or row["text_missing"])
        ]
        counts = Counter(row["cls_id"] for row in rows)
        there = [[counts[word["cls_id"]] for word in row["words"] if counts[word["cls_id"]]] for row in rows]
        assert ceilings["rows"] == len(rows)
        assert ceilings["text_alone"] == pytest.approx(np.mean([1 / len(some) for some in there]), abs=1e-6)
        assert ceilings["counting"] == pytest.approx(np.mean([max(some) / sum(some) for some in there]), abs=1e-6)
        alike = [counts[row["cls_id"]] / sum(some) for row, some in zip(rows, there, strict=True)]
        assert ceilings["all_words_alike"] == pytest.approx(np.mean(alike), abs=1e-6)
        shares = np.array(list(counts.values())) / len(rows)
        assert ceilings["random_candidate"] == pytest.approx((shares**2).sum(), abs=1e-6)
        assert ceilings["subsets"]["image"]["audio+text"] == 1.0
