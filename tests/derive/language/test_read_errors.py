"""Mistakes: what is said, where it points, and what is proposed (§2, §3, §4, §6, §7)."""

import pytest

from derive.errors import NotSupportedYet, SourceError
from derive.language.parse import parse
from derive.language.read import read

HEAD = """dims n = 5, m = 3, k = 7
batch b
input X : [n, m]
input Y : [m, k]
input S : [n, n]
input v : [m]
input w : [n]
input a
"""
LINE = 9

# text: (message, hint, the marked text)
REFUSED = {
    # names
    "R = softmx(v)": ("unknown function softmx", "did you mean softmax?", "softmx(v)"),
    "R = X @ Z": ("unknown name Z", None, "Z"),
    "Weights = v\nR = weights": ("unknown name weights", "did you mean Weights?", "weights"),
    "R = X\nR = Y": ("R is defined twice: first on line 9 and again on line 10", "another name", "R"),
    "input X : [n]": ("X is defined twice: first on line 3 and again on line 9", None, None),
    "dims m = 4": ("m is defined twice: first on line 1", None, None),
    "R = Q + 1\nQ = v": ("Q is used before its definition on line 10", "move the definition up", "Q"),
    "R = Q + 1\nQ = R + 1": ("Q is defined by way of itself: Q -> R -> Q", None, "Q"),
    "R = R + 1": ("R is defined by way of itself: R -> R", None, "R"),
    "R = a(v)": ("unknown function a", "a * (…)", "a(v)"),
    # element-wise shapes
    "R = X + Y": ("the axes of X [n, m] + Y [m, k] do not match", None, "X + Y"),
    "R = X * w": ("the axes of X [n, m] * w [n] do not match", "X * col(w)", "X * w"),
    "R = w + X": ("the axes of w [n] + X [n, m] do not match", "col(w) + X", "w + X"),
    "R = v * w": ("v [m] * w [n]", "v @ w'", "v * w"),
    "R = X + X'": ("the axes of X [n, m] + X' [m, n] do not match", "transpose", "X + X'"),
    "R = S - max(S, axis=1)": ("is ambiguous", "col(v)", "S - max(S, axis=1)"),
    "R = S * w": ("S [n, n] * w [n] is ambiguous", "write col(w), one number a row, or w'", "S * w"),
    "R = w - col(w)": ("is ambiguous", "w'", "w - col(w)"),
    "R = w - w'": ("a vector against a row", "col(w) - w'", "w - w'"),
    # matrices
    "R = X @ X": ("inner axes differ: X [n, m] @ X [n, m]", "X @ X'", "X @ X"),
    "R = Y @ X": ("inner axes differ: Y [m, k] @ X [n, m]", "swap them: X @ Y", "Y @ X"),
    "R = S @ X'": ("inner axes differ: S [n, n] @ X' [m, n]", "transpose X': S @ X", "S @ X'"),
    "R = (v + v) * w": ("(v + v) [m] * w [n]", "(v + v) @ w'", None),
    "R = X @ (2*X)": ("inner axes differ: X [n, m] @ (2*X) [n, m]", "X @ (2*X)'", None),
    "R = v @ w": ("inner axes differ: v [m] @ w [n]", "v @ w'", "v @ w"),
    "R = a @ X": ("a is a number", "write *", "a @ X"),
    "R = X @ v'": ("a row stands on the right of a vector only", "X @ v", "X @ v'"),
    "R = X * X @ Y": ("directly left of @", "parentheses", "X * X @ Y"),
    "R = X @ Y * 2 / X @ Y": ("directly left of @", None, "X @ Y * 2 / X @ Y"),
    "R = a'": ("a is a number", None, None),
    "R = S^-1": ("S^-1 of a square matrix is refused", "inv(S)", "S^-1"),
    "R = ((9^300)^9)^9": ("is beyond float64", None, "(9^300)^9"),
    "R = a * 1e300 * 1e300": ("beyond float64", None, None),
    "input Q : [(10^9)^9]": ("beyond any array", None, None),
    "R = " + "softmax(" * 20 + "S" + ", axis=0)" * 20: (
        "too large when written in indices",
        "name its inner parts",
        None,
    ),
    "R = a / 0": ("division by zero", None, "0"),
    # axes and arguments
    "R = sum(X, axis=2)": ("there is no axis 2 in X [n, m]", "0 to 1", "2"),
    "R = sum(X, axis=k)": ("X [n, m] has no axis k", None, "k"),
    "R = sum(S, axis=n)": ("has the axis n more than once", "axis=0 or axis=1", "n"),
    "R = sum(X, 1)": ("sum takes 1 argument, not 2", "axis=", "1"),
    "R = sum(X, dim=1)": ("sum has no argument dim", "sum(x, axis=…)", None),
    "R = softmax(X)": ("softmax of X [n, m] needs axis=", "axis=m", "softmax(X)"),
    "R = softmax(a)": ("a number", None, None),
    "R = exp()": ("exp needs x", "exp(x)", "exp()"),
    "R = exp(a, a)": ("exp takes 1 argument, not 2", None, None),
    "R = leaky_relu(v, b=1)": ("leaky_relu has no argument b", None, None),
    "R = leaky_relu(v, 1, a=1)": ("leaky_relu gets a twice", None, None),
    "R = trace(X)": ("trace takes a square matrix", None, None),
    "R = col(X)": ("col takes a vector", None, None),
    "R = [v, w]": ("stacks equal shapes: v [m] and w [n] differ", None, None),
    "R = mse(v, w)": ("mse compares v [m] with w [n]", "target comes first", None),
    "R = mse(Y, Y')": ("the axes differ", "transpose", None),
    "R = X[5]": ("the place 5 lies, past axis 0 of X [n, m]", "0 to n-1", "5"),
    "R = X[-1]": ("before the start", "the last is n-1", "-1"),
    "R = X[0, 0, 0]": ("X [n, m] has 2 axes, and 3 places are given", None, None),
    "R = w[2:2]": ("the slice 2:2 is empty", None, None),
    "R = w[0:6]": ("the slice 0:6 ends, past axis 0 of w [n]", None, None),
    # extents
    "dims q = 2.5": ("2.5 is not an integer", None, "2.5"),
    "dims q = n/2": ("not divided", None, None),
    "dims q = 0": ("the extent q is 0", None, None),
    "dims q = n-5": ("the extent q is 0", None, None),
    "dims q = v": ("v is a tensor, not an extent", None, "v"),
    "input Q : [n, r]": ("unknown name r", None, "r"),
    "input Q : [pi]": ("pi is not an integer", None, "pi"),
    # declarations
    "input Q : [n] one_hott": ("unknown property one_hott", "one_hot", None),
    "input Q : [b] one_hot": ("speaks of an axis of classes", "labels(c)", None),
    "input Q : [n, m] symmetric": ("needs a square matrix", None, None),
    "input Q : [n, m] one_hot one_hot": ("one_hot stands twice", None, None),
    "input Q : [b] labels": ("labels needs classes", None, None),
    "param Q : [n, n] symmetric": ("until constrained gradients exist", None, None),
    "param Q : [b, n]": ("has the batch axis b", None, None),
    "input Q : [n] ~ zeros()": ("an initializer is for parameters", None, None),
    "param Q : [n] ~ he_norml()": ("unknown initializer he_norml", "he_normal", None),
    "param Q : [n] ~ normal(sd=1)": ("normal has no argument sd", None, None),
    "param Q : [n] ~ constant()": ("constant needs c", None, None),
    "param Q : [n] ~ constant(a)": ("a is not known when the parameter is made", "dims and constants", "a"),
    "param Q : [n] ~ constant(1/b)": ("is not known when the parameter is made", None, "1/b"),
    "init f(z) = z": ("z is given in an initializer", None, None),
    "init f(a) = a*x": ("unknown name x", None, "x"),
    "init f() = sum(z)": ("every name is a single number", None, "sum(z)"),
    "init f() = z\ninit f() = u": ("the initializer f is defined twice", None, None),
    "noise Q : [n] ~ f()\ninit f() = z*u": ("unknown initializer f", None, None),
    "param Q in 2..1": ("the bounds 2..1 hold nothing", None, None),
    "const q = a + 1": ("a constant is a number", "drop the word const", None),
    "const q : [2] = [1, 2, 3]": ("declared [2], and the list is [3]", None, None),
    "const q = [[1], [2, 3]]": ("differ in length", None, None),
    "fn f(x) = x * a": ("unknown name a", None, "a"),
    "fn f(x) = f(x - 1)": ("f calls itself", None, None),
    "fn f(x, x) = x": ("stands twice", None, None),
    "fn exp(x) = x": ("exp is a function of the language", None, None),
    "fn f(x) = x\nfn f(x) = 2*x": ("the function f is defined twice", None, None),
    # the rest
    "minimize X": ("minimize takes a number, and this is X [n, m]", "mean(X)", "X"),
    "minimize a\nminimize a": ("a model has one minimize; the first is on line 9", None, None),
    "batch q": ("a model has one batch", None, None),
    "optimizer adan()": ("unknown optimizer adan", "adam", "adan()"),
    "optimizer adam(rate=1)": ("adam has no argument rate", None, None),
    "option relu_at_zero = 1": ("unknown option relu_at_zero", "relu_at_0", None),
    "option relu_at_0 = 2": ("relu_at_0 is 0 or 1, not 2", None, None),
    "output R": ("unknown name R", None, "R"),
    "output n": ("n is no tensor", None, None),
    "output X, X": ("the output X stands twice", None, None),
}


@pytest.mark.parametrize("lines", REFUSED)
def test_refused(lines):
    with pytest.raises(SourceError) as caught:
        read(parse(HEAD + lines, "net.gc"))
    error = caught.value
    assert not isinstance(error, NotSupportedYet)
    message, hint, marked = REFUSED[lines]
    assert message in error.message
    assert hint is None or hint in (error.hint or "")
    span = error.span
    assert span is not None
    assert LINE <= span.line <= LINE + lines.count("\n")
    if marked is not None:
        assert span.source.line(span.line)[span.column - 1 : span.end_column - 1] == marked


@pytest.mark.parametrize(
    "lines",
    [
        "init f() = z*u\nnoise Q : [n] ~ f()",
    ],
)
def test_not_supported_yet_names_the_construct(lines):
    with pytest.raises(NotSupportedYet, match="not supported yet") as caught:
        read(parse(HEAD + lines))
    assert caught.value.span is not None


def test_the_message_shows_file_line_and_caret():
    with pytest.raises(SourceError) as caught:
        read(parse(HEAD + "R = X @ X", "net.gc"))
    lines = str(caught.value).splitlines()
    assert lines[0] == "net.gc:9:5: error: inner axes differ: X [n, m] @ X [n, m]"
    assert lines[2] == "      |     ^^^^^"
    assert lines[3] == "  hint: transpose X: X @ X'"


def test_two_dims_of_one_size_do_not_match():
    with pytest.raises(SourceError, match="do not match"):
        read(parse("dims p = 3, q = 3\ninput x : [p]\ninput y : [q]\nz = x + y"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("R = concat(v)", "two tensors or more"),
        ("R = concat(a, b)", "not numbers"),
        ("R = concat(X, X)", "needs axis="),
        ("R = concat(X, v, axis=0)", "needs the other axes equal"),
    ],
)
def test_a_concatenation_that_does_not_fit(line, message):
    text = f"dims n = 3, m = 2\ninput a\ninput b\ninput v : [n]\ninput X : [n, m]\n{line}\n"
    with pytest.raises(SourceError, match=message) as caught:
        read(parse(text))
    assert caught.value.span.line == 6


def test_labels_count_classes_not_samples():
    with pytest.raises(SourceError, match="known when the code is built"):
        read(parse("dims a = 2\nbatch n\ntarget y : [a] labels(n)\n"))
