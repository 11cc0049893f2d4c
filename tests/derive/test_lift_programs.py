"""Every equation of derived programs, lifted, has the value that the interpreter gives it."""

from __future__ import annotations

import numpy as np
import pytest

from derive.evaluate import evaluate, extent
from derive.form_values import evaluate_form
from derive.language.parse import parse
from derive.language.read import read
from derive.lift import lift
from derive.pipeline import gradient
from derive.primes import Primes

NET = """model net
dims d = 7, h = 5
batch n
input X : [n, d]
target y : [n]
param W1 : [d, h]
param b1 : [h]
param W2 : [h, h]
param w3 : [h]
A1 = {f}(X @ W1 + b1)
A2 = {g}(A1 @ W2)
p = A2 @ w3
minimize sum((y - p)^2) / (2 * n) + sum(W1^2) / 2
"""

NORMALIZED = """model normalized
dims d = 7
batch n
input X : [n, d]
param g : [d]
param b : [d]
param W : [d, d]
Z = X @ W
m = mean(Z, axis=0)
C = Z - m
v = mean(C^2, axis=0)
H = C / sqrt(v + 1e-3) * g + b
minimize sum(H^3) / n
"""

ATTENTION = """model attention
dims m = 7, d = 5, k = 3
input X : [m, d]
target T : [m, d]
param Q : [d, k]
param K : [d, k]
S = (X @ Q) @ (X @ K)'
P = softmax(S, axis=1)
minimize sum((P @ X - T)^2) / 2
"""


@pytest.mark.parametrize(
    "text",
    [
        NET.format(f="relu", g="sigmoid"),
        NET.format(f="gelu", g="tanh"),
        NET.format(f="leaky_relu", g="softplus"),
        NET.format(f="elu", g="abs"),
        NORMALIZED,
        ATTENTION,
    ],
)
def test_every_equation_of_a_program(text):
    source = read(parse(text))
    program = gradient(source, source.parameters).formulas
    rng = np.random.default_rng(0)
    sizes = {d.name: d.default for d in program.dims} | {"n": 11}
    given = {t.name: rng.normal(size=tuple(extent(a, sizes) for a in t.axes)) for t in program.declared}
    found = evaluate(program, given, sizes)
    values = {t: found[t.name] for t in program.tensors}
    primes = Primes(program.equations)
    for equation in program.equations:
        form = lift(equation, primes)
        assert form is not None, equation
        value = evaluate_form(form, equation.letters, values, sizes)
        np.testing.assert_allclose(value, found[equation.out.name], rtol=1e-10, atol=1e-11, err_msg=str(equation))
