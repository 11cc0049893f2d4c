"""The count that holds printed formulas against the notes: what it counts, and that a longer one is found."""

from __future__ import annotations

import pytest

from derive.formulas import Formula
from derive.notation import Notation

NAMES = "dims k = 3, m = 5\nbatch n\ninput A : [n, k]\ninput B : [k, m]\ninput x : [k]\ninput y : [k]\ninput s\n"
SOFTMAX = "dims k = 5\nbatch n\ntarget Y : [n, k] one_hot\ninput L : [n, k]\nP = softmax(L, axis=1)\n"


@pytest.mark.parametrize(
    ("statement", "operations"),
    [
        ("R = x", 0),
        ("R = x + y - 1", 2),
        ("R = -x", 1),
        ("R = -x - y", 2),
        ("R = 2 * x - 2 * y", 2),  # as 2 (x − y)
        ("R = 2 * x - 3 * y", 3),
        ("R = x * y / s", 2),
        ("R = x / (s * n)", 2),
        ("R = 1 / s", 1),
        ("R = (2 / n) * x", 2),
        ("R = x^2", 1),
        ("R = 3 / x^2", 2),
        ("R = sqrt(x)", 1),
        ("R = exp(-x) + sigmoid(x)", 4),
        ("R = x * (y > 0)", 2),
        ("R = x if y > 0 else 0", 2),
        ("R = A @ B", 2),
        ("R[i, j] = sum[l] A[i, l] * B[l, j]", 2),
        ("R = sum(A, axis=0)", 1),
        ("R = diag(x)", 2),
    ],
)
def test_what_is_counted(notes, statement, operations):
    assert notes(NAMES).length(statement) == operations


def test_what_was_not_simplified_is_found_longer(notes):
    row = notes(SOFTMAX + "minimize -sum(Y * log(P)) / n\n")
    row.gradient("L", "dL = (P - Y) / n")
    raw = row.model.gradient("L").derivation.raw
    longer = [Formula(e, Notation(raw)) for e in raw.equations if e.out.kind == "cotangent"]
    with pytest.raises(AssertionError, match="operations, not 2"):
        row.compare_sizes(longer, "dL = (P - Y) / n")
    shortest = row.model.gradient("L").formulas
    row.compare_sizes(shortest, "dL = (P - Y) / n")
    with pytest.raises(AssertionError, match="2 operations, not 1"):
        row.compare_sizes(shortest, "dL = P - Y")


def test_an_entry_that_is_longer_is_found(notes):
    row = notes("input v : [2]\nt = 3 * v[1]^2\nf = [v[0]^2 + v[1]^3, v[1]]\n")
    row.written_out("f", "v", [["2 * v[0]", "3 * v[1]^2"], ["0", "1"]])
    with pytest.raises(AssertionError, match="2 <= 0"):
        row.written_out("f", "v", [["2 * v[0]", "t"], ["0", "1"]])
