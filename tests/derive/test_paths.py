"""Paths through products: none of all binary trees takes fewer operations."""

from __future__ import annotations

from itertools import combinations
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derive.paths import EXACT, best_path

SIZES = {"i": 2, "j": 3, "k": 5, "l": 7, "m": 11}
factor = st.sets(st.sampled_from("ijklm"), min_size=1, max_size=3).map(frozenset)


def every_cost(tensors, kept):
    """What each binary tree takes: 2 for each product that is added up, 1 for each other, 2 for each lone sum."""
    if len(tensors) == 1:
        yield 0
    for a, b in combinations(range(len(tensors)), 2):
        others = [t for k, t in enumerate(tensors) if k not in (a, b)]
        union = tensors[a] | tensors[b]
        left = union & kept.union(*others)
        step = prod(SIZES[x] for x in union) * (1 if left == union else 2)
        for rest in every_cost([*others, left], kept):
            yield step + rest


def alone(tensors, kept):
    out, cost = [], 0
    for k, t in enumerate(tensors):
        left = t & kept.union(*(o for j, o in enumerate(tensors) if j != k))
        cost += 2 * prod(SIZES[x] for x in t) if left != t else 0
        out.append(left)
    return out, cost


@given(st.lists(factor, min_size=1, max_size=5), st.sets(st.sampled_from("ijklm"), max_size=3))
def test_no_tree_takes_fewer_operations(factors, kept):
    kept = frozenset(kept)
    path = best_path(factors, kept, SIZES)
    tensors, before = alone(factors, kept)
    assert path.operations == before + min(every_cost(tensors, kept))
    assert path.letters == kept & frozenset().union(*factors)


@given(st.lists(factor, min_size=EXACT + 1, max_size=12), st.sets(st.sampled_from("ijklm"), max_size=2))
def test_of_many_factors_each_is_used_once_and_each_letter_summed_once(factors, kept):
    path = best_path(factors, frozenset(kept), SIZES)
    used, summed = [], []

    def visit(p):
        summed.extend(p.summed)
        if p.pair is None:
            used.append(p.factor)
        for q in p.pair or ():
            visit(q)

    visit(path)
    assert sorted(used) == list(range(len(factors)))
    assert path.letters == frozenset(kept) & frozenset().union(*factors)
    assert not path.letters & set(summed)


@pytest.mark.parametrize(
    ("sizes", "cost"), [((10, 20, 30, 40), 36_000), ((40, 30, 20, 10), 36_000), ((40, 5, 40, 5), 4_000)]
)
def test_chains_of_three(sizes, cost):
    letters = [frozenset(p) for p in ("ij", "jk", "kl")]
    path = best_path(letters, frozenset("il"), dict(zip("ijkl", sizes, strict=True)))
    assert path.operations == cost
