"""Scalar derivatives: right everywhere, in terms of the output where that is short, never newly singular."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from catalogue import EXTRA
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.evaluate import evaluate_expr
from derive.expr import Call, Const, Expr, Num, call, compare, num, power, select
from derive.functions import PRIMITIVES, Parameter
from derive.language.vocabulary import Vocabulary
from derive.library.functions import FUNCTIONS
from derive.normal import equal
from derive.program import Tensor
from derive.rewrite import walk
from derive.scalar import Symbols, derivative, operations, shortest_derivative

Z, A, W = Tensor("z", ()), Tensor("a", ()), Tensor("w", ())
z, a, w = Z.at(()), A.at(()), W.at(())
POINTS = [-30.0, -2.0, -0.7, -1e-9, 0.0, 1e-9, 0.3, 0.9, 2.5, 30.0]


def function(name: str) -> Expr:
    signature = Vocabulary().find(name)
    assert signature is not None
    f = signature.function
    extra = [num(Fraction(e)) for e in EXTRA.get(name, ())]
    return call(f, z, *extra, *signature.defaults.values())


def at(e: Expr, **values: complex) -> complex:
    tensors = {"z": Z, "a": A, "w": W}
    return complex(evaluate_expr(e, (), {tensors[k]: np.array(v) for k, v in values.items()}, {}))


def step(e: Expr, point: float) -> float:
    return at(e, z=point + 1e-30j).imag / 1e-30


def names() -> list[str]:
    return [*FUNCTIONS, *PRIMITIVES]


def defined(name: str) -> list[float]:
    inside = {"asin": 1, "acos": 1}.get(name)
    points = [p for p in POINTS if inside is None or abs(p) < inside]
    return [p for p in points if p > 1e-8] if name in ("log", "sqrt") else points


@pytest.mark.parametrize("name", names())
def test_derivatives_of_the_catalogue(name):
    body = function(name)
    plain = derivative(body, z)
    short, _ = shortest_derivative(body, z, a, operations)
    assert operations(short) <= operations(plain)
    for point in defined(name):
        if name in ("sinh", "cosh", "exp", "tan") and abs(point) > 10:
            continue
        want = step(body, point)
        assert at(plain, z=point).real == pytest.approx(want, rel=1e-12, abs=1e-12)
        value = at(body, z=point).real
        got = at(short, z=point, a=value).real
        # 1 − a² loses what a has rounded away: the forms agree to the rounding of a
        assert got == pytest.approx(want, rel=1e-9, abs=1e-14)


REUSE = {
    "sigmoid": a * (1 - a),
    "tanh": 1 - a**2,
    "softplus": 1 - call(PRIMITIVES["exp"], -a),
    "exp": a,
    "tan": a**2 + 1,
    "sqrt": power(2 * a, -1),
}


@pytest.mark.parametrize("name", REUSE)
def test_outputs_are_reused(name):
    body = power(z, Num(Fraction(1, 2))) if name == "sqrt" else function(name)
    short, reused = shortest_derivative(body, z, a, operations)
    assert reused
    assert equal(short, REUSE[name]), short


@pytest.mark.parametrize("body", ["silu", "gelu", "mish", z**3, z**2, z * a, "softsign", "sin"], ids=str)
def test_a_reuse_brings_in_no_denominator_that_can_vanish(body):
    g = function(body) if isinstance(body, str) else body
    short, _ = shortest_derivative(g, z, W.at(()), operations)
    for point in (0.0, 1e-300, -1e-300, 1e-12):
        o = at(g, z=point, a=0.5).real
        got = at(short, z=point, w=o, a=0.5)
        assert np.isfinite(got)
        assert got.real == pytest.approx(at(derivative(g, z), z=point, a=0.5).real, rel=1e-9)


def test_old_denominators_may_be_reused():
    g = power(z, -1)
    short, reused = shortest_derivative(g, z, a, operations)
    assert equal(short, -(a**2)) or equal(short, -power(z, -2))
    assert reused or operations(short) <= 4


def test_branches_are_differentiated_one_by_one():
    g = select(compare("<", 0, z), call(PRIMITIVES["tanh"], z), call(PRIMITIVES["exp"], z))
    short, reused = shortest_derivative(g, z, a, operations)
    assert reused
    positive = compare("<", 0, z)
    assert equal(short, positive * (1 - a**2) + compare("<=", z, 0) * a)


def test_other_accesses_are_held_fixed():
    assert derivative(z * w**2 + w, z) == w**2
    assert derivative(w, z) == num(0)
    assert derivative(compare("<", 0, z), z) == num(0)


def test_exact_numbers_and_constants_survive():
    e = Num(Fraction(1, 3)) * z * Const("pi") + power(num(2), Num(Fraction(1, 2))) * z
    d = derivative(e, z)
    assert at(d).real == pytest.approx(np.pi / 3 + np.sqrt(2), rel=1e-15)
    assert not any(isinstance(n, Num) and n.value.denominator > 3 for n in walk(d))


def test_to_sympy_and_back():
    e = select(compare("<", z, w), call(PRIMITIVES["erf"], z) ** 2, w / 3) + Const("pi") * z
    symbols = Symbols()
    back = symbols.from_sympy(symbols.to_sympy(e))
    for zv, wv in ((0.3, 0.8), (0.8, 0.3)):
        assert at(back, z=zv, w=wv) == pytest.approx(at(e, z=zv, w=wv))
    with pytest.raises(TypeError):
        Symbols().to_sympy(call(PRIMITIVES["exp"], z).function)  # type: ignore[arg-type]
    assert Symbols().symbol(Parameter("q")).is_real


def test_operations():
    assert operations(z) == 0
    assert operations(z * w + 1) == 2
    assert operations(call(PRIMITIVES["exp"], z)) == 10
    assert operations(power(z, -1)) < operations(power(z, Num(Fraction(1, 2))))
    assert operations(power(z, w)) == 10


bodies = st.recursive(
    st.sampled_from([z, w, num(2), Num(Fraction(1, 3))]),
    lambda e: st.one_of(
        st.tuples(e, e).map(lambda t: t[0] + t[1]),
        st.tuples(e, e).map(lambda t: t[0] * t[1]),
        st.tuples(e, e).map(lambda t: t[0] / (1 + t[1] ** 2)),
        st.tuples(st.sampled_from(["tanh", "sin", "erf", "sigmoid", "softplus"]), e).map(lambda t: apply(*t)),
    ),
    max_leaves=6,
)


def apply(name: str, e: Expr) -> Expr:
    signature = Vocabulary().find(name)
    assert signature is not None
    return Call(signature.function, e)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(bodies)
def test_random_bodies(e):
    short, _ = shortest_derivative(e, z, a, operations)
    for point in (-0.8, 0.0, 0.6):
        other = 0.7
        want = at(e, z=point + 1e-30j, w=other).imag / 1e-30
        got = at(short, z=point, w=other, a=at(e, z=point, w=other).real).real
        assert got == pytest.approx(want, rel=1e-9, abs=1e-12)


def test_a_reuse_brings_in_no_other_operand():
    """From a = e^z − 13w, e^z is a + 13w: shorter, but it cancels, and w has no part in the derivative."""
    exp = PRIMITIVES["exp"]
    assert shortest_derivative(call(exp, z) - 13 * w, z, a, operations) == (call(exp, z), False)
    assert shortest_derivative(w * call(exp, z), z, a, operations) == (a, True)


def test_a_factor_of_cases_is_taken_into_each():
    chosen = select(compare("<", 0, z), z, call(PRIMITIVES["exp"], z) - 1)
    found, reuses = shortest_derivative(3 * w * chosen, z, a, operations)
    assert reuses  # on the left e^z·3w is a + 3w
    assert equal(found, 3 * w * compare("<", 0, z) + (a + 3 * w) * compare("<=", z, 0))
