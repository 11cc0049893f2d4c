"""Kronecker deltas: eliminated by renaming, by solving with guards, by narrowing a range; else left as they are."""

import numpy as np
import pytest

import derive
from derive.deltas import decided, guards_for
from derive.evaluate import evaluate, extent
from derive.expr import Compare, Dim, Num, compare, fresh, num, sum_over
from derive.normal import Normalizer
from derive.program import Property, Tensor

n, m = Dim("n"), Dim("m")
X = Tensor("X", (n,))
i, j, k = fresh(n, "i"), fresh(n, "j"), fresh(m, "k")


def test_a_plain_delta_renames() -> None:
    assert Normalizer()(sum_over((i,), X[i] * compare("==", i, j))) == X[j]


def test_an_affine_delta_is_solved_under_a_guard() -> None:
    assert Normalizer()(sum_over((i,), X[i] * compare("==", i + 1, j))) == X[j - 1] * compare("<=", 1, j)


def test_no_guard_where_the_range_is_known() -> None:
    long = fresh(n + m, "q")
    Z = Tensor("Z", (n + m,))
    assert Normalizer()(sum_over((long,), Z[long] * compare("==", long, k + n))) == Z[k + n]


def test_a_delta_on_unknown_data_stays() -> None:
    t = Tensor("t", (m,), dtype="int")
    e = Normalizer()(sum_over((i,), X[i] * compare("==", i, t[k])))
    assert any(isinstance(x, Compare) for x in e.body.args)  # type: ignore[attr-defined]


def test_a_delta_on_labels_gathers() -> None:
    t = Tensor("t", (m,), "target", (Property("labels", extent=n),), dtype="int")
    assert Normalizer()(sum_over((i,), X[i] * compare("==", i, t[k]))) == X[t[k]]


def test_a_bound_shortens_the_range() -> None:
    long = fresh(n + m, "q")
    Z = Tensor("Z", (n + m,))
    short = Normalizer()(sum_over((long,), Z[long] * compare("<", long, n)))
    assert short == Normalizer()(sum_over((i,), Z[i]))


@pytest.mark.parametrize(
    ("mask", "value"),
    [
        (Compare("<", i, n), 1),
        (Compare("<=", num(0), i), 1),
        (Compare("<", i + n, n), 0),
        (Compare("<=", n, i), 0),
        (Compare("<", i, j), None),
        (Compare("<", i, m), None),
    ],
)
def test_what_always_or_never_holds_is_decided(mask: Compare, value: int | None) -> None:
    assert decided(mask) == (mask if value is None else Num(num(value).value))


def test_guards_name_the_bound_that_may_fail() -> None:
    assert guards_for(i + 1, n) == [compare("<=", i + 2, n)]


MODELS = {
    "concat": "dims a=3, b=2\nparam x:[a]\nparam y:[b]\ninput g:[a+b]\nz = concat(x^2, y)\nminimize sum(g*z^2)",
    "concat of a product": "dims a=3, b=2\nparam x:[a]\nparam W:[b,a]\nz = concat(W@x, x, axis=0)\n"
    "minimize sum(z[1:b+1]^2)",
    "concat of matrices": "dims a=3, b=2, c=5\nparam A:[c,a]\nparam B:[c,b]\nZ = concat(A, B, axis=1)\n"
    "minimize sum(tanh(Z)^2)",
    "differences": "dims a=5\nparam x:[a]\nminimize sum((x[1:a] - x[0:a-1])^2)",
    "elements": "dims a=5\nparam x:[a]\nminimize x[0]^2*x[2]",
    "stack": "dims a=5\nparam x:[a]\nparam y:[a]\nZ = [x, y, x*y]\nminimize sum(Z^2)",
}


@pytest.mark.parametrize("name", MODELS)
def test_gradients_through_places(name: str) -> None:
    """Slices, elements, stacks and concatenations against complex steps, raw, simplified and stable."""
    model = derive.parse(MODELS[name])
    rng = np.random.default_rng(0)
    sizes = {d.name: d.default or 0 for d in model.program.dims}
    values = {t.name: rng.normal(size=tuple(extent(a, sizes) for a in t.axes)) for t in model.program.declared}
    derivation = model.gradient().derivation
    for variable in model.program.parameters:
        expected = np.zeros_like(values[variable.name])
        for place in np.ndindex(expected.shape):
            stepped = values[variable.name].astype(complex)
            stepped[place] += 1e-30j
            expected[place] = evaluate(model.program, {**values, variable.name: stepped})["loss"].imag / 1e-30
        for program in (derivation.raw, derivation.formulas, derivation.stable):
            bar = dict(derivation.raw.gradients)[variable]
            np.testing.assert_allclose(evaluate(program, values)[bar.name], expected, rtol=1e-12, atol=1e-14)
