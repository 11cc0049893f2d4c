"""Affine and padded places (§5, rules 2 and 3): values, ranges found, and what is refused."""

import numpy as np
import pytest

from derive.errors import GradcError, SourceError
from derive.evaluate import evaluate
from derive.expr import Dim, num
from derive.language.parse import parse
from derive.language.read import read
from derive.sizes import with_sizes

HEAD = """dims n = 7, m = 3, h = 2
batch b
input X : [n, m]
input S : [n, n]
input E : [2*h, m]
input w : [n]
input v : [m]
input B : [b]
input t : [n] labels(m)
"""
rng = np.random.default_rng(0)
SHAPES = {"X": (7, 3), "S": (7, 7), "E": (4, 3), "w": (7,), "v": (3,), "B": (5,)}
DATA = {name: rng.normal(size=shape) for name, shape in SHAPES.items()} | {"t": rng.integers(0, 3, 7)}
X, S, E, w, v, B = (DATA[k] for k in "XSEwvB")
n, m, h = Dim("n"), Dim("m"), Dim("h")
zero = np.pad(w, 2)
edge = np.pad(w, 2, mode="edge")

# text: (value, axes)
CASES = {
    "R[i] = sum[p] w[i+p] * v[p]": (np.correlate(w, v), (n - m + 1,)),
    "R[i:n+m-1] = sum[p] w[i-p | 0] * v[p]": (np.convolve(w, v), (n + m - 1,)),
    "R[i] = mean[p:2] w[i+p]": ((w[1:] + w[:-1]) / 2, (n - 1,)),
    "R[i,j] = max[p:2] E[2*i+p, j]": (E.reshape(2, 2, 3).max(1), (h, m)),
    "R[i:3] = max[p:2] w[2*i+p]": (w[:6].reshape(3, 2).max(1), (num(3),)),
    "R = sum[i:n-1] (w[i+1] - w[i])^2": (((w[1:] - w[:-1]) ** 2).sum(), ()),
    "R[i:b-1] = B[i+1] - B[i]": (np.diff(B), (Dim("b") - 1,)),
    "R[i] = w[n-1-i]": (w[::-1], (n,)),
    "R[i:h] = w[m*i]": (w[[0, 3]], (h,)),
    "R[i:n-2] = S[i, i+2]": (np.diag(S, 2), (n - 2,)),
    "R[i:n-1] = S[i+1, i]": (np.diag(S, -1), (n - 1,)),
    "R[n] = w[n+1]": (w[1:], (n - 1,)),
    "R[i] = (S @ X)[i+1, 0]": ((S @ X)[1:, 0], (n - 1,)),
    "R[i,j] = sum[p:2,q:2] X[i+p, j+q]": (X[1:, 1:] + X[1:, :-1] + X[:-1, 1:] + X[:-1, :-1], (n - 1, m - 1)),
    "R[i] = sum[p] w[i+2*p] * v[p]": (w[:3] * v[0] + w[2:5] * v[1] + w[4:] * v[2], (n - 2 * m + 2,)),
    "R[i] = v[t[i]] * w[i]": (v[DATA["t"]] * w, (n,)),
    # what stands outside
    "R[i:n] = w[i-1 | 0]": (zero[1:8], (n,)),
    "R[i:n] = w[i-1 | edge] + w[i+2 | edge]": (edge[1:8] + edge[4:], (n,)),
    "R[i:n+2] = w[i-1 | v[0] + 1]": (np.pad(w, 1, constant_values=v[0] + 1), (n + 2,)),
    "R[i:4] = w[2*i-1 | 0]": (np.r_[0, w[1::2]], (num(4),)),
    "R[i:n+1,j] = X[i, j | -1]": (np.pad(X, ((0, 1), (0, 0)), constant_values=-1), (n + 1, m)),
    "R[i:n,j:m] = X[i+1, j-1 | edge]": (np.pad(X, 1, mode="edge")[2:, :3], (n, m)),
    "R[i:b] = B[i-1 | 0]": (np.r_[0, B[:-1]], (Dim("b"),)),
    # a branch that is not taken reads nothing
    "R[i:n] = 0 if i == 0 else w[i-1]": (zero[1:8], (n,)),
    "R[i:n] = w[i+1] if i < n-1 else 0": (zero[3:10], (n,)),
    "R[i:n] = w[i-1] + w[i+1] if i > 0 and i < n-1 else 0": (
        np.r_[0, w[:-2] + w[2:], 0],
        (n,),
    ),
    "R[i:n] = (w[i-1] if i < 4 else 0) if i > 0 else 0": (np.r_[0, w[:3], 0, 0, 0], (n,)),
    "R[i,j:n] = S[i,i-j] if j <= i else 0": (
        np.array([[S[i, i - j] if j <= i else 0 for j in range(7)] for i in range(7)]),
        (n, n),
    ),
}


@pytest.mark.parametrize("line", CASES)
def test_value_and_range(line: str) -> None:
    program = read(parse(HEAD + line))
    value, axes = CASES[line]
    assert program.tensor("R").axes == axes
    np.testing.assert_allclose(evaluate(program, DATA)["R"], value, rtol=1e-12)


REFUSED = {
    "R[i] = w[i-1]": ("the place i-1 goes down to -1, before the start of axis 0 of w [n]", "[… | 0]"),
    "R[i:n] = w[i+1]": ("the place i+1 goes up to n, past axis 0 of w [n]", "0 to n-1"),
    "R[i] = w[i] + w[i+1]": ("the place i+1 goes up to n, past axis 0 of w [n]", "give i a range"),
    "R[i:4] = w[2*i+1]": ("the place 2*i+1 goes up to 7, past axis 0 of w [n]", None),
    "R[i:b] = B[i+1]": ("goes up to b, past axis 0 of B [b]", None),
    "R[i] = w[2*i]": ("how far i runs in 2*i on axis 0 of w [n] is no polynomial in dims", "i:n"),
    "R[i] = v[i+1] * w[i+1]": ("i may run over m-1 or n-1, which depends on sizes", "i:n"),
    "R[i] = sum[j] w[i+j]": ("how far i runs follows from a letter that follows from i", "i:n"),
    "R[i] = w[i-1 | 0]": ("nothing says how far i runs", "i:n"),
    "R[i] = w[i+8]": ("no i keeps i+8 on axis 0 of w [n]", None),
    "R[i] = w[i^2]": ("i^2 is no sum of letters with coefficients", "2*i+p-1"),
    "R[i] = w[i/2]": ("not divided", None),
    "R[i:n] = w[i-1] if i < 3 else 0": ("w[i-1] may leave axis 0 of w [n] in a branch that is taken", "w[i-1 | 0]"),
    "R[i:n] = w[i-1] if v[0] > 0 else 0": ("w[i-1] may leave axis 0 of w [n] in a branch that is taken", None),
    "R[i:n] = w[i+1] if i > 0 else 0": ("w[i+1] may leave", None),
    "R[i:n] = w[i-1 | v]": ("in index notation v [m] carries all its indices", None),
    "R = w[0 | 0]": ("padding is for index notation", "y[i:n]"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_refused(line: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(parse(HEAD + line))
    message, hint = REFUSED[line]
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")
    assert caught.value.span is not None
    assert caught.value.span.line == 10


def test_ranges_do_not_depend_on_the_order_of_factors() -> None:
    one, other = (read(parse(HEAD + f"R[i] = {body}")) for body in ("v[i] * sum[p] w[i+p]", "(sum[p] w[i+p]) * v[i]"))
    assert one.tensor("R").axes == other.tensor("R").axes == (m,)
    np.testing.assert_allclose(evaluate(one, DATA)["R"], evaluate(other, DATA)["R"])
    np.testing.assert_allclose(evaluate(one, DATA)["R"], v * [w[i : i + 5].sum() for i in range(3)])


@pytest.mark.parametrize(
    ("line", "sizes"),
    [
        ("R[i:3] = max[p:2] w[2*i+p]", {"n": 5}),
        ("R[i:5] = w[i-1] if i > 0 else 0", {"n": 3}),
        ("R[i] = sum[p] w[i+p] * v[p]", {"m": 9}),
    ],
)
def test_other_sizes_are_checked(line: str, sizes: dict[str, int]) -> None:
    program = read(parse(HEAD + line))
    with_sizes(program, {"n": 11})
    with pytest.raises(GradcError, match="with these sizes"):
        with_sizes(program, sizes)
