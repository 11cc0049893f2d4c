"""Table 003: two-layer backpropagation by hand, for one sample, samples in columns, samples in rows.

`BACKWARD` holds the notes' lines of each layout; a test proves them, and the last tests hold the layouts against each
other and against the emitted modules.
"""

from __future__ import annotations

import numpy as np
import pytest

import codegen
import derive
from codegen.compiler import build
from derive.claims import PROVED, verify_formulas
from derive.evaluate import evaluate
from derive.notation import Notation

REGRESSION = """dims m = 3, d = 5
input x : [d]
target y : [1]
param W1 : [m, d]
param b1 : [m]
param W2 : [1, m]
param b2 : [1]
z = W1 @ x + b1
a = relu(z)
o = W2 @ a + b2
minimize (y - o)^2 / 2
"""
SAMPLE = """dims m = 3, d = 5, c = 7
input x : [d]
target {target}
param W1 : [m, d]
param b1 : [m]
param W2 : [c, m]
param b2 : [c]
z = W1 @ x + b1
a = relu(z)
s = W2 @ a + b2
p = softmax(s)
"""
ONE_SAMPLE = SAMPLE.format(target="y : [c] one_hot") + "minimize -sum(y * log(p))\n"
COLUMNS = """dims m = 3, d = 5, c = 7
batch n
input X : [d, n]
target Y : [c, n] one_hot
param W1 : [m, d]
param b1 : [m]
param W2 : [c, m]
param b2 : [c]
Z = W1 @ X + col(b1)
A = relu(Z)
S = W2 @ A + col(b2)
P = softmax(S, axis=0)
minimize -sum(Y * log(P)) / n
"""
ROWS = """dims m = 3, d = 5, c = 7
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W1 : [d, m]
param b1 : [m]
param W2 : [m, c]
param b2 : [c]
Z = X @ W1 + b1
A = relu(Z)
S = A @ W2 + b2
P = softmax(S, axis=1)
minimize -sum(Y * log(P)) / n
"""
BACKWARD = {
    ONE_SAMPLE: """ds = p - y
dW2 = ds @ a'
db2 = ds
da = W2' @ ds
dz = da * (z > 0)
dW1 = dz @ x'
db1 = dz""",
    COLUMNS: """dS = (P - Y) / n
dW2 = dS @ A'
db2 = sum(dS, axis=1)
dA = W2' @ dS
dZ = dA * (Z > 0)
dW1 = dZ @ X'
db1 = sum(dZ, axis=1)""",
    ROWS: """dS = (P - Y) / n
dW2 = A' @ dS
db2 = sum(dS, axis=0)
dA = dS @ W2'
dZ = dA * (Z > 0)
dW1 = X' @ dZ
db1 = sum(dZ, axis=0)""",
}
WITH_ONES = {  # b 1ₙᵀ and δ 1ₙ, where the models above repeat and sum
    COLUMNS: COLUMNS.replace("Z = ", "u[i:n] = 1\nZ = ").replace("col(b1)", "b1 @ u'").replace("col(b2)", "b2 @ u'"),
    ROWS: ROWS.replace("Z = ", "u[i:n] = 1\nZ = ").replace("+ b1", "+ u @ b1'").replace("+ b2", "+ u @ b2'"),
}


def test_row_3_1_general_chain_rule(notes):
    row = notes(
        "dims p = 5, k = 3\ninput theta : [p]\ninput M : [k, p]\n"
        "g[i] = sum[j] sin(M[i, j] * theta[j])\nJ = log(sum(exp(g))) + g @ g\n"
    )
    row.chain("J", "g", "theta")
    # Named functions of it, each with its own path: the sum over the paths.
    row = notes("input t\ng1 = t^2\ng2 = sin(t)\ng3 = exp(t)\nminimize g1 * g2 + g2 * g3^2\n")
    row.backward("dg1 = g2\ndg2 = g1 + g3^2\ndg3 = 2 * g2 * g3\ndt = dg1 * 2 * t + dg2 * cos(t) + dg3 * exp(t)")


def test_row_3_2_one_sample(notes):
    row = notes(REGRESSION)
    found = row.backward(
        "do = o - y\ndW2 = do @ a'\ndb2 = do\nda = W2' @ do\ndz = da * (z > 0)\ndW1 = dz @ x'\ndb1 = dz"
    )
    under = shapes(found)
    assert under["dW1"] == "m×d = m×1 · 1×d"
    assert under["dW2"] == "1×m = 1×m"
    assert under["dz"] == "m×1 = m×1 m×1"
    # The same with every factor written out down to the data, and by the elements of W1 and W2.
    row.gradient("W2", "dW2 = (o - y) @ a'")
    row.gradient("W1", "dW1[i, j] = (o[0] - y[0]) * W2[0, i] * (z[i] > 0) * x[j]")
    row.gradient("W2", "dW2[k, i] = (o[k] - y[k]) * a[i]")


def test_row_3_3_classes(notes):
    row = notes(ONE_SAMPLE)
    row.backward(BACKWARD[ONE_SAMPLE])
    # By the number of the class: p_k − 1 for k = y, p_k elsewhere (the notes have the cases swapped).
    for loss in ("cross_entropy(t, p)", "-(sum[k] (k == t) * log(p[k]))"):
        labels = notes(f"{SAMPLE.format(target='t labels(c)')}minimize {loss}\n")
        labels.gradient("s", "ds[k] = p[k] - 1 if k == t else p[k]")
        labels.backward(BACKWARD[ONE_SAMPLE].replace("ds = p - y", "ds[k] = p[k] - (k == t)"))
        with pytest.raises(AssertionError):
            labels.gradient("s", "ds[k] = p[k] if k == t else p[k] - 1")


def test_row_3_4_transposed_weights(notes):
    row = notes(ONE_SAMPLE)
    row.backward("ds = p - y\nda[i] = sum[e] ds[e] * W2[e, i]")
    assert row.backward("ds = p - y\nda = W2' @ ds")["a"].matrix == "da = W2ᵀ ds"


@pytest.mark.parametrize("layout", [COLUMNS, ROWS], ids=["columns", "rows"])
def test_rows_3_6_3_7_and_3_9_batches(notes, layout):
    found = notes(layout).backward(BACKWARD[layout])
    under = shapes(found)
    column = layout is COLUMNS
    assert under["dW1"] == ("m×d = m×n · n×d" if column else "d×m = d×n · n×m")
    assert under["dA"] == ("m×n = m×c · c×n" if column else "n×m = n×c · c×m")
    assert under["db1"] == ("m×1 = m×n · n×1" if column else "1×m = 1×n · n×m")


@pytest.mark.parametrize("layout", [COLUMNS, ROWS], ids=["columns", "rows"])
def test_rows_3_6_3_7_and_3_9_vectors_of_ones(notes, layout):
    row = notes(WITH_ONES[layout])
    lines = BACKWARD[layout]
    for name in ("S", "Z"):  # δ 1ₙ in columns; 1ₙᵀ δ, as a vector, in rows
        by_ones = f"d{name} @ u" if layout is COLUMNS else f"d{name}' @ u"
        lines = lines.replace(f"sum(d{name}, axis={int(layout is COLUMNS)})", by_ones)
    row.backward(lines)
    # The model without the vector of ones computes the same, and is printed with it.
    plain = derive.parse(layout)
    values = {k: v for k, v in row.values.items() if k != "u"}
    np.testing.assert_allclose(evaluate(plain.program, values)["Z"], evaluate(row.program, row.values)["Z"])
    exact = Notation(plain.program, exact=True)
    assert exact.matrix(plain.program.equations[0]) == (
        "Z = W1 X + b1 1ₙᵀ" if layout is COLUMNS else "Z = X W1 + 1ₙ b1ᵀ"
    )


def test_rows_3_2_to_3_9_the_three_layouts_are_equal(notes):
    """One sample at a time, columns and rows: the same numbers, transposed where the layout is."""
    one, columns, rows = (notes(text) for text in (ONE_SAMPLE, COLUMNS, ROWS))
    values = columns.values
    turned = {k: v.T if v.ndim == 2 else v for k, v in values.items()}
    names = ("W1", "b1", "W2", "b2")
    samples = values["X"].shape[1]
    by_column, by_row = gradients(columns, names, values), gradients(rows, names, turned)
    each = [
        gradients(one, names, {**{k: values[k] for k in names}, "x": values["X"][:, i], "y": values["Y"][:, i]})
        for i in range(samples)
    ]
    for name in names:
        np.testing.assert_allclose(np.mean([g[name] for g in each], axis=0), by_column[name], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(by_row[name].T, by_column[name], rtol=1e-12, atol=1e-14)
    for name in ("Z", "A", "S"):  # a cotangent of the batch has those of the samples side by side, each over n
        side_by_side = np.stack(
            [gradients(one, (name.lower(),), sample(values, i))[name.lower()] for i in range(samples)]
        )
        np.testing.assert_allclose(side_by_side.T / samples, gradients(columns, (name,), values)[name], atol=1e-14)
        np.testing.assert_allclose(side_by_side / samples, gradients(rows, (name,), turned)[name], atol=1e-14)


@pytest.mark.parametrize("layout", [ONE_SAMPLE, COLUMNS, ROWS], ids=["sample", "columns", "rows"])
def test_rows_3_5_and_3_8_emitted_as_an_algorithm(notes, layout):
    row = notes(layout)
    module = codegen.compile(row.model)
    names = ("W1", "b1", "W2", "b2")
    data = {k: v for k, v in row.values.items() if k not in names}
    _, found = module.loss_and_grad({k: row.values[k] for k in names}, **data)
    known = evaluate(row.program, row.values)
    z, a, p, x, y = (known[k if layout is ONE_SAMPLE else k.upper()] for k in "zapxy")
    if layout is ONE_SAMPLE:  # algorithm 3 as the notes have it, on columns
        z, a, p, x, y = (v[:, None] for v in (z, a, p, x, y))
    if layout is ROWS:
        z, a, p, x, y = (v.T for v in (z, a, p, x, y))
    w2 = row.values["W2"].T if layout is ROWS else row.values["W2"]
    delta2 = (p - y) / y.shape[1]
    delta1 = (w2.T @ delta2) * (z > 0)
    want = {"W2": delta2 @ a.T, "b2": delta2.sum(1), "W1": delta1 @ x.T, "b1": delta1.sum(1)}
    for name in names:
        value = want[name].T if layout is ROWS else want[name]
        np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-14)
    # Every line of the algorithm stands in the module as a comment, and is proved as it stands there.
    comments = [line for line in formulas_in(build(row.program)) if line.startswith("d")]
    assert {line.split(" = ")[0] for line in comments} == {s.split(" = ")[0] for s in BACKWARD[layout].splitlines()}
    assert {v.status for v in verify_formulas(row.program, comments)} == {PROVED}


def sample(values: dict[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    """One column of a batch, for the model of one sample."""
    return {**{k: v for k, v in values.items() if k not in "XY"}, "x": values["X"][:, i], "y": values["Y"][:, i]}


def gradients(row, names, values):
    found = row.model.gradient(*names)
    known = evaluate(found.program, values)
    return {n: known[found[n].name] for n in names}


def shapes(found: derive.Gradient) -> dict[str, str]:
    """What stands under each formula of a gradient."""
    notation = Notation(found.program, shapes=True)
    return {f.name: " ".join(notation.matrix(f.equation).splitlines()[1].split()) for f in found.formulas}


def formulas_in(source: str) -> list[str]:
    """The formulas above the statements of the emitted gradient."""
    body = source[source.rindex("def _loss_and_grad") :]
    lines = [line.strip()[2:].split("    (line")[0] for line in body.splitlines() if line.strip().startswith("# ")]
    return list(dict.fromkeys(lines))
