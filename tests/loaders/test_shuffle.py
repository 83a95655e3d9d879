import itertools
from collections import Counter
from math import factorial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symile_data.loaders.shuffle import EpochShuffle, batch_count, permuted, slices

groups = st.lists(st.integers(1, 9), min_size=1, max_size=12).map(lambda sizes: np.array(sizes, dtype=np.int64))


def order(group_rows, *, seed=0, epoch=0, window=3, shuffle=True, fingerprint="data"):
    return EpochShuffle(np.asarray(group_rows, dtype=np.int64), fingerprint, seed, epoch, window, shuffle)


def take(epoch, *, world=1, batch=2, start=0, drop_last=False):
    """By rank, its slices."""
    return [
        list(slices(epoch, start=start, batch_size=batch, rank=rank, world_size=world, drop_last=drop_last))
        for rank in range(world)
    ]


def seen(ranks):
    return sorted(
        np.concatenate([part.rows[~part.padding] for parts in ranks for part in parts]).tolist() if any(ranks) else []
    )


@given(st.integers(1, 5000), st.integers(0, 2**63))
def test_permuted_is_a_permutation(size, key):
    assert np.array_equal(np.sort(permuted(np.arange(size), size, key)), np.arange(size))


@given(st.integers(2, 300), st.integers(0, 2**63), st.data())
def test_permuted_needs_no_neighbours(size, key, data):
    some = np.array(data.draw(st.lists(st.integers(0, size - 1), max_size=10)), dtype=np.int64)
    assert np.array_equal(permuted(some, size, key), permuted(np.arange(size), size, key)[some])


def is_odd(permutation):
    """Parity, by the number of cycles."""
    left, cycles = set(range(len(permutation))), 0
    while left:
        start = at = left.pop()
        while (at := int(permutation[at])) != start:
            left.remove(at)
        cycles += 1
    return bool((len(permutation) - cycles) % 2)


def chi_square(counts):
    """In standard deviations above what equal frequencies give."""
    counts, freedom = np.asarray(counts), np.size(counts) - 1
    return (((counts - counts.mean()) ** 2 / counts.mean()).sum() - freedom) / np.sqrt(2 * freedom)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 63, 64, 65, 100, 256, 1024])
def test_half_of_the_permutations_are_odd(size):
    keys = 400 if size < 256 else 100
    odd = sum(is_odd(permuted(np.arange(size), size, key)) for key in range(keys))
    assert abs(odd - keys / 2) < 4 * np.sqrt(keys) / 2


@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("by_part", [False, True])
def test_small_permutations_are_all_equally_frequent(size, by_part):
    seen: Counter[tuple[int, ...]] = Counter()
    draws = 40 * factorial(size)
    for number in range(draws):
        names = (7, number) if by_part else (number, 0)
        seen[tuple(permuted(np.arange(size), size, *names).tolist())] += 1
    assert chi_square([seen[values] for values in itertools.permutations(range(size))]) < 5


@pytest.mark.parametrize("size", [7, 16, 64])
def test_every_value_comes_to_every_place_and_pairs_are_independent(size):
    draws = np.array([permuted(np.arange(size), size, key * 0x9E3779B97F4A7C15) for key in range(3000)])
    places = [np.bincount(draws[:, place], minlength=size) for place in range(size)]
    assert chi_square(places[0]) < 5 and chi_square(np.concatenate(places)) < 5
    first, second = draws[:, 0], draws[:, 1]
    steps = np.bincount((second - first) % size, minlength=size)
    assert steps[0] == 0 and chi_square(steps[1:]) < 5


def test_windows_and_row_groups_are_shuffled_apart():
    """Of two windows of two rows each, and of the two row groups that hold them, no order tells another."""
    seen: Counter[Any] = Counter()
    for epoch in range(1600):
        rows, _ = order([2, 2], window=1, epoch=epoch).rows_at(0, 4)
        seen[rows[0] // 2, rows[0] % 2, rows[2] % 2] += 1
    assert len(seen) == 8 and chi_square(list(seen.values())) < 5


@given(groups, st.integers(1, 8), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(0, 3))
def test_an_epoch_shows_every_row_once_on_any_number_of_ranks(sizes, world, batch, window, shuffle, epoch):
    ranks = take(order(sizes, window=window, shuffle=shuffle, epoch=epoch), world=world, batch=batch)
    assert seen(ranks) == list(range(sizes.sum()))
    assert len({tuple(len(part.rows) for part in parts) for parts in ranks}) == 1


@given(groups, st.integers(1, 8), st.integers(1, 5), st.data())
def test_it_can_stop_anywhere_and_go_on_with_other_ranks_and_batches(sizes, world, batch, data):
    epoch = order(sizes)
    before = take(epoch, world=world, batch=batch)
    stop = data.draw(st.integers(0, len(before[0])))
    position = before[0][stop - 1].stop if stop else 0
    other = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 5)))
    after = take(epoch, world=other[0], batch=other[1], start=position)
    assert seen([parts[:stop] for parts in before] + after) == list(range(sizes.sum()))


def test_every_interruption_of_every_number_of_ranks_is_continued_by_every_other():
    epoch, batch = order([3, 7, 1, 9, 4, 4, 9], window=2), 2
    whole, rest = list(range(37)), {}
    for world in range(1, 9):
        before = take(epoch, world=world, batch=batch)
        for stop in range(len(before[0]) + 1):
            shown = seen([parts[:stop] for parts in before])
            position = before[0][stop - 1].stop if stop else 0
            for new_world in range(1, 9):
                if (position, new_world) not in rest:
                    rest[position, new_world] = seen(take(epoch, world=new_world, batch=batch, start=position))
                assert sorted(shown + rest[position, new_world]) == whole


@given(groups, st.integers(1, 4), st.integers(1, 4))
def test_ranks_cut_the_same_global_batches(sizes, world, batch):
    epoch = order(sizes)
    one = take(epoch, batch=world * batch, drop_last=True)[0]
    many = take(epoch, world=world, batch=batch, drop_last=True)
    for index, part in enumerate(one):
        assert np.concatenate([parts[index].rows for parts in many]).tolist() == part.rows.tolist()


@given(groups, st.integers(1, 6), st.integers(1, 4))
def test_drop_last_leaves_only_full_batches(sizes, world, batch):
    ranks = take(order(sizes), world=world, batch=batch, drop_last=True)
    assert all(len(part.rows) == batch and not part.padding.any() for parts in ranks for part in parts)
    assert len(ranks[0]) == batch_count(int(sizes.sum()), world * batch, drop_last=True)


def test_padding_repeats_rows_of_its_own_batch():
    ranks = take(order([5], shuffle=False), world=4, batch=1)
    assert [parts[1].rows.tolist() for parts in ranks] == [[4], [4], [4], [4]]
    assert [parts[1].padding.tolist() for parts in ranks] == [[False], [True], [True], [True]]


def test_without_shuffling_the_order_is_the_files():
    (parts,) = take(order([3, 4, 2], shuffle=False), batch=4)
    assert [part.rows.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 1}, {"fingerprint": "other"}])
def test_seed_epoch_and_data_each_change_the_order(change):
    sizes = [10] * 10
    assert order(sizes).rows_at(0, 100)[0].tolist() != order(sizes, **change).rows_at(0, 100)[0].tolist()


@pytest.mark.parametrize("epoch", range(3))
def test_every_epoch_permutes_the_row_groups(epoch):
    sizes = [5] * 40
    rows, _ = order(sizes, epoch=epoch, window=1).rows_at(0, 200)
    groups = rows[::5] // 5
    assert sorted(groups.tolist()) == list(range(40)) and np.mean(groups == np.arange(40)) < 0.2


def test_any_stretch_of_the_order_can_be_asked_for():
    epoch = order([4, 7, 1, 9, 3, 3], window=2)
    whole = epoch.rows_at(0, 27)[0]
    for start in range(27):
        assert np.array_equal(epoch.rows_at(start, 27)[0], whole[start:])


def test_a_window_holds_the_rows_of_its_row_groups_only():
    epoch = order([10] * 12, window=4)
    for start in (0, 40, 80):
        rows = epoch.rows_at(start, start + 40)[0]
        assert len(set((rows // 10).tolist())) == 4
        assert set(epoch.window_of_groups()[rows // 10].tolist()) == {start // 40}


def test_a_rank_meets_few_row_groups_of_a_batch():
    epoch = order([50] * 64, window=16)
    ranks = take(epoch, world=8, batch=32, drop_last=True)
    met = [len(set((part.rows // 50).tolist())) for parts in ranks for part in parts]
    assert np.mean(met) < 4.5  # of the 16 of a window


@settings(max_examples=20)
@given(st.integers(1, 2000), st.integers(1, 40))
def test_row_numbers_of_large_splits_fit(groups_count, size):
    epoch = order(np.full(groups_count, size * 1000, dtype=np.int64), window=16)
    rows, _ = epoch.rows_at(epoch.rows - 5, epoch.rows)
    assert len(set(rows.tolist())) == 5 and rows.min() >= 0 and rows.max() < epoch.rows
