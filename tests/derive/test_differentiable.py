"""What a person asks for: textbook results as they are printed, second derivatives, Jacobians, kinks, determinism."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.errors import GradcError
from derive.evaluate import evaluate

DENSE_ROWS = """dims d=5, h=3, c=2
batch n
input X:[n,d]
target Y:[n,c] one_hot
param W1:[d,h]
param b1:[h]
param W2:[h,c]
param b2:[c]
Z1 = X @ W1 + b1
A1 = {f}(Z1)
Z2 = A1 @ W2 + b2
P = softmax(Z2, axis=1)
minimize cross_entropy(Y, P)
"""
DENSE_COLUMNS = """dims d=5, h=3, c=2
batch n
input X:[d,n]
target Y:[c,n] one_hot(0)
param W1:[h,d]
param b1:[h,1]
param W2:[c,h]
param b2:[c,1]
Z1 = W1 @ X + b1
A1 = sigmoid(Z1)
Z2 = W2 @ A1 + b2
P = softmax(Z2, axis=0)
minimize cross_entropy(Y, P)
"""
ONE_SAMPLE = """dims d=5, h=3, c=2
input x:[d]
target y:[c] one_hot
param W1:[h,d]
param b1:[h]
param W2:[c,h]
param b2:[c]
z1 = W1 @ x + b1
a1 = tanh(z1)
z2 = W2 @ a1 + b2
p = softmax(z2)
minimize -sum(y * log(p))
"""
BATCH_NORM = """dims d=5
batch n
input X:[n,d]
input G:[n,d]
param g:[d]
param b:[d]
mu = mean(X, axis=0)
v = mean((X - mu)^2, axis=0)
H = (X - mu) / sqrt(v + 1e-5)
O = g * H + b
minimize sum(G * O)
"""
ATTENTION = """dims s=5, t=7, k=3, v=2
param Q:[s,k]
param K:[t,k]
param V:[t,v]
input G:[s,v]
S = Q @ K'
P = softmax(S, axis=1)
O = P @ V
minimize sum(G * O)
"""
LINEAR = "dims d=3\nbatch n\ninput X:[n,d]\ntarget y:[n]\nparam w:[d]\nparam b\n"

TEXTBOOK: dict[str, tuple[str, tuple[str, ...], list[str]]] = {
    "dense, rows, relu": (
        DENSE_ROWS.format(f="relu"),
        (),
        [
            "dZ2 = (P − Y)/n",
            "dW2 = A1ᵀ dZ2",
            "db2 = 1ᵀ dZ2",
            "dA1 = dZ2 W2ᵀ",
            "dZ1 = dA1 ⊙ relu′(Z1)",
            "dW1 = Xᵀ dZ1",
            "db1 = 1ᵀ dZ1",
        ],
    ),
    "dense, rows, sigmoid": (
        DENSE_ROWS.format(f="sigmoid"),
        ("W1",),
        ["dZ2 = (P − Y)/n", "dA1 = dZ2 W2ᵀ", "dZ1 = dA1 ⊙ A1 ⊙ (1 − A1)", "dW1 = Xᵀ dZ1"],
    ),
    "dense, columns": (
        DENSE_COLUMNS,
        (),
        [
            "dZ2 = (P − Y)/n",
            "dW2 = dZ2 A1ᵀ",
            "db2 = dZ2 1",
            "dA1 = W2ᵀ dZ2",
            "dZ1 = dA1 ⊙ A1 ⊙ (1 − A1)",
            "dW1 = dZ1 Xᵀ",
            "db1 = dZ1 1",
        ],
    ),
    "dense, one sample": (
        ONE_SAMPLE,
        (),
        [
            "dz2 = p − y",
            "dW2 = dz2 a1ᵀ",
            "db2 = dz2",
            "da1 = W2ᵀ dz2",
            "dz1 = da1 ⊙ (1 − a1∘²)",
            "dW1 = dz1 xᵀ",
            "db1 = dz1",
        ],
    ),
    "linear regression": (
        LINEAR + "p = X @ w + b\nminimize sum((p - y)^2) / (2 * n)\n",
        (),
        ["dp = (p − y)/n", "dw = Xᵀ dp", "db = Σ(dp)"],
    ),
    "mean squared error": (
        "dims d=3, c=2\nbatch n\ninput X:[n,d]\ntarget Y:[n,c]\nparam W:[d,c]\nP = X @ W\nminimize mse(Y, P)\n",
        (),
        ["dP = (2/(c n)) (P − Y)", "dW = Xᵀ dP"],
    ),
    "logistic regression": (
        LINEAR.replace("target y:[n]", "target y:[n] binary") + "p = sigmoid(X @ w + b)\nminimize bce(y, p)\n",
        ("w",),
        ["dw = (1/n) Xᵀ (p − y)"],
    ),
    "quadratic form": ("dims d=3\nparam x:[d]\ninput A:[d,d]\nminimize x' @ A @ x\n", (), ["dx = (A + Aᵀ) x"]),
    "quadratic form, symmetric": (
        "dims d=3\nparam x:[d]\ninput A:[d,d] symmetric\nminimize x' @ A @ x / 2\n",
        (),
        ["dx = A x"],
    ),
    "least squares": (
        "dims m=5, d=3\ninput A:[m,d]\ninput b:[m]\nparam x:[d]\nr = A @ x - b\nminimize sum(r^2) / 2\n",
        (),
        ["dx = Aᵀ r"],
    ),
    "trace": ("dims d=5, k=3\nparam A:[d,k]\ninput B:[k,d]\nminimize trace(A @ B)\n", (), ["dA = Bᵀ"]),
    "squared norm": ("dims d=3\nparam x:[d]\nminimize sum(x^2)\n", (), ["dx = 2 x"]),
    "outer product": (
        "dims d=5, k=3\nparam A:[d,k]\ninput u:[d]\ninput v:[k]\nminimize u' @ A @ v\n",
        (),
        ["dA = u vᵀ"],
    ),
    "attention": (
        ATTENTION,
        (),
        [
            "dV = Pᵀ G",
            "dP = G Vᵀ",
            "dS = P ⊙ (dP − (dP ⊙ P) 1 1ᵀ)",
            "dQ = dS K",
            "dK = dSᵀ Q",
        ],
    ),
    "batch norm": (BATCH_NORM, ("g", "b"), ["dg = 1ᵀ (G ⊙ H)", "db = 1ᵀ G"]),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_textbook_results_as_text(name):
    text, wrt, lines = TEXTBOOK[name]
    gradient = derive.parse(text).gradient(*wrt)
    shown = [str(f) for f in gradient.formulas]
    assert [line.split("\n")[0] for line in shown] == lines


@pytest.mark.parametrize("name", TEXTBOOK)
def test_textbook_results_as_numbers(name, numeric):
    text, _, _ = TEXTBOOK[name]
    model = derive.parse(text)
    values = numeric.draw(model.program, 3)
    gradient = model.gradient()
    found = numeric.gradients(gradient.derivation.formulas, values)
    for t in model.program.parameters:
        want = numeric.complex_step(model.program, values, t.name, model.program.objective.name)
        np.testing.assert_allclose(found[t.name], want, rtol=1e-10, atol=1e-13)


def test_batch_norm_by_its_input(numeric):
    model = derive.parse(BATCH_NORM)
    gradient = model.gradient("X")
    lines = [str(f).split("\n")[0] for f in gradient.formulas]
    assert "dH = G ⊙ g" in lines
    assert len(lines) <= 4
    values = numeric.draw(model.program)
    found = numeric.gradients(gradient.derivation.formulas, values)["X"]
    # the closed form: (g/σ)(G − mean G − H·mean(G ⊙ H)), per feature
    X, G, g = values["X"], values["G"], values["g"]
    s = np.sqrt(X.var(0) + 1e-5)
    H = (X - X.mean(0)) / s
    np.testing.assert_allclose(found, g / s * (G - G.mean(0) - H * (G * H).mean(0)), rtol=1e-9, atol=1e-12)


SECOND = {
    "logistic": (
        LINEAR.replace("target y:[n]", "target y:[n] binary") + "p = sigmoid(X @ w + b)\nminimize bce(y, p)\n",
        "w",
        "result = (1/n) Xᵀ diag(p ⊙ (1 − p)) X",
    ),
    "linear": (LINEAR + "p = X @ w + b\nminimize sum((p - y)^2) / (2 * n)\n", "w", "result = (1/n) Xᵀ X"),
    "quadratic": ("dims d=3\nparam x:[d]\ninput A:[d,d]\nminimize x' @ A @ x\n", "x", "result = A + Aᵀ"),
    "squares": ("dims d=3\nparam x:[d]\nminimize sum(x^2)\n", "x", "result = 2 I"),
    "cubes": ("dims d=3\nparam x:[d]\nminimize sum(x^3)\n", "x", "result = 6 diag(x)"),
}


@pytest.mark.parametrize("name", SECOND)
def test_hessians(name, numeric):
    text, x, line = SECOND[name]
    model = derive.parse(text)
    hessian = model.hessian(x)
    assert str(hessian) == line
    assert hessian.matrix == line
    values = numeric.draw(model.program)
    matrix = hessian.result(values)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    raw = model.gradient(x).derivation.raw
    bar = raw.gradients[0][1].name
    for k in range(3):
        moved = values[x].astype(complex)
        moved[k] += 1e-30j
        want = evaluate(raw, {**values, x: moved})[bar].imag / 1e-30
        np.testing.assert_allclose(matrix[:, k], want, atol=1e-12)
    product = model.hvp(x)
    v = np.array([0.3, -1.0, 0.7])
    np.testing.assert_allclose(product.result({**values, product.direction: v}), matrix @ v, atol=1e-12)


def test_the_jacobian_of_a_softmax(numeric):
    model = derive.parse("dims c=3\nparam z:[c]\np = softmax(z)\n")
    jacobian = model.jacobian("p", "z")
    assert jacobian.shape == ("c", "c")
    z = np.array([0.2, -0.4, 1.1])
    p = np.exp(z) / np.exp(z).sum()
    np.testing.assert_allclose(jacobian.result({"z": z}), np.diag(p) - np.outer(p, p), atol=1e-15)
    assert jacobian.matrix is not None
    assert not [f for f in jacobian.derivation.derived if f.out.name == "dE" and f.out.rank > 3]


def test_jacobians_have_the_axes_of_both(numeric):
    model = derive.parse("dims a=2, b=3, c=5\ninput X:[a,b]\nparam W:[b,c]\nY = tanh(X @ W)\n")
    jacobian = model.jacobian("Y", "W")
    assert jacobian.shape == ("a", "c", "b", "c")
    values = numeric.draw(model.program)
    y = np.tanh(values["X"] @ values["W"])
    want = np.einsum("ac,ab,cd->acbd", 1 - y**2, values["X"], np.eye(5))
    np.testing.assert_allclose(jacobian.result(values), want, atol=1e-14)


KINKS = {
    "relu at 0": ("relu(x)", 0.0, 0.0),
    "relu below": ("relu(x)", -1.0, 0.0),
    "abs at 0": ("abs(x)", 0.0, 0.0),
    "sign at 0": ("sign(x)", 0.0, 0.0),
    "leaky at 0": ("leaky_relu(x)", 0.0, 0.01),
    "maximum, tie to the first": ("max(x, 2 * x)", 0.0, 1.0),
    "maximum, tie to the first, turned": ("max(2 * x, x)", 0.0, 2.0),
    "minimum, tie to the first": ("min(x, 2 * x)", 0.0, 1.0),
    "norm at 0": ("norm([x, 0 * x])", 0.0, 0.0),
    "comparison": ("(x >= 0) * 3", 0.0, 0.0),
    "clip at its bound": ("clip(x, 0, 1)", 1.0, None),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks(name):
    text, point, want = KINKS[name]
    derivation = derive.parse(f"param x\nminimize {text}\n").gradient().derivation
    answers = set()
    for program in (derivation.formulas, derivation.stable):
        answers.add(float(evaluate(program, {"x": point})[program.gradients[0][1].name]))
    assert len(answers) == 1
    if want is not None:
        assert answers == {want}


@pytest.mark.parametrize(
    ("option", "want"), [("", 0.0), ("option relu_at_0 = 0\n", 0.0), ("option relu_at_0 = 1\n", 1.0)]
)
def test_relu_at_0_is_an_option(option, want):
    model = derive.parse(f"{option}dims d=3\nparam x:[d]\nminimize sum(relu(x))\n")
    program = model.gradient().derivation.stable
    found = evaluate(program, {"x": np.array([-1.0, 0.0, 1.0])})[program.gradients[0][1].name]
    np.testing.assert_array_equal(found, [0.0, want, 1.0])


def test_ties_of_a_row_maximum_go_to_the_first():
    model = derive.parse("dims d=3\nparam X:[2,d]\nm = max(X, axis=1)\nminimize sum(m)\n")
    derivation = model.gradient().derivation
    x = np.array([[1.0, 2, 2], [3, 3, 3]])
    for program in (derivation.raw, derivation.formulas, derivation.stable):
        np.testing.assert_array_equal(evaluate(program, {"X": x})[program.gradients[0][1].name], [[0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize("x", [[2.0, 3, 5], [0.0, 3, 5], [0.0, 3, 0], [0.0, 0, 0]])
def test_products_at_zeros(x):
    derivation = derive.parse("dims d=3\nparam x:[d]\nminimize prod(x)\n").gradient().derivation
    want = [x[1] * x[2], x[0] * x[2], x[0] * x[1]]
    for program in (derivation.formulas, derivation.stable):
        np.testing.assert_array_equal(evaluate(program, {"x": x})[program.gradients[0][1].name], want)


def test_what_a_gradient_answers():
    model = derive.parse(DENSE_ROWS.format(f="relu"))
    gradient = model.gradient()
    assert list(gradient) == ["W1", "b1", "W2", "b2"]
    assert len(gradient) == 4
    f = gradient["W1"]
    assert (f.name, f.shape, f.matrix, str(f)) == ("dW1", ("d", "h"), "dW1 = Xᵀ dZ1", "dW1 = Xᵀ dZ1")
    assert f.index == "dW1[d,h] = Σ_n X[n,d] dZ1[n,h]"
    assert f.latex() == r"\bar{W}_{1} = X^{\top}\,\bar{Z}_{1}"
    assert list(model.gradient("X", "W2")) == ["X", "W2"]


def test_what_is_refused():
    model = derive.parse(DENSE_ROWS.format(f="relu"))
    with pytest.raises(GradcError, match="no gradient by V; there are W1"):
        model.gradient()["V"]
    with pytest.raises(GradcError, match="no tensor V in the model"):
        model.gradient("V")
    with pytest.raises(GradcError, match="no objective; use jacobian"):
        derive.parse("param x\ny = x^2\n").gradient()
    labels = derive.parse(
        "dims c=3\nparam z:[2,c]\ntarget y:[2] labels(c)\nminimize cross_entropy(y, softmax(z, axis=1))\n"
    )
    with pytest.raises(GradcError, match="not a real variable"):
        labels.gradient("y")
    with pytest.raises(GradcError, match="cannot read"):
        derive.load("no/such/file.gc")


def test_a_derivative_is_a_model_again(numeric):
    model = derive.parse("dims d=3\nparam x:[d]\nminimize sum(x^4)\n")
    third = model.hessian("x").jacobian("result", "x")
    x = np.array([1.0, -2.0, 0.5])
    want = np.zeros((3, 3, 3))
    want[range(3), range(3), range(3)] = 24 * x
    np.testing.assert_allclose(third.result({"x": x}), want)


NORMS_AT_ZERO = {
    "alone": ("minimize norm(x)\n", [0.0, 0, 0]),
    "with its square": ("minimize norm(x) + norm(x)^2\n", [0.0, 0, 0]),
    "in a product": ("minimize norm(x) * sum(tanh(x)) + exp(norm(x))\n", [0.0, 0, 0]),
    "read often": (
        "r = norm(x)\nq = a * r\nu = q * r\nminimize sum(sin(q)) + sum(u^2) + sum(x / (1 + r))\n",
        [1.0, 1, 1],
    ),
}


@pytest.mark.parametrize("name", NORMS_AT_ZERO)
def test_a_norm_at_zero_hands_on_no_infinity(name):
    text, want = NORMS_AT_ZERO[name]
    derivation = derive.parse(f"param x:[3]\ninput a:[3]\n{text}").gradient().derivation
    for program in (derivation.raw, derivation.formulas, derivation.stable):
        found = evaluate(program, {"x": np.zeros(3), "a": np.array([0.3, -1, 2])})
        np.testing.assert_allclose(found[program.gradients[0][1].name], want, atol=1e-15)
