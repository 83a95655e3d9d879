"""Mixes of splits: shares, exact continuation over any number of ranks, and the rows beside a slow walk."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Features, List, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_datasets import write_m3, write_vectors

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.errors import UsageError
from symile_data.loaders import BatchLoader, Distribution, Resources, Variation, VectorSettings, mix, open_split
from symile_data.loaders.mixing import BLOCK, Pattern, quotas_of
from symile_data.loaders.shuffle import EpochShuffle

WEIGHTS = st.lists(st.integers(1, 40), min_size=2, max_size=4)


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    """Vectors: 53, 31 and 20 rows."""
    return [
        open_split(write_vectors(tmp_path_factory.mktemp(f"vectors{rows}"), rows, group=group, shards=2), "train")
        for rows, group in ((53, 4), (31, 5), (20, 3))
    ]


def walked(splits, mixed, seed, epoch, window, shuffle=True):
    """The (split, row) of every position, one position after the other."""
    sources = mixed.pattern.source.tolist()
    taken = [0] * len(splits)
    found = []
    for position in range(mixed.epoch_rows):
        source = sources[position % BLOCK]
        copy, index = divmod(taken[source], splits[source].rows)
        order = EpochShuffle(
            splits[source].group_rows, f"{mixed.fingerprint}/{source}/{copy}", seed, epoch, window, shuffle
        )
        found.append((source, int(order.rows_at(index, index + 1)[0][0])))
        taken[source] += 1
    return found


def as_pairs(mixed, rows):
    """(split, row within it) of rows of the mix."""
    pairs = []
    for row in rows.tolist():
        copy = next(copy for copy in reversed(mixed.passages) if copy.first_row <= row)
        pairs.append((copy.source, row - copy.first_row))
    return pairs


@given(weights=WEIGHTS)
def test_every_stretch_has_its_share_of_each_split(weights):
    pattern = Pattern(quotas=quotas_of(weights))
    assert sum(pattern.quotas) == BLOCK
    for source, quota in enumerate(pattern.quotas):
        assert abs(quota - BLOCK * weights[source] / sum(weights)) < 1
        counts = np.cumsum(pattern.source == source)
        assert np.abs(counts - np.arange(1, BLOCK + 1) * quota / BLOCK).max() < len(weights)
        index = np.array([0, 1, quota - 1, quota, 5 * quota + 1])
        positions = pattern.position(source, index)
        assert [pattern.count(source, position) for position in positions.tolist()] == index.tolist()
        assert all(pattern.source[position % BLOCK] == source for position in positions.tolist())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 3), epoch=st.integers(0, 2), window=st.integers(1, 4), shuffle=st.booleans())
def test_positions_hold_what_a_walk_finds(splits, data, seed, epoch, window, shuffle):
    weights = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    rows = data.draw(st.one_of(st.none(), st.integers(1, 150)))
    mixed = mix(splits, weights, rows=rows)
    order = mixed.order(seed, epoch, window, shuffle)
    expected = walked(splits, mixed, seed, epoch, window, shuffle)
    start = data.draw(st.integers(0, mixed.epoch_rows))
    stop = data.draw(st.integers(start, mixed.epoch_rows))
    found, reading = order.rows_at(start, stop)
    assert as_pairs(mixed, found) == expected[start:stop]
    assert len(set(reading.tolist())) == len(reading)
    # A row group is not forgotten before its last row.
    group = np.searchsorted(mixed.group_starts, found, side="right") - 1
    windows = order.window_of_groups()
    assert (windows[group] >= order.window_at(start)).all()
    # A window of row groups is forgotten right after its last row.
    before = np.searchsorted(mixed.group_starts, order.rows_at(0, start)[0], side="right") - 1
    read = np.bincount(windows[before], minlength=windows.max() + 1)
    whole = np.flatnonzero(read == np.bincount(windows, weights=mixed.group_rows))
    assert (whole < order.window_at(start)).all()
    if rows is None:
        assert len(set(expected)) == len(expected)  # no row twice
        counts = [sum(source == number for source, _ in expected) for number in range(3)]
        assert any(count == split.rows for count, split in zip(counts, splits, strict=True))
    assert np.array_equal(mixed.source_of(found), [source for source, _ in expected[start:stop]])


def test_a_split_that_is_begun_again_comes_in_another_order(splits):
    mixed = mix(splits, [1, 1, 1], rows=200)
    order = mixed.order(0, 0, 2, True)
    found = as_pairs(mixed, order.rows_at(0, mixed.epoch_rows)[0])
    assert found == walked(splits, mixed, 0, 0, 2)
    last = [row for source, row in found if source == 2]
    assert sorted(last[:20]) == sorted(last[20:40]) == list(range(20))
    assert last[:20] != last[20:40]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ranks=st.integers(1, 8),
    ranks_after=st.integers(1, 8),
    threads=st.integers(1, 3),
    stop_after=st.integers(1, 3),
    rows=st.sampled_from([None, 96, 130]),
)
def test_nothing_is_lost_or_repeated_over_ranks_and_interruptions(
    splits, ranks, ranks_after, threads, stop_after, rows
):
    mixed = mix(splits, [3, 2, 1], rows=rows)

    def loader(rank, world):
        return BatchLoader(
            mixed,
            2,
            seed=1,
            drop_last=False,
            resources=Resources(threads=threads, window=2),
            distribution=Distribution(rank=rank, world_size=world),
        )

    def delivered(world, state, most):
        pairs, states = [], []
        for rank in range(world):
            mine = loader(rank, world)
            if state is not None:
                mine.load_state_dict(state)
            for index, batch in enumerate(mine):
                kept = ~batch["padding"]
                pairs += list(zip(batch["source"][kept].tolist(), batch["sample_id"][kept].tolist(), strict=True))
                if index + 1 == most:
                    break
            states.append(mine.state_dict())
        assert all(other == states[0] for other in states)
        return pairs, states[0]

    everything = delivered(1, None, None)[0]
    assert len(everything) == mixed.epoch_rows
    first, state = delivered(ranks, None, stop_after)
    if state["epoch"] == 0:
        first += delivered(ranks_after, state, None)[0]
    assert sorted(first) == sorted(everything)


def test_batches_of_a_mix_hold_the_values_of_their_split(splits):
    mixed = mix(splits, [1, 1, 1])
    settings_ = {modality.name: VectorSettings() for modality in mixed.modalities}
    name = mixed.modalities[0].name
    stored = [
        {row["sample_id"]: row[split.modalities[0].column] for row in split.read_all(split.columns).to_pylist()}
        for split in splits
    ]
    for batch in BatchLoader(mixed, 8, transforms=settings_):
        for source, id_, value, missing in zip(
            batch["source"].tolist(), batch["sample_id"].tolist(), batch[name], batch["missing"][:, 0], strict=True
        ):
            if not missing:
                assert torch.equal(value, torch.tensor(stored[source][id_], dtype=torch.float32))


def test_a_state_belongs_to_one_mix(splits):
    def loader(*arguments, **keywords):
        return BatchLoader(mix(*arguments, **keywords), 4)

    first = loader(splits, [1, 1, 1])
    next(iter(first))
    for other in (loader(splits, [2, 1, 1]), loader(splits[::-1], [1, 1, 1]), loader(splits, [1, 1, 1], rows=50)):
        with pytest.raises(UsageError, match="fingerprint"):
            other.load_state_dict(first.state_dict())


def test_a_row_of_a_mix_says_where_it_is(splits):
    mixed = mix(splits, [1, 1, 1], rows=100)
    copy = mixed.passages[-1]
    assert mixed.place(copy.first_row + 2) == f"{splits[2].location}/{splits[2].place(2)}"


def test_without_weights_the_shares_are_equal(splits):
    plain, equal = mix(splits), mix(splits, [1, 1, 1])
    assert (plain.fingerprint, plain.epoch_rows) == (equal.fingerprint, equal.epoch_rows)
    assert plain.pattern.quotas == (334, 333, 333)


def test_a_modality_or_label_that_is_called_source_has_no_place_in_a_batch_of_a_mix(tmp_path):
    schema = own_schema(
        Features({"a": List(Value("float32"), length=1), "b": Value("string"), "source": Value("string")}),
        {"a": "vector", "b": "text"},
    )
    rows = [{"a": [number], "b": "x", "source": "web"} for number in range(4)]
    write_dataset(tmp_path / "out", name="mine", schema=schema, splits={"train": rows}, spec={})
    split = open_split(tmp_path / "out", "train")
    assert next(iter(BatchLoader(split, 2, columns=["source"])))["source"] == ["web", "web"]
    with pytest.raises(UsageError, match=r"this name is taken in a batch; got source\. Leave it out of `columns`"):
        BatchLoader(mix([split, split]), 2, columns=["source"])
    called = replace(split, modalities=(replace(split.modalities[0], name="source"), split.modalities[1]))
    BatchLoader(called, 2)
    with pytest.raises(UsageError, match=r"a batch has an entry of its own .*; got source\. Leave it out of `modal"):
        BatchLoader(mix([called, called]), 2)
    for name in ("missing", "padding", "sample_id"):
        called = replace(split, modalities=(replace(split.modalities[0], name=name), split.modalities[1]))
        with pytest.raises(UsageError, match=f"a batch has an entry of its own .*; got {name}"):
            BatchLoader(called, 2)
        BatchLoader(called, 2, modalities=["b"])


def test_what_cannot_be_mixed_is_refused(splits, tmp_path):
    media = open_split(write_m3(tmp_path, 12), "train")
    two = splits[:2]
    for call, said in (
        (lambda: mix(splits[:1], [1]), "two or more splits"),
        (lambda: mix(two, [1]), "one of weights for each"),
        (lambda: mix(two, [1, 0]), "must be a positive number"),
        (lambda: mix(two, [1, float("nan")]), "must be a positive number"),
        (lambda: mix(two, [1e308, 1e308]), "must be a positive number"),
        (lambda: mix(two, [10_000, 1]), "at least a 1000th"),
        (lambda: mix(two, [1, 1], rows=0), "at least one of `rows`"),
        (lambda: mix([two[0], media], [1, 1]), "splits with the same modalities"),
        (
            lambda: mix([two[0], replace(two[1], modalities=two[1].modalities[:1])], [1, 1]),
            "got 2 and 1 modalities" if len(two[0].modalities) == 2 else "modalities",
        ),
        (lambda: BatchLoader(mix(two, [1, 1]), 4, cache=True), "the split is a mix; got cache"),
        (
            lambda: BatchLoader(mix(two, [1, 1]), 4, variation=Variation(misaligned={two[0].modalities[0].name: 0.5})),
            "the split is a mix; got misaligned",
        ),
    ):
        with pytest.raises(UsageError, match=said):
            call()
