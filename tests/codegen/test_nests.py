"""Programs that no matrix product covers: positions, gathers, scatters, masks, shifted places, constants."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest

from codegen.compiler import load_source, render
from derive.evaluate import evaluate
from derive.expr import (
    ZERO,
    Access,
    Dim,
    Num,
    add,
    call,
    compare,
    fresh,
    mul,
    negate,
    num,
    power,
    reduce_,
    select,
    sum_over,
)
from derive.functions import EXPM1, LOG1P, PRIMITIVES
from derive.program import DimDecl, Equation, Program, Property, Tensor

n, d, h = Dim("n"), Dim("d"), Dim("h")
SIZES = {"d": 5, "h": 3}
DIMS = (DimDecl("d", 5), DimDecl("h", 3))


def program(declared, equations, outputs):
    return Program("odd", DIMS, n, tuple(declared), tuple(equations), None, tuple(outputs))


def agree(p, values, rtol=1e-12):
    expected = evaluate(p, values, SIZES)
    for target in ("numba", "numpy"):
        module = load_source(render(p, {}, target=target))
        params = {t.name: values[t.name] for t in p.parameters}
        found = module.forward(params, **{k: v for k, v in values.items() if k not in params})
        for name, a in found.items():
            assert a.shape == expected[name].shape
            np.testing.assert_allclose(a, expected[name], rtol=rtol, atol=1e-14, err_msg=f"{target} {name}")


def randoms(*shapes, seed=0):
    r = np.random.default_rng(seed)
    return [r.normal(size=s) for s in shapes]


def products(source):
    """The calls of kernels for matrix products, in order."""
    return re.findall(r"^ +(_mat(?:mul|vec)(?:_symmetric)?)(?:_fixed)?\(", source, re.MULTILINE)


def test_first_position_of_extrema_over_two_binders():
    x = Tensor("x", (n, d, h), "input")
    i, j, k = fresh(n), fresh(d, "j"), fresh(h, "k")
    names = ("argmax", "argmin", "max", "min", "prod")
    outs = [Tensor(op, (n,), dtype="int" if op[0] == "a" else "real") for op in names]
    equations = [Equation(t, (i,), reduce_(op, [j, k], x[i, j, k])) for t, op in zip(outs, names, strict=True)]
    values = np.random.default_rng(1).integers(-2, 3, (7, 5, 3)).astype(float)  # with ties
    agree(program([x], equations, outs), {"x": values})


def test_position_used_as_a_mask():
    x, m, a, g = Tensor("x", (n, d), "input"), Tensor("m", (n,)), Tensor("a", (n,), dtype="int"), Tensor("g", (n, d))
    i, k = fresh(n), fresh(d, "k")
    equations = [
        Equation(m, (i,), reduce_("max", [k], x[i, k])),
        Equation(a, (i,), reduce_("argmax", [k], x[i, k])),
        Equation(g, (i, k), compare("==", k, a[i]) * m[i] * x[i, k]),
    ]
    agree(program([x], equations, [g]), {"x": randoms((7, 5))[0]})


def test_gather_and_scatter():
    t = Tensor("t", (n,), "input", dtype="int", properties=(Property("labels", extent=d),))
    table, up = Tensor("table", (d, h), "param"), Tensor("up", (n, h), "input")
    row, back = Tensor("row", (n, h)), Tensor("back", (d, h))
    i, v, k = fresh(n), fresh(d, "v"), fresh(h, "k")
    equations = [
        Equation(row, (i, k), Access(table, (t[i], k)) * 2),
        Equation(back, (v, k), sum_over([i], compare("==", v, t[i]) * up[i, k] * row[i, k])),
    ]
    table_values, up_values = randoms((5, 3), (7, 3))
    p = program([t, table, up], equations, [row, back])
    agree(p, {"t": np.array([0, 4, 4, 1, 0, 2, 4]), "table": table_values, "up": up_values})
    text = render(p, {})
    assert "back[t[i], k] +=" in text


def test_a_mask_absorbs_infinities():
    x, y = Tensor("x", (n,), "input"), Tensor("y", (n,))
    i = fresh(n)
    positive = compare("<", 0, x[i])
    body = positive * call(PRIMITIVES["log"], x[i]) + negate(positive) * power(x[i], -1) * 3 + num(1)
    p = program([x], [Equation(y, (i,), body)], [y])
    for target in ("numba", "numpy"):
        module = load_source(render(p, {}, target=target))
        found = module.forward({}, x=np.array([0.5, -2.0, 1.0]))["y"]
        np.testing.assert_allclose(found, [np.log(0.5) + 1, -0.5, 1.0])
    zero = program([x], [Equation(y, (i,), positive * power(x[i], -1))], [y])
    for target in ("numba", "numpy"):
        found = load_source(render(zero, {}, target=target)).forward({}, x=np.array([0.0, 4.0]))["y"]
        np.testing.assert_array_equal(found, [0.0, 0.25])


def test_shifted_places_guarded_by_a_branch():
    x, y, w = Tensor("x", (d,), "input"), Tensor("y", (d,)), Tensor("w", (3 * h,))
    i, j = fresh(d), fresh(3 * h, "j")
    equations = [
        Equation(y, (i,), select(compare("<", i, d - 1), Access(x, (i + 1,)), ZERO) - x[i]),
        Equation(w, (j,), add(2 * j, mul(Fraction(1, 3), select(compare("<", j, h), 1, j)))),
    ]
    agree(program([x], equations, [y, w]), {"x": randoms((5,))[0]})


def test_convolution_as_a_loop_nest():
    x, k = Tensor("x", (n, h + 2), "input"), Tensor("k", (num(3),), "param")
    y = Tensor("y", (n, h))
    i, j, p = fresh(n), fresh(h, "j"), fresh(num(3), "p")
    equation = Equation(y, (i, j), sum_over([p], Access(x, (i, j + p)) * k[p]) + 1)
    agree(program([x, k], [equation], [y]), dict(zip(("x", "k"), randoms((7, 5), (3,)), strict=True)))


def test_diagonals_transposes_and_broadcasts():
    a, v = Tensor("a", (d, d), "input"), Tensor("v", (d,), "param")
    t, g, b, c = Tensor("t", (d, d)), Tensor("g", (d,)), Tensor("b", (d, d)), Tensor("c", (h, d))
    i, j, k = fresh(d), fresh(d, "j"), fresh(h, "k")
    equations = [
        Equation(t, (i, j), a[j, i] - a[i, j] * v[j]),
        Equation(g, (i,), a[i, i] * t[i, i]),
        Equation(b, (i, j), compare("==", i, j) * v[i] + t[j, i]),
        Equation(c, (k, j), g[j]),
    ]
    agree(program([a, v], equations, [t, g, b, c]), dict(zip("av", randoms((5, 5), (5,)), strict=True)))


def test_constants_scalars_and_functions():
    c = Tensor("c", (h,), "const", values=[Fraction(1, 3), 2, -1])
    s = Tensor("s", (), "const", values=Fraction(5, 2))
    x, w, y, z = Tensor("x", (h,), "input"), Tensor("w", (), "param"), Tensor("y", (h,)), Tensor("z", ())
    i = fresh(h)
    inside = call(LOG1P, x[i] ** 2) + call(EXPM1, x[i]) + call(PRIMITIVES["erf"], x[i]) + call(PRIMITIVES["tan"], x[i])
    equations = [
        Equation(y, (i,), c[i] * Access(s) * inside + Access(w) ** 3 + power(1 + x[i] ** 2, Fraction(-3, 2))),
        Equation(z, (), sum_over([i], y[i]) / h + reduce_("max", [i], x[i] * h)),
    ]
    p = program([c, s, x, w], equations, [y, z])
    agree(p, {"x": randoms((3,))[0], "w": np.array(0.7)})


def test_sums_over_more_than_one_axis_become_one_product():
    x, u, w = Tensor("x", (n, d, h), "input"), Tensor("u", (n, d, 2 * h), "input"), Tensor("w", (h, 2 * h))
    i, j, k, q = fresh(n), fresh(d, "j"), fresh(h, "k"), fresh(2 * h, "q")
    p = program([x, u], [Equation(w, (k, q), sum_over([i, j], x[i, j, k] * u[i, j, q]))], [w])
    agree(p, dict(zip("xu", randoms((7, 5, 3), (7, 5, 6)), strict=True)))
    assert "_matmul_fixed(h, d * n, 6, _view(x, 0, (d * n, h)).T, _view(u, 0, (d * n, 2 * h)), w, strip)" in render(
        p, {}
    )


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_products_with_more_factors_prepare_their_operands(order):
    a, b, m, v = (
        Tensor("a", (n, d), "input"),
        Tensor("b", (d, h), "input"),
        Tensor("m", (n, d), "input"),
        Tensor("v", (d,), "input"),
    )
    out = Tensor("out", ((n, h)[order[0]], (n, h)[order[1]]))
    i, j, k = fresh(n), fresh(h, "j"), fresh(d, "k")
    body = sum_over([k], a[i, k] * b[k, j] * compare("<", 0, m[i, k]) * v[k])
    equation = Equation(out, ((i, j)[order[0]], (i, j)[order[1]]), 2 * body)
    p = program([a, b, m, v], [equation], [out])
    agree(p, dict(zip("abmv", randoms((7, 5), (5, 3), (7, 5), (5,)), strict=True)))
    assert products(render(p, {})) == ["_matmul"]


def test_matrix_vector_products_and_scaled_sums():
    a, v, u = Tensor("a", (n, d), "input"), Tensor("v", (d,), "param"), Tensor("u", (n,), "input")
    y, g, s = Tensor("y", (n,)), Tensor("g", (d,)), Tensor("s", ())
    i, k = fresh(n), fresh(d, "k")
    equations = [
        Equation(y, (i,), sum_over([k], a[i, k] * v[k]) - u[i]),
        Equation(g, (k,), num(2) / n * sum_over([i], a[i, k] * y[i]) + Num(Fraction(1, 7)) * v[k]),
        Equation(s, (), sum_over([k], g[k] * v[k]) + sum_over([i], u[i])),
    ]
    p = program([a, v, u], equations, [y, g, s])
    agree(p, dict(zip("avu", randoms((7, 5), (5,), (7,)), strict=True)))
    assert products(render(p, {})) == ["_matvec", "_matmul"]
