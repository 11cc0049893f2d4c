"""Convolutions as textbooks have them: proved by the normal form against equations written out independently."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.evaluate import evaluate
from derive.normal import Normalizer
from derive.program import Equation, Program, Tensor
from derive.rewrite import substitute
from derive.simplify import inline

CONV2D = """dims c, f, h, v, r, s
batch n
input X : [n, c, h, v]
input G : [n, f, h-r+1, v-s+1]
param W : [f, c, r, s]
param b : [f]
C[n,o,i,j] = sum[e,p,q] X[n,e,i+p,j+q] * W[o,e,p,q] + b[o]
minimize sum(G * C)
"""
CONV1D = """dims n, k
param x : [n]
param w : [k]
input g : [n-k+1]
y[i] = sum[p] x[i+p] * w[p]
minimize sum(g * y)
"""


def flat(program: Program, bar: Tensor) -> Equation:
    """The cotangent with all other cotangents written out."""
    equation = program.defined[bar]
    for d in reversed(program.equations):
        if d.out is not bar and d.out.kind == "cotangent":
            equation = equation.with_body(inline(equation.body, d))
    return equation


@pytest.mark.parametrize(
    ("text", "variable", "line", "holds"),
    [
        # by the input: the convolution of the cotangent with the kernel, that is a correlation with the flipped one
        (CONV1D, "x", "R[j:n] = sum[p] g[j-p | 0] * w[p]", True),
        (CONV1D, "x", "R[j:n] = sum[p] g[j+p-k+1 | 0] * w[p]", False),
        # by the kernel: the correlation of input and cotangent
        (CONV1D, "w", "R[p] = sum[i] g[i] * x[i+p]", True),
        (CONV1D, "w", "R[p:k] = sum[i] g[i] * x[i+k-1-p]", False),
        (CONV2D, "X", "R[n,e,k:h,l:v] = sum[o,p,q] G[n,o,k-p,l-q | 0] * W[o,e,p,q]", True),
        (CONV2D, "X", "R[n,e,k:h,l:v] = sum[o,p,q] G[n,o,k-p,l-q | edge] * W[o,e,p,q]", False),
        (CONV2D, "W", "R[o,e,p,q] = sum[n,i,j] G[n,o,i,j] * X[n,e,i+p,j+q]", True),
        (CONV2D, "b", "R[o] = sum[n,i,j] G[n,o,i,j]", True),
    ],
)
def test_the_gradient_is_the_textbooks(text: str, variable: str, line: str, holds: bool) -> None:
    model = derive.parse(f"{text}{line}\n")
    wanted = model.program.defined[model.program.tensor("R")]
    derivation = model.gradient(variable).derivation
    normal = Normalizer()
    for program in (derivation.raw, derivation.formulas):
        found = flat(program, next(bar for t, bar in program.gradients if t.name == variable))
        body = substitute(wanted.body, dict(zip(wanted.letters, found.letters, strict=True)))
        # where they are equal the shortest formula is the textbook's line itself: dx = R
        assert (normal(body) == normal(inline(found.body, wanted))) == holds
        if program is derivation.formulas:
            assert (found.body == wanted.out.at(found.letters)) == holds


def test_a_convolution_is_a_correlation_with_the_flipped_kernel() -> None:
    flipped = "F[p:k] = w[k-1-p]\nR[j:n] = sum[p] g[j+p-k+1 | 0] * F[p]\n"
    model = derive.parse(CONV1D.replace("n, k", "n = 7, k = 3") + flipped)
    rng = np.random.default_rng(0)
    values = {"x": rng.normal(size=7), "w": rng.normal(size=3), "g": rng.normal(size=5)}
    program = model.gradient("x").derivation.formulas
    gradient = evaluate(program, values)[program.gradients[0][1].name]
    np.testing.assert_allclose(gradient, np.convolve(values["g"], values["w"]), rtol=1e-13)
    np.testing.assert_allclose(gradient, evaluate(model.program, values)["R"], rtol=1e-13)


def test_a_strided_convolutions_gradient_visits_only_what_is_there() -> None:
    text = "dims n = 11, k = 3, m = 5\nparam x : [n]\nparam w : [k]\ny[i:m] = sum[p] x[2*i+p] * w[p]\n"
    model = derive.parse(text + "minimize sum(sin(y))\n")
    assert model.gradient("x")["x"].index == "dx[n′] = Σ_{p,i} 1[n′ = 2 i + p] dy[i] w[p]"


@pytest.mark.parametrize("place", ["i+p", "2*i+p", "i+2*p", "2*i+p-1 | 0", "i+p-1 | edge", "n-1-i"])
def test_second_derivatives(place: str) -> None:
    """Hessians and Hessian-vector products of a shifted read, against complex steps of the gradient."""
    text = f"dims n = 7, k = 2, m = 3\nparam x : [n]\nparam w : [k]\ny[i:m] = sum[p] x[{place}] * w[p]\n"
    model = derive.parse(text + "minimize sum(y^3) + sum(w^2)\n")
    rng = np.random.default_rng(0)
    values = {"x": rng.normal(size=7), "w": rng.normal(size=2)}
    gradient = model.gradient("x").derivation.formulas
    bar = dict(gradient.gradients)[gradient.tensor("x")].name
    hessian = np.zeros((7, 7))
    for j in range(7):
        moved = values["x"].astype(complex)
        moved[j] += 1e-30j
        hessian[:, j] = evaluate(gradient, {**values, "x": moved})[bar].imag / 1e-30
    np.testing.assert_allclose(model.hessian("x").evaluate(values)["result"], hessian, rtol=1e-11, atol=1e-12)
    product = model.hvp("x")
    v = rng.normal(size=7)
    found = product.evaluate({**values, product.direction: v})["result"]
    np.testing.assert_allclose(found, hessian @ v, rtol=1e-11, atol=1e-12)
