"""Textbook formulas as text: derived networks in both layouts, one sample, δ-notation, quadratic forms."""

from __future__ import annotations

import json

import numpy as np
import pytest

import derive
from derive.evaluate import evaluate, extent
from derive.form_values import evaluate_form
from derive.language.parse import parse
from derive.language.read import read
from derive.notation import Notation, formula, formulas, source_line, to_json
from derive.pipeline import gradient
from derive.program import Program, reads

ROWS = """model rows
dims d = 7, h = 5, c = 3
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W1 : [d, h]
param b1 : [h]
param W2 : [h, c]
param b2 : [c]
Z1 = X @ W1 + b1
A1 = {f}(Z1)
Z2 = A1 @ W2 + b2
P = softmax(Z2, axis=1)
minimize cross_entropy(Y, P)
output P
"""

COLUMNS = """model columns
dims d = 7, h = 5, c = 3
batch n
input X : [d, n]
target Y : [c, n] one_hot
param W1 : [h, d]
param b1 : [h, 1]
param W2 : [c, h]
param b2 : [c, 1]
Z1 = W1 @ X + b1
A1 = relu(Z1)
Z2 = W2 @ A1 + b2
P = softmax(Z2, axis=0)
minimize cross_entropy(Y, P)
"""

SAMPLE = """model sample
dims d = 7, h = 5
input x : [d]
target y : [h]
param W : [h, d]
param b : [h]
z = W @ x + b
a = sigmoid(z)
minimize sum((y - a)^2) / 2
"""

FORMS = """model forms
dims k = 5
param x : [k]
param A : [k, k]
minimize x @ A @ x + trace(A)
"""


def derived(text: str) -> Program:
    program = read(parse(text))
    return gradient(program, program.parameters).formulas


def table(text: str, form: str = "matrix", **options) -> dict[str, str]:
    notation = Notation(derived(text), **options)
    return dict(f.split(" = ", 1) for _, f in notation.formulas(form))


def expect(found: dict[str, str], wanted: dict[str, str]) -> None:
    assert {k: found.get(k) for k in wanted} == wanted


def test_rows():
    expect(
        table(ROWS.format(f="relu")),
        {
            "Z1": "X W1 + b1",
            "A1": "relu(Z1)",
            "loss": "−(1/n) Σ(Y ⊙ log(P))",
            "dZ2": "(P − Y)/n",
            "dW2": "A1ᵀ dZ2",
            "db2": "1ᵀ dZ2",
            "dA1": "dZ2 W2ᵀ",
            "dZ1": "dA1 ⊙ relu′(Z1)",
            "dW1": "Xᵀ dZ1",
            "db1": "1ᵀ dZ1",
        },
    )


def test_exact_rows():
    found = table(ROWS.format(f="relu"), exact=True)
    expect(found, {"Z1": "X W1 + 1ₙ b1ᵀ", "db1": "1ₙᵀ dZ1", "dZ2": "(P − Y)/n"})


def test_columns():
    expect(
        table(COLUMNS),
        {
            "Z1": "W1 X + b1",
            "dZ2": "(P − Y)/n",
            "dW2": "dZ2 A1ᵀ",
            "db2": "dZ2 1",
            "dA1": "W2ᵀ dZ2",
            "dZ1": "dA1 ⊙ relu′(Z1)",
            "dW1": "dZ1 Xᵀ",
            "db1": "dZ1 1",
        },
    )


def test_one_sample():
    found = table(SAMPLE)
    expect(found, {"z": "W x + b", "dW": "dz xᵀ", "db": "dz"})
    assert found["dz"].endswith("a ⊙ (1 − a)") or "⊙ (1 − a)" in found["dz"]


def test_short_derivatives_keep_their_form():
    expect(table(ROWS.format(f="sigmoid")), {"dZ1": "dA1 ⊙ A1 ⊙ (1 − A1)"})
    expect(table(ROWS.format(f="leaky_relu")), {"dZ1": "dA1 ⊙ leaky_relu′(Z1)"})


def test_deltas():
    expect(
        table(ROWS.format(f="relu"), deltas=True),
        {"δ²": "(P − Y)/n", "δ¹": "(δ² W2ᵀ) ⊙ relu′(Z1)", "dW2": "A1ᵀ δ²", "dW1": "Xᵀ δ¹", "db1": "1ᵀ δ¹"},
    )
    expect(
        table(COLUMNS, deltas=True),
        {"δ¹": "(W2ᵀ δ²) ⊙ relu′(Z1)", "dW2": "δ² A1ᵀ", "dW1": "δ¹ Xᵀ"},
    )


def test_deltas_in_latex():
    expect(
        table(ROWS.format(f="relu"), "latex", deltas=True),
        {
            r"\delta^{1}": r"\left(\delta^{2}\,W_{2}^{\top}\right) \odot \operatorname{relu}'\left(Z_{1}\right)",
            r"\bar{W}_{2}": r"A_{1}^{\top}\,\delta^{2}",
        },
    )


def test_index_forms():
    expect(
        table(ROWS.format(f="relu"), "index"),
        {
            "Z1[n,h]": "Σ_d X[n,d] W1[d,h] + b1[h]",
            "dZ2[n,c]": "(P[n,c] − Y[n,c])/n",
            "dW1[d,h]": "Σ_n X[n,d] dZ1[n,h]",
            "dA1[n,h]": "Σ_c dZ2[n,c] W2[h,c]",
            "dZ1[n,h]": "dA1[n,h] 1[Z1[n,h] > 0]",
            "db1[h]": "Σ_n dZ1[n,h]",
            "loss": "−(1/n) Σ_{n,c} Y[n,c] log(P[n,c])",
        },
    )
    expect(table(COLUMNS, "index"), {"db1[h,0]": "Σ_n dZ1[h,n]"})


def test_latex_index():
    found = table(ROWS.format(f="relu"), "latex-index")
    expect(found, {r"[\bar{W}_{1}]_{d,h}": r"\sum_{n} X_{n,d}\,[\bar{Z}_{1}]_{n,h}"})


def test_partial_notation():
    found = table(ROWS.format(f="relu"), "latex", cotangents="partial")
    expect(
        found,
        {
            r"\frac{\partial \mathrm{loss}}{\partial W_{1}}": (
                r"X^{\top}\,\frac{\partial \mathrm{loss}}{\partial Z_{1}}"
            )
        },
    )


def test_quadratic_form():
    found = table(FORMS)
    expect(found, {"dA": "x xᵀ + I"})
    assert "Aᵀ x" in "".join(found.values())


STRUCTURES = """dims h = 3, k = 2
param A : [h, h]
param B : [h, k]
param v : [h*k]
param x : [h]
L = tril(A)
U = triu(A)
y = cumsum(L @ x)
C = cumsum(B, axis=0)
D = A @ diag(x) @ B
S[i, j] = A[i, j]*x[j] if i < j else x[i]
R = reshape(v, [h, k])
q = diag(A @ A')
minimize sum(y * q) + sum(C * D) + sum(S * U) + sum(D * R) + v @ vec(B)
"""


@pytest.mark.parametrize(
    "text", [ROWS.format(f="gelu"), ROWS.format(f="leaky_relu"), COLUMNS, SAMPLE, FORMS, STRUCTURES]
)
def test_python_text_runs(text):
    """The NumPy text of a whole program, run line by line, gives what the interpreter gives."""
    program = derived(text)
    rng = np.random.default_rng(1)
    sizes = {d.name: d.default for d in program.dims} | {"n": 11}
    values = {}
    for t in program.declared:
        shape = tuple(extent(a, sizes) for a in t.axes)
        values[t.name] = rng.normal(size=shape)
        if t.property("one_hot"):
            axis = t.property("one_hot").axis
            values[t.name] = np.moveaxis(np.eye(shape[axis])[rng.integers(0, shape[axis], 11)], -1, axis)
    want = evaluate(program, values, sizes)
    import scipy.special

    space = {"np": np, "scipy": scipy, **sizes, **values}
    for (_, line), equation in zip(formulas(program, "python"), program.equations, strict=True):
        exec(line, space)
        if line.startswith("#"):  # it has no matrix form
            space[equation.out.name] = want[equation.out.name]
    for name, array in want.items():
        np.testing.assert_allclose(space[name], array, rtol=1e-10, atol=1e-12, err_msg=name)
        assert np.shape(space[name]) == np.shape(array), name


def test_the_gradient_of_a_cholesky_factor_is_murrays():
    """Differentiation of the Cholesky decomposition (2016), eq. 9: ½ L⁻ᵀ (P + Pᵀ) L⁻¹ with P = Φ(Lᵀ L̄)."""
    model = derive.parse("dims h = 3\nparam A : [h, h]\ninput B : [h, h]\nL = cholesky(A)\nminimize sum(B * L)")
    gradient_by_a = model.gradient("A")
    shown = gradient_by_a["A"]
    assert shown.matrix == "dA = (1/2) L⁻ᵀ (triu(Bᵀ L, 1) + tril(Lᵀ B)) L⁻¹"
    rng = np.random.default_rng(2)
    root = rng.normal(size=(3, 3))
    values = {"A": root @ root.T + 3 * np.eye(3), "B": rng.normal(size=(3, 3))}
    found = evaluate(gradient_by_a.program, values)
    form = shown.notation.form(shown.equation)
    assert form is not None
    arrays = {t: found.get(t.name, values.get(t.name)) for t in reads(shown.equation.body)}
    value = evaluate_form(form, shown.equation.letters, arrays, {"h": 3})
    np.testing.assert_allclose(value, found["dA"], rtol=1e-10, atol=1e-12)


def test_json():
    program = derived(ROWS.format(f="relu"))
    found = json.loads(json.dumps(to_json(program)))
    assert (found["schema"], found["version"], found["model"]) == ("gradc-formulas", 1, "rows")
    entry = next(e for e in found["equations"] if e["name"] == "dW1")
    assert entry["matrix"] == "dW1 = Xᵀ dZ1"
    assert entry["shape"] == ["d", "h"]
    assert entry["of"] == "W1"
    assert entry["python"] == "dW1 = X.T @ dZ1"
    assert found["gradients"]["W1"] == "dW1"
    assert found["dims"]["d"] == 7


def test_public_functions():
    program = derived(ROWS.format(f="relu"))
    equation = next(e for e in program.equations if e.out.name == "dW1")
    assert formula(equation, program) == "dW1 = Xᵀ dZ1"
    assert formula(equation, program, "python") == "dW1 = X.T @ dZ1"
    with pytest.raises(ValueError, match="matrix, index"):
        formula(equation, program, "braille")


def test_source_line():
    program = read(parse(ROWS.format(f="relu")))
    lines = [source_line(e) for e in program.equations if source_line(e)]
    assert "Z1 = X @ W1 + b1" in lines


def test_no_matrix_form_falls_back():
    text = """model pairs
dims k = 5, m = 11
input a : [k, m]
y[i,j,l] = a[i,l] - a[j,l]
minimize sum(y^2)
"""
    program = read(parse(text))
    equation = next(e for e in program.equations if e.out.name == "y")
    notation = Notation(program)
    assert notation.matrix(equation) is None
    assert notation.python(equation) is None
    assert notation.formula(equation) == notation.index(equation)
    assert notation.index(equation) == "y[i,j,l] = a[i,l] − a[j,l]"
    assert notation.formula(equation, "python").startswith("# y[i,j,l]")
