"""Pairs of the same photo: exact, near, mirrored; and that the search is a block product, not a loop over pairs."""

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hierpets.auditing.pairs.duplicates import Pair, components, confirmed_pairs, exact_pairs, hash_bits, near_pairs

words = st.integers(min_value=0, max_value=2**64 - 1)


def as_hex(values):
    return [f"{value:016x}" for value in values]


@given(st.lists(words, max_size=30), st.integers(0, 40))
def test_near_pairs_are_those_within_the_hamming_distance(values, within):
    bits = hash_bits(as_hex(values))
    expected = {
        (i, j)
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if bin(values[i] ^ values[j]).count("1") <= within
    }
    assert {tuple(pair) for pair in near_pairs(bits, bits, within=within).tolist()} == expected


def test_near_pairs_are_found_across_a_block_edge():
    rng = np.random.default_rng(0)
    values = [int(v) for v in rng.integers(0, 2**63, 1500)]
    values[1400] = values[3] ^ 0b101
    bits = hash_bits(as_hex(values))
    assert [3, 1400] in near_pairs(bits, bits, within=2).tolist()


def test_near_pairs_compares_eight_thousand_hashes_in_seconds():
    rng = np.random.default_rng(0)
    bits = rng.choice(np.array([-1.0, 1.0], np.float32), (8_000, 64))
    bits[7_999] = bits[0]
    start = time.process_time()
    assert [0, 7_999] in near_pairs(bits, bits, within=8).tolist()
    assert time.process_time() - start < 15  # a loop over 32 million pairs takes longer


def test_exact_pairs_join_each_copy_to_the_first():
    assert [(p.first, p.second) for p in exact_pairs(["a", "b", "a", "a"])] == [(0, 2), (0, 3)]


def test_confirmed_pairs_need_like_features():
    features = np.array([[1.0, 0.0], [1.0, 0.05], [0.0, 1.0]])
    same = as_hex([7, 7, 7])
    found = confirmed_pairs(same, as_hex([2**63] * 3), [as_hex([2**63])] * 3, features, within=4, same=0.8)
    assert [(p.first, p.second, p.how) for p in found] == [(0, 1, "near")]


def test_confirmed_pairs_recognize_a_mirror_image():
    features = np.array([[1.0, 0.0], [1.0, 0.0]])
    upright, mirrored = as_hex([0x00FF00FF00FF00FF, 0xFFFF0000FFFF0000]), as_hex([1, 0x00FF00FF00FF00FF])
    found = confirmed_pairs(upright, mirrored, [as_hex([2, 3, 4])] * 2, features, within=4, same=0.8)
    assert [(p.first, p.second, p.how) for p in found] == [(0, 1, "mirrored")]


def test_confirmed_pairs_recognize_a_photo_on_its_side():
    """Whose features are less like those of the upright one."""
    hashes = as_hex([0x00FF00FF00FF00FF, 0xFFFF0000FFFF0000, 0xFFFF0000FFFF0000])
    turned = [as_hex([1, 2, 3]), as_hex([1, 2, 0x00FF00FF00FF00FF]), as_hex([1, 2, 0x00FF00FF00FF00FF])]
    features = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    found = confirmed_pairs(hashes, as_hex([5, 6, 7]), turned, features, within=4, same=0.8)
    assert [(p.first, p.second, p.how) for p in found] == [(0, 1, "turned"), (1, 2, "near")]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda p: p[0] != p[1]), max_size=20))
def test_components_agree_with_scipy(edges):
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = [Pair(min(e), max(e), "near", 1.0) for e in edges]
    rows = sorted({row for edge in edges for row in edge})
    graph = coo_matrix((np.ones(len(edges)), ([e[0] for e in edges], [e[1] for e in edges])), shape=(13, 13))
    _, label = connected_components(graph, directed=False)
    expected = {frozenset(r for r in rows if label[r] == label[row]) for row in rows}
    found = components(pairs)
    assert {frozenset(group) for group in found} == expected
    assert sorted(row for group in found for row in group) == rows
