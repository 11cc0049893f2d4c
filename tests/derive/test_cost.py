"""Costs are polynomials in one size: compared from the highest degree, sharing counted once."""

from __future__ import annotations

from derive.cost import Cost, best_elimination, cost
from derive.expr import Dim, call, compare, fresh, num, power, reduce_, select, sum_over
from derive.functions import PRIMITIVES
from derive.program import Tensor

n = Dim("n")
i, j, k, r = (fresh(n, x) for x in "ijkr")
A, B, C = (Tensor(x, (n, n)) for x in "ABC")
v, w = Tensor("v", (n,)), Tensor("w", (n,))
EXP = PRIMITIVES["exp"]


def test_degrees_count_before_numbers():
    assert Cost({1: 1000}) < Cost({2: 1})
    assert Cost({2: 1, 1: 1}) < Cost({2: 1, 1: 2})
    assert Cost({2: 1}) + Cost({2: 1, 0: 3}) == Cost({0: 3, 2: 2})
    assert Cost({2: 0}) == Cost()
    assert Cost().degree == 0
    assert hash(Cost({1: 2})) == hash(Cost({1: 2, 3: 0}))
    assert repr(Cost({2: 3, 0: 1})) == "3·s^2 + 1"
    assert repr(Cost()) == "0"
    assert Cost({1: 1}) != "1·s^1"


def test_reading_is_free_and_degree_is_the_number_of_letters():
    assert cost(A[i, j]) == Cost()
    assert cost(num(3) * n) == cost(num(2) * n)
    assert cost(A[i, j] * v[i]).degree == 2
    assert cost(call(EXP, v[i])) == Cost({1: 10})
    assert cost(sum_over((k,), A[i, k] * B[k, j])).degree == 3
    assert cost(-A[i, j]) == Cost()


def test_what_depends_on_fewer_letters_is_cheaper():
    assert cost(A[i, j] * call(EXP, v[i])) < cost(call(EXP, A[i, j]) * v[i])
    assert cost(sum_over((j,), A[i, j]) * v[i]) == cost(sum_over((j,), A[i, j] * v[i]))  # its best order


def test_a_shared_part_counts_once():
    e = call(EXP, v[i])
    assert cost(e * e + e) < cost(e) + cost(call(EXP, w[i])) + cost(e * w[i] + e)
    assert cost(e, e) == cost(e)
    assert cost(e + call(EXP, v[j])).by_degree[1] == 20  # other letters, other values


def test_products_of_matrices_and_a_vector_go_through_the_vector():
    chain = sum_over((j, k), A[i, j] * B[j, k] * v[k])
    assert cost(chain).degree == 2
    three = sum_over((j, k), A[i, j] * B[j, k] * C[k, r])
    assert cost(three).degree == 3


def test_best_elimination():
    letters = frozenset((j, k))
    plan = best_elimination([frozenset((i, j)), frozenset((j, k)), frozenset((k,))], letters)
    assert plan is not None
    assert [(len(letters), count) for letters, count in plan] == [(2, 1), (2, 1)]
    assert best_elimination([frozenset((j,))], frozenset(fresh(n) for _ in range(5))) is None
    assert best_elimination([frozenset((i,)), frozenset((j,))], frozenset((j,))) is not None


def test_kinds_of_nodes():
    mask = compare("<", v[i], 0)
    assert cost(mask * w[i]) == Cost({1: 2})
    assert cost(select(mask, v[i], w[i])) == Cost({1: 2})
    assert cost(power(v[i], 2)) < cost(power(v[i], -2))
    assert cost(reduce_("max", (j,), A[i, j])).degree == 2
    assert cost(reduce_("max", (j,), A[i, j] * v[j])).by_degree[2] >= 2
