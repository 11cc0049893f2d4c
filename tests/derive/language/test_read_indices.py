"""§5: letters, their ranges, accesses and reductions, against NumPy."""

import numpy as np
import pytest

from derive.errors import SourceError
from derive.evaluate import evaluate
from derive.expr import Dim, Num
from derive.language.parse import parse
from derive.language.read import read

HEAD = """dims n = 5, m = 3, k = 7
input X : [n, m]
input Y : [m, k]
input S : [n, n]
input B : [n, n]
input v : [m]
input w : [n]
input a
input t : [n] labels(m)
"""
rng = np.random.default_rng(11)
DATA = {
    "X": rng.normal(size=(5, 3)),
    "Y": rng.normal(size=(3, 7)),
    "S": rng.normal(size=(5, 5)),
    "B": rng.normal(size=(5, 5)),
    "v": rng.normal(size=3),
    "w": rng.normal(size=5),
    "a": np.array(0.7),
    "t": np.array([2, 0, 1, 1, 2]),
}
X, Y, S, B, v, w, a, t = DATA.values()
i5, j3 = np.arange(5), np.arange(3)

CASES = {
    "R[i, j] = sum[p] X[i, p] * Y[p, j]": X @ Y,
    "R[j, i] = X[i, j]": X.T,
    "R[i] = sum[j] X[i, j]*v[j] + w[i]": X @ v + w,
    "R[i] = mean[j] X[i, j]": X.mean(1),
    "R[i] = max[j] X[i, j] * v[j]": (X * v).max(1),
    "R[j] = min[i] X[i, j]": X.min(0),
    "R[j] = prod[i] X[i, j]": X.prod(0),
    "R[i] = sum[j] X[i, j] - sum[j] v[j]": X.sum(1) - v.sum(),
    "R[i] = -sum[j] X[i, j]": -X.sum(1),
    "R[i] = 2 * sum[j, l] X[i, j]*Y[j, l]": 2 * (X @ Y).sum(1),
    "R[i] = exp(sum[j] X[i, j])": np.exp(X.sum(1)),
    "R[i] = S[i, i]": np.diag(S),
    "R = sum[i] S[i, i]": np.trace(S),
    "R[i, j] = S[i, j] if j > i else 0": np.triu(S, 1),
    "R[i, j] = 0 if j > i and w[i] > 0 else S[i, j]": np.where((i5 > i5[:, None]) & (w > 0)[:, None], 0, S),
    "R[i] = i * w[i]": i5 * w,
    "R[i] = w[i] / n + m": w / 5 + 3,
    "R[n, m] = X[n, m] / n": X / 5,
    "R[i:4] = i": np.arange(4.0),
    "R[i:n, j:m] = i + n*j": i5[:, None] + 5.0 * j3,
    "R[i:2] = w[i]": w[:2],
    "R = sum[i:n-1] w[i]": w[:-1].sum(),
    "R[i] = X[i, 0] + X[i, m-1]": X[:, 0] + X[:, 2],
    "R[i, s] = (X @ Y)[i, s] + w[i]": X @ Y + w[:, None],
    "R[i, j] = (X' @ S)[j, i]": (X.T @ S).T,
    "R[i] = softmax(X, axis=1)[i, 0]": (np.exp(X) / np.exp(X).sum(1, keepdims=True))[:, 0],
    "R[i, q] = Y[t[i], q]": Y[t],
    "R[i] = X[i, t[i]]": X[i5, t],
    "R[i, c] = 1 if t[i] == c else X[i, c]": np.where(t[:, None] == j3, 1, X),
    "R = sum[i] (sum[j] S[i, j])^2": (S.sum(1) ** 2).sum(),
    "R[i] = a": None,
    "R[i] = relu(w[i]) * a": np.maximum(w, 0) * a,
    "R[i] = max(w[i], a)": np.maximum(w, a),
    "R[i, j] = sum[p] S[i, p] * sum[q] B[p, q] * S[q, j]": S @ B @ S,
}


@pytest.mark.parametrize("line", [c for c in CASES if CASES[c] is not None])
def test_value(line):
    got = evaluate(read(parse(HEAD + line)), DATA)["R"]
    assert np.shape(got) == np.shape(CASES[line])
    np.testing.assert_allclose(got, CASES[line], rtol=1e-12)


def test_letters_keep_the_hints_of_the_user_and_take_extents_from_axes():
    (equation,) = read(parse(HEAD + "R[row, col] = sum[inner] X[row, inner]*Y[inner, col]")).equations
    assert repr(equation.left) == "R[row, col]"
    assert repr(equation.body) == "sum[inner] (X[row, inner]·Y[inner, col])"
    assert equation.out.axes == (Dim("n"), Dim("k"))


def test_tensor_letters_keep_clear_of_the_users():
    (equation,) = read(parse(HEAD + "R[m, k] = (X @ Y)[m, k]")).equations
    (binder,) = equation.body.binders
    assert binder.hint not in ("m", "k")


def test_equal_letters_are_one_diagonal():
    (equation,) = read(parse(HEAD + "R = sum[i] S[i, i]")).equations
    access = equation.body.body
    assert access.places[0] is access.places[1]


def test_mean_divides_by_the_extents():
    (equation,) = read(parse(HEAD + "R = mean[i, j] X[i, j]")).equations
    assert repr(equation.body) == "m^-1·n^-1·(sum[i, j] X[i, j])"


REFUSED = {
    "R[i] = X[i, j]": ("the letter j is free", "sum[j]"),
    "R[i] = a": ("nothing says how far i runs", "i:n"),
    "R[i] = sum[j] w[i]": ("the letter j is bound but not used", "j:n"),
    "R[i] = X[i, i]": ("i runs over n (axis 0 of X [n, m]) and over m (axis 1 of X [n, m])", "two letters"),
    "R[i] = w[i] + v[i]": ("i runs over n (axis 0 of w [n]) and over m (axis 0 of v [m])", "two letters"),
    "R[i] = sum[i] X[i, 0]": ("the letter i is in use", "another letter"),
    "R[i] = sum[j] X[i, j] * (sum[j] v[j])": ("the letter j is in use", "another letter"),
    "R = sum[i, i] S[i, i]": ("the letter i stands twice", None),
    "R[i, i] = S[i, i]": ("the letter i stands twice on the left", "diag"),
    "R[i] = w": ("in index notation w [n] carries all its indices", "w[i]"),
    "R[i] = X[i]": ("X [n, m] has 2 axes, and 1 places are given", None),
    "R[i] = w[i] + a[i]": ("a is a number", None),
    "R[i] = w[i] @ w[i]": ("@ has no meaning in index notation", "sum[k]"),
    "R[i] = w[i]'": ("' has no meaning in index notation", "swap"),
    "R[i] = sum(w) + w[i]": ("sum takes whole tensors", "a line of its own"),
    "R[i] = w[5] + w[i]": ("the place 5 lies, past axis 0 of w [n]", "0 to n-1"),
    "R[i:9] = w[i]": ("i runs to 9-1, past axis 0 of w [n]", "0 to n-1"),
    "R[i] = Y[w[i], 0]": ("w[i] is not an integer", "labels(c)"),
    "R[i] = X[t[i], 0]": None,
    "R[i] = X[i][0]": ("one pair of brackets", "X[i, j]"),
    "R[i] = S[0:2, i]": ("a slice cannot stand in index notation", None),
    "R = X[i, j]": ("i is not known outside an index equation", "T[i] = "),
    "R[i] = [1, 2]": ("a list cannot stand in index notation", None),
}


@pytest.mark.parametrize("line", [c for c in REFUSED if REFUSED[c]])
def test_refused(line):
    with pytest.raises(SourceError) as caught:
        read(parse(HEAD + line))
    message, hint = REFUSED[line]
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")
    assert caught.value.span is not None
    assert caught.value.span.line == 10


@pytest.mark.parametrize("line", ["H[0] = a", "H[i+1] = w[i]"])
def test_one_line_of_a_recurrence_alone_is_refused(line):
    with pytest.raises(SourceError, match=r"never goes on|starts at place 0"):
        read(parse(HEAD + line))


def test_an_integer_element_must_fit_its_axis():
    read(parse(HEAD + "R[i] = X[t[i], 0]"))  # labels below 3 on an axis of 5
    with pytest.raises(SourceError, match="counts to 9-1"):
        read(parse(HEAD + "input z : [n] labels(9)\nR[i] = X[z[i], 0]"))


def test_a_value_of_rank_zero_reads_in_index_notation():
    program = read(parse(HEAD + "s = sum(w)\nR[i] = w[i] / s"))
    np.testing.assert_allclose(evaluate(program, DATA)["R"], w / w.sum())
    assert program.equations[0].body.op == "sum"
    assert program.tensor("s").axes == ()
    assert Num(0) not in program.equations[1].body.args
